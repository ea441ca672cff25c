"""How work reports its progress, and how it is stopped: one way for every room. Floor 0."""

from __future__ import annotations

from typing import Any, Protocol

from LMIALLib.errors import LMIALError


class Cancelled(LMIALError):
    """The work was stopped by request. What was finished before is kept."""

    def __init__(self, sentence: str = "The work was cancelled.", hint: str = "") -> None:
        super().__init__(sentence, hint)


class Progress(Protocol):
    """Called with how far the work is; raises Cancelled when the work is to stop.

    Called as (what is being done, in a word or a sentence; steps done; steps in all; further figures by name).
    """

    def __call__(self, stage: str, done: int, total: int, **figures: Any) -> None: ...


def ignore(stage: str, done: int, total: int, **figures: Any) -> None:
    """Hear nothing."""
