"""Where the linked views look: one plane, one point, one zoom, given to every slice node of the group alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import Plane

CLOSEST, FARTHEST = 0.02, 8.0
"""Millimetres a pixel between which a reader can zoom."""
RIM = 1.02
"""How much more than the region is shown: little, or voxels of large matrices become smaller than a pixel."""


@dataclass
class Navigation:
    """The linked views of a case.

    Args:
        planes: the plane in which slices are counted first, then the other two.
        current: which of them is shown.
        point: RAS (3,) in mm, in the middle of every view.
        mm_per_pixel: the zoom.
    """

    planes: tuple[Plane, Plane, Plane]
    current: int
    point: np.ndarray
    mm_per_pixel: float = 1.0

    @classmethod
    def of(cls, grid: Grid, axis: int) -> Navigation:
        """Look at the middle of a grid."""
        others = [other for other in range(3) if other != axis]
        first, second, third = (Plane.of(grid, one) for one in (axis, *others))
        middle = (np.array(grid.shape) - 1) / 2
        rows, columns = others
        return cls((first, second, third), 0, first.point(middle[axis], middle[rows], middle[columns]))

    @property
    def plane(self) -> Plane:
        """The plane that is shown."""
        return self.planes[self.current]

    @property
    def slice(self) -> int:
        """Number of the slice that is shown, 0-based, in the plane that is shown."""
        return int(np.clip(round(self.plane.place(self.point)[0]), 0, self.plane.n_slices - 1))

    def go_to(self, number: int, centre: tuple[float, float] | None = None) -> None:
        """Show a slice of the plane at hand, exactly through its voxel centres; ``centre`` is (row, column)."""
        _, row, column = self.plane.place(self.point)
        row, column = (row, column) if centre is None else centre
        self.point = self.plane.point(int(np.clip(number, 0, self.plane.n_slices - 1)), row, column)

    def step(self, slices: int) -> None:
        """Scroll by some slices."""
        self.go_to(self.slice + slices)

    def turn(self, to: int | None = None, through: np.ndarray | None = None) -> None:
        """Show the next plane, or plane ``to``, through the RAS point ``through`` (default: the middle)."""
        self.current = (self.current + 1) % 3 if to is None else to
        if through is not None:
            self.point = np.asarray(through, dtype=float)
        self.go_to(self.slice)

    def shift(self, right_mm: float, up_mm: float) -> None:
        """Move what is seen by so many millimetres across and up the screen."""
        self.point = self.point - self.plane.right * right_mm - self.plane.up * up_mm

    def zoom(self, factor: float, about: np.ndarray | None = None) -> None:
        """Show ``factor`` times as much, keeping the RAS point ``about`` where it is."""
        before = self.mm_per_pixel
        self.mm_per_pixel = float(np.clip(before * factor, CLOSEST, FARTHEST))
        if about is not None:
            away = self.point - about
            for axis in (self.plane.right, self.plane.up):
                self.point = self.point + axis * float(away @ axis) * (self.mm_per_pixel / before - 1.0)

    def fit(self, region: np.ndarray, size: tuple[int, int]) -> None:
        """Zoom and centre so that a region, bool (k, j, i), fills a view of ``size`` (width, height) pixels."""
        found = np.nonzero(region)
        if not found[0].size:
            found = tuple(np.array([0, length - 1]) for length in region.shape)
        low, high = (np.array([function(axis) for axis in found], dtype=float) for function in (np.min, np.max))
        plane, number = self.plane, self.slice
        rows, columns = (axis for axis in range(3) if axis != plane.axis)
        corners = [
            plane.point(number, low_or[rows], or_high[columns]) for low_or in (low, high) for or_high in (low, high)
        ]
        extent = [np.ptp([corner @ axis for corner in corners]) for axis in (plane.right, plane.up)]
        self.mm_per_pixel = float(max(extent[0] / max(size[0], 1), extent[1] / max(size[1], 1)) * RIM) or 1.0
        self.go_to(number, ((low[rows] + high[rows]) / 2, (low[columns] + high[columns]) / 2))

    def inside(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns (from, up to but not including) whose voxel centres lie inside a view of ``size`` pixels.

        (0, 0) and (0, 0) where a voxel is smaller than a pixel: it does not stand apart from its neighbours then.
        """
        rows, columns = (axis for axis in range(3) if axis != self.plane.axis)
        spacing = [self.plane.grid.spacing[2 - axis] for axis in (rows, columns)]
        if min(spacing) < self.mm_per_pixel * (1.0 - 1e-6):
            return (0, 0), (0, 0)
        corners = [self.plane.place(self.point_at(x, y, size))[1:] for x in (0, size[0]) for y in (0, size[1])]
        found = []
        for places, axis in zip(zip(*corners, strict=True), (rows, columns), strict=True):
            ends = np.ceil(min(places) - 1e-6), np.floor(max(places) + 1e-6) + 1
            low, high = (int(np.clip(end, 0, self.plane.grid.shape[axis])) for end in ends)
            found.append((low, max(low, high)))
        return found[0], found[1]

    def pixel_of(self, row: float, column: float, size: tuple[int, int]) -> tuple[float, float]:
        """Pixel (x, y), from the lower left corner of a view of ``size``, of a place in the slice that is shown."""
        away = self.plane.point(self.slice, row, column) - self.point
        return (
            size[0] / 2 + float(away @ self.plane.right) / self.mm_per_pixel,
            size[1] / 2 + float(away @ self.plane.up) / self.mm_per_pixel,
        )

    def point_at(self, x: float, y: float, size: tuple[int, int]) -> np.ndarray:
        """RAS point (3,) under pixel (x, y) of a view of ``size``, counted from its lower left corner."""
        across, upward = ((value - extent / 2) * self.mm_per_pixel for value, extent in zip((x, y), size, strict=True))
        return np.asarray(self.point + self.plane.right * across + self.plane.up * upward)

    def adopt(self, slice_node: Any) -> bool:
        """Take place and zoom over from a vtkMRMLSliceNode that shows the plane at hand; returns whether they changed.

        A node that is turned otherwise is left out of account.
        """
        matrix = slice_node.GetSliceToRAS()
        shown = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        if not np.allclose(shown[:3, :2], np.stack([self.plane.right, self.plane.up], axis=1), atol=1e-3):
            return False
        mm_per_pixel = slice_node.GetFieldOfView()[0] / max(slice_node.GetDimensions()[0], 1)
        same = np.allclose(shown[:3, 3], self.point, atol=1e-4) and np.isclose(mm_per_pixel, self.mm_per_pixel)
        self.point, self.mm_per_pixel = shown[:3, 3].copy(), float(mm_per_pixel)
        return not same

    def apply(self, slice_nodes: Sequence[Any]) -> None:
        """Give plane, place and zoom to vtkMRMLSliceNodes, each by its own dimensions."""
        matrix = self.plane.slice_to_ras(self.point)
        for node in slice_nodes:
            width, height = node.GetDimensions()[:2]
            changing = node.StartModify()
            for row in range(4):
                for column in range(4):
                    node.GetSliceToRAS().SetElement(row, column, matrix[row, column])
            node.SetFieldOfView(width * self.mm_per_pixel, height * self.mm_per_pixel, self.plane.spacing)
            node.UpdateMatrices()
            node.EndModify(changing)
