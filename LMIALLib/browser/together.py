"""Drawing the panes of the page: all that change together are drawn, sent and shown together.

Beside each image goes which place it shows (`scene.sight.Place`) and of which pair, so that the page changes all panes
in one frame, never shows two pairs side by side, and can say what its reader saw.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

from trame.app import asynchronous
from trame_rca.utils import RcaEncoder

QUALITY, STILL = 80, 94
"""JPEG quality while something moves and when it rests."""
SHORTEST, REST = 1 / 30, 1 / 6
"""Seconds between two drawings, and after the last one until it is drawn again in better quality."""


@dataclass(frozen=True)
class Standing:
    """What the panes show: the place's number, and a name of the pair."""

    place: int
    pair: str


class Together:
    """Draws the panes that need it, one drawing after the other.

    Args:
        standing: says what the panes show now.
    """

    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing
        self._panes: dict[str, Drawn] = {}
        self._wanted: set[str] = set()
        self._asked = asyncio.Event()
        self._numbers = count(1)
        self._sent = Standing(-1, "")
        self._pool = ThreadPoolExecutor(max(3, os.cpu_count() or 1))
        self._task = asynchronous.create_task(self._run())

    def add(self, name: str, window: Any) -> Drawn:
        """A pane, drawn from a window as trame-rca wraps it."""
        self._panes[name] = Drawn(window, lambda: self._want(name))
        return self._panes[name]

    def _want(self, name: str) -> None:
        self._wanted.add(name)
        self._asked.set()

    async def _run(self) -> None:
        blurred: set[str] = set()
        while True:
            await self._asked.wait()
            self._asked.clear()
            began, names = monotonic(), self._taken()
            await self._draw(names, QUALITY)
            blurred |= names
            await asyncio.sleep(max(0.0, SHORTEST - (monotonic() - began)))
            while blurred and not self._asked.is_set():
                try:
                    await asyncio.wait_for(self._asked.wait(), REST)
                except TimeoutError:
                    await self._draw(blurred, STILL)
                    blurred = set()

    def _taken(self) -> set[str]:
        """Which panes to draw: all of them where the place is another one."""
        wanted, self._wanted = self._wanted, set()
        return set(self._panes) if self._standing() != self._sent else wanted

    async def _draw(self, names: set[str], quality: int) -> None:
        standing, loop = self._standing(), asyncio.get_running_loop()
        if standing != self._sent:
            names = set(self._panes)
        self._sent = standing
        images = {name: self._panes[name].rca.img_cols_rows for name in sorted(names)}
        encode = RcaEncoder.TURBO_JPEG.encode
        coded = await asyncio.gather(
            *(loop.run_in_executor(self._pool, encode, *image, quality) for image in images.values())
        )
        shared = {"drawing": next(self._numbers), "names": list(images), "place": standing.place, "pair": standing.pair}
        for name, (content, meta, _) in zip(images, coded, strict=True):
            self._panes[name].push(content, meta | shared)


class Drawn:
    """One pane of `Together`, in the form that trame-rca asks of whatever renders (``RcaRenderSchedulerProtocol``)."""

    target_fps = 1 / SHORTEST

    def __init__(self, window: Any, want: Callable[[], None]) -> None:
        self.rca = window
        self.push: Callable[[bytes, dict[str, Any]], None] = lambda content, meta: None
        self._want = want

    def set_push_callback(self, callback: Callable[[bytes, dict[str, Any]], None]) -> None:
        """Who takes the images."""
        self.push = callback

    def schedule_render(self) -> None:
        """Draw this pane soon."""
        self._want()

    def reset(self) -> None:
        """Nothing: images need no beginning."""

    async def close(self) -> None:
        """Nothing of its own to end."""
