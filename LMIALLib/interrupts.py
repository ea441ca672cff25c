"""Ctrl-C at a moment when it must wait: between a rename and its commit, say. Floor 0."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C (SIGINT) wait until the block is left; then it does what it would have done.

    Keep the block short. May be nested: the outermost one delivers. Only the main thread is ever interrupted, so that
    in other threads nothing is held.
    """
    waits = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(waits):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, waits)
        if came:
            waits(*came[0])
