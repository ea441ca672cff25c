"""Our own brush: strokes on the slice at hand, each one undo step and a draft at once. Knows no face."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.brush_label import BrushLabel
from LMIALLib.scene.drafts import keep_draft
from LMIALLib.scene.screen import Screen
from LMIALLib.study.labels import LabelSchema

LONGEST_UNKEPT = 1.0
"""Seconds after which a stroke that goes on is kept as well."""


class Brush:
    """Draws the label where a face has no editor of its own; a `label.LabelMaker`.

    Args:
        screen: what is on the screen.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last: tuple[float, float] | None = None
        self._kept = 0.0

    def new_label(
        self, scene: Any, grid: Grid, axis: int, schema: LabelSchema, case: str, view_nodes: Collection[Any]
    ) -> BrushLabel:
        """Put the empty label of a case into a scene, see `brush_label.BrushLabel`."""
        return BrushLabel(scene, grid, axis, schema, case, view_nodes)

    def case_opened(self) -> None:
        """Nothing to set: each stroke goes to the case on the screen."""

    def take_in(self, *, keep: bool = True) -> None:
        """Nothing to take in: each stroke is a draft at once."""

    @property
    def _drawing(self) -> BrushLabel:
        drawing = self._screen.opened().drawing
        assert isinstance(drawing, BrushLabel)
        return drawing

    def paint(self, view: str, phase: str, points: list[tuple[float, float]]) -> None:
        """The brush goes along ``points`` (fractions of the view from its lower left corner); phase begin, go, end.

        Only the follow-up's view can be painted, and there only the slice at hand.
        """
        screen, tools = self._screen, self._screen.tools
        if view != "follow_up" or not screen.paintable:
            self._last = None
            return
        opened = screen.opened()
        if phase == "begin":
            self._drawing.begin_stroke()
            self._last = None
        elif self._last is None:
            return
        value = 0 if tools.tool == "erase" else tools.value
        for x, y in points:
            _, row, column = opened.navigation.plane.place(screen.point(view, x, y))
            self._drawing.stroke(self._last or (row, column), (row, column), tools.diameter_mm, value)
            self._last = (row, column)
        if points and self._last is not None:
            screen.touched = self._last
            screen.views[view].refresh()
        if phase == "end":
            self.finish_stroke()
        elif phase == "begin":
            self._kept = time.monotonic()
        elif time.monotonic() - self._kept > LONGEST_UNKEPT:
            keep_draft(screen)
            self._kept = time.monotonic()

    def finish_stroke(self) -> None:
        """The hand is up, or its tab has gone: what was drawn is one undo step, and a draft."""
        if self._last is not None and self._screen.paintable:
            self._last = None
            if self._drawing.end_stroke():
                keep_draft(self._screen)
