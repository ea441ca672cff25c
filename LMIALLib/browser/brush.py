"""The browser face's brush: strokes on the slice at hand, each one undo step and a draft at once. Knows no trame."""

from __future__ import annotations

import time
from typing import Any

from LMIALLib.scene.desk import Desk
from LMIALLib.scene.drawing import Drawing

LONGEST_UNKEPT = 1.0
"""Seconds after which a stroke that goes on is kept as well."""


class BrushDesk(Desk):
    """A desk whose reader draws with our own brush."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._last: tuple[float, float] | None = None
        self._kept = 0.0

    @property
    def _drawing(self) -> Drawing:
        drawing = self._case().drawing
        assert isinstance(drawing, Drawing)
        return drawing

    def paint(self, view: str, phase: str, points: list[tuple[float, float]]) -> None:
        """The brush goes along ``points`` (fractions of the view from its lower left corner); phase begin, go, end.

        Only the follow-up's view can be painted, and there only the slice at hand.
        """
        if view != "follow_up" or not self.paintable:
            self._last = None
            return
        opened = self._case()
        if phase == "begin":
            self._drawing.begin_stroke()
            self._last = None
        elif self._last is None:
            return
        value = 0 if self.tools.tool == "erase" else self.tools.value
        for x, y in points:
            _, row, column = opened.navigation.plane.place(self.point(view, x, y))
            self._drawing.stroke(self._last or (row, column), (row, column), self.tools.diameter_mm, value)
            self._last = (row, column)
        if points and self._last is not None:
            self.touched = self._last
            self.views[view].refresh()
        if phase == "end":
            self.finish_stroke()
        elif phase == "begin":
            self._kept = time.monotonic()
        elif time.monotonic() - self._kept > LONGEST_UNKEPT:
            self._keep_draft()
            self._kept = time.monotonic()

    def finish_stroke(self) -> None:
        """The hand is up, or its tab has gone: what was drawn is one undo step, and a draft."""
        if self._last is not None and self.paintable:
            self._last = None
            if self._drawing.end_stroke():
                self._keep_draft()
