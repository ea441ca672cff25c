"""The label of a case while it is drawn on, and who draws it: two protocols, each with two who keep to it.

Our own brush draws on a `BrushLabel`, Slicer's Segment Editor on a `SegmentEditorLabel`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.labels import LabelSchema


class Label(Protocol):
    """The label of a case in a scene. Only the slice that was opened last can be drawn on.

    ``node`` is the segmentation that is shown, ``label`` the one that Slicer saves, ``slice`` the open slice, 0-based.
    """

    node: Any
    label: Any
    slice: int | None

    @property
    def mask(self) -> np.ndarray:
        """A copy of what is drawn on the open slice, uint8 (rows, columns)."""

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""

    def mask_of(self, number: int) -> np.ndarray:
        """A copy of what is shown on any slice, uint8 (rows, columns)."""

    def show_answers(self, masks: Mapping[int, np.ndarray | None]) -> None:
        """Show the answers of other slices: slice number -> mask or None. The open slice is left as it is."""

    def open_slice(self, number: int, mask: np.ndarray | None) -> None:
        """Begin to draw on a slice, from ``mask`` or from nothing; earlier steps can no longer be undone."""

    def close_slice(self) -> None:
        """Draw no more; what is there stays shown."""

    def replace(self, mask: np.ndarray) -> bool:
        """Put ``mask`` in the place of what is drawn, as one undo step; returns whether that changes anything."""

    def undo(self) -> bool:
        """Take the last step back; returns whether there was one."""

    def redo(self) -> bool:
        """Do the step again that was taken back; returns whether there was one."""


class LabelMaker(Protocol):
    """Who draws a label: our own brush, or Slicer's Segment Editor."""

    def new_label(
        self, scene: Any, grid: Grid, axis: int, schema: LabelSchema, case: str, view_nodes: Collection[Any]
    ) -> Label:
        """Put the empty label of a case into a scene, see `brush_label.BrushLabel`."""

    def case_opened(self) -> None:
        """Draw on the label of the case on the screen from now on."""

    def take_in(self, *, keep: bool = True) -> None:
        """Take in what was drawn since it was last taken in; without ``keep`` the open slice becomes no draft."""
