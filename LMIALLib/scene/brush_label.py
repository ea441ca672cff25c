"""The reader's label in the scene: a brush on one slice at a time, with undo, and the answers of the other slices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.segments import add_segmentation, changed, show_label
from LMIALLib.study.labels import LabelSchema

STEPS = 50
"""Strokes that can be undone on one slice."""


def capsule(
    shape: tuple[int, int],
    spacing: tuple[float, float],
    start: tuple[float, float],
    end: tuple[float, float],
    radius_mm: float,
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Voxels of a slice within ``radius_mm`` of the straight way from ``start`` to ``end`` (row, column; fractions).

    The voxel under either end always belongs to it. Returns the box (rows, columns) and the voxels inside, bool.
    """
    ends = np.array([start, end], dtype=float)
    reach = radius_mm / np.array(spacing)
    low = np.clip(np.floor(ends.min(axis=0) - reach).astype(int), 0, shape)
    high = np.clip(np.ceil(ends.max(axis=0) + reach).astype(int) + 1, 0, shape)
    box = slice(low[0], high[0]), slice(low[1], high[1])
    rows, columns = np.mgrid[box]
    place = np.stack([rows * spacing[0], columns * spacing[1]], axis=-1)
    first, last = ends * np.array(spacing)
    way = last - first
    length = float(way @ way)
    along = np.clip((place - first) @ way / length, 0.0, 1.0)[..., None] if length > 0 else 0.0
    inside = np.asarray(((place - (first + along * way)) ** 2).sum(axis=-1) <= radius_mm**2)
    for row, column in np.rint(ends).astype(int):
        if low[0] <= row < high[0] and low[1] <= column < high[1]:
            inside[row - low[0], column - low[1]] = True
    return box, inside


class BrushLabel:
    """The label's segmentation of a case. Only the slice that was opened last can be drawn on.

    ``node`` is the segmentation that is shown, ``label`` the one that Slicer saves: here they are one.

    Args:
        scene: a vtkMRMLScene.
        grid: the pair's grid; axis: array axis of its slices.
        schema: classes, whose values are those of the array.
        view_nodes: slice nodes that show it: those of the follow-up.
    """

    def __init__(
        self, scene: Any, grid: Grid, axis: int, schema: LabelSchema, case: str, view_nodes: Collection[Any]
    ) -> None:
        classes = [(one.value, one.name, one.colour) for one in schema.classes]
        self.node, self._array = add_segmentation(scene, grid, "label", classes, case)
        self.label = self.node
        self._stack = np.moveaxis(self._array, axis, 0)
        by_array_axis = grid.spacing[::-1]
        rows, columns = (other for other in range(3) if other != axis)
        self._spacing = (by_array_axis[rows], by_array_axis[columns])
        show_label(self.node, view_nodes)
        self.slice: int | None = None
        self._undo: list[np.ndarray] = []
        self._redo: list[np.ndarray] = []
        self._before: np.ndarray | None = None

    @property
    def mask(self) -> np.ndarray:
        """A copy of what is drawn on the open slice, uint8 (rows, columns)."""
        return self._open().copy()

    def mask_of(self, number: int) -> np.ndarray:
        """A copy of what is shown on any slice, uint8 (rows, columns)."""
        return np.array(self._stack[number])

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._redo)

    def show_answers(self, masks: Mapping[int, np.ndarray | None]) -> None:
        """Show the answers of other slices: slice number -> mask or None. The open slice is left as it is."""
        for number in range(len(self._stack)):
            if number != self.slice:
                mask = masks.get(number)
                self._stack[number] = 0 if mask is None else mask
        changed(self.node)

    def open_slice(self, number: int, mask: np.ndarray | None) -> None:
        """Begin to draw on a slice, from ``mask`` or from nothing; earlier steps can no longer be undone."""
        self.slice = number
        self._undo, self._redo, self._before = [], [], None
        self._stack[number] = 0 if mask is None else mask
        changed(self.node)

    def close_slice(self) -> None:
        """Draw no more; what is there stays shown."""
        self.slice = None
        self._undo, self._redo, self._before = [], [], None

    def begin_stroke(self) -> None:
        """Remember how the slice looked, for one undo step."""
        self._before = self.mask

    def stroke(self, start: tuple[float, float], end: tuple[float, float], diameter_mm: float, value: int) -> None:
        """Draw ``value`` (0 erases) along the way from ``start`` to ``end`` (row, column), with a round brush."""
        mask = self._open()
        box, inside = capsule(mask.shape, self._spacing, start, end, diameter_mm / 2)  # type: ignore[arg-type]
        mask[box][inside] = value
        changed(self.node)

    def end_stroke(self) -> bool:
        """Close the undo step; returns whether anything was changed."""
        before, self._before = self._before, None
        if before is None or np.array_equal(before, self._open()):
            return False
        self._remember(before)
        return True

    def replace(self, mask: np.ndarray) -> bool:
        """Put ``mask`` in the place of what is drawn, as one undo step; returns whether that changes anything."""
        before = self.mask
        self._open()[...] = mask
        changed(self.node)
        if np.array_equal(before, mask):
            return False
        self._remember(before)
        return True

    def undo(self) -> bool:
        """Take the last step back; returns whether there was one."""
        return self._step(self._undo, self._redo)

    def redo(self) -> bool:
        """Do the step again that was taken back; returns whether there was one."""
        return self._step(self._redo, self._undo)

    def _step(self, there: list[np.ndarray], back: list[np.ndarray]) -> bool:
        if not there:
            return False
        back.append(self.mask)
        self._open()[...] = there.pop()
        changed(self.node)
        return True

    def _remember(self, before: np.ndarray) -> None:
        self._undo = [*self._undo, before][-STEPS:]
        self._redo = []

    def _open(self) -> np.ndarray:
        if self.slice is None:
            raise WrongUse("No slice is open for drawing.")
        return np.asarray(self._stack[self.slice])
