"""How the slices of a stored grid lie on a screen. Radiological convention: the patient's right is on the left.

MRML is RAS, LMIAL's grids are LPS; a slice view shows the plane spanned by the first two columns of its SliceToRAS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.geometry import Grid

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCREEN = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
"""Physical axis through the plane -> physical axes across and up the screen (0 left, 1 posterior, 2 superior)."""
_LETTERS = {0: ("R", "L"), 1: ("A", "P"), 2: ("I", "S")}
_NAMES = {0: "sagittal", 1: "coronal", 2: "axial"}


def ijk_to_ras(grid: Grid) -> np.ndarray:
    """(4, 4) matrix from voxel indices (i, j, k) to RAS points in mm."""
    return np.asarray(LPS_TO_RAS @ grid.index_to_point())


@dataclass(frozen=True)
class Plane:
    """Slices along one array axis of a grid.

    Args:
        grid: the grid.
        axis: array axis (k, j, i) along which slices are counted.
        name: axial, coronal or sagittal, whichever is nearest.
        right, up, through: unit vectors in RAS: across the screen, up the screen, towards higher slice numbers.
        letters: at the left, right, top and bottom edge.
    """

    grid: Grid
    axis: int
    name: str
    right: np.ndarray
    up: np.ndarray
    through: np.ndarray
    letters: tuple[str, str, str, str]

    @classmethod
    def of(cls, grid: Grid, axis: int) -> Plane:
        """The plane of slices along array axis ``axis``, turned as a radiologist expects."""
        directions = np.array(grid.direction).reshape(3, 3)  # LPS; column c belongs to index axis c
        physical = _nearest_axes(directions)
        across, upward = _SCREEN[physical[2 - axis]]
        right, up = (directions[:, physical.index(wanted)] for wanted in (across, upward))
        right = right if right[across] > 0 else -right
        up = up if (up[upward] > 0) == (upward == 2) else -up
        left_right = _LETTERS[across]
        bottom_top = _LETTERS[upward] if upward == 2 else _LETTERS[upward][::-1]
        flip = np.array([-1.0, -1.0, 1.0])
        return cls(
            grid,
            axis,
            _NAMES[physical[2 - axis]],
            right * flip,
            up * flip,
            directions[:, 2 - axis] * flip,
            (*left_right, bottom_top[1], bottom_top[0]),
        )

    @property
    def n_slices(self) -> int:
        """How many slices there are."""
        return self.grid.shape[self.axis]

    @property
    def spacing(self) -> float:
        """Millimetres between slices."""
        return self.grid.spacing[2 - self.axis]

    def slice_to_ras(self, point: np.ndarray) -> np.ndarray:
        """(4, 4) SliceToRAS of a view whose centre shows the RAS point ``point`` (3,), in mm."""
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = self.right, self.up, self.through, point
        return matrix

    def place(self, point: np.ndarray) -> tuple[float, float, float]:
        """(slice, row, column) of a RAS point, as fractions; whole numbers are voxel centres."""
        index = np.linalg.solve(ijk_to_ras(self.grid), np.append(point, 1.0))[:3][::-1]  # k, j, i
        rows, columns = (axis for axis in range(3) if axis != self.axis)
        return float(index[self.axis]), float(index[rows]), float(index[columns])

    def point(self, number: float, row: float, column: float) -> np.ndarray:
        """RAS point (3,) in mm of a place in a slice; the inverse of ``place``."""
        rows, columns = (axis for axis in range(3) if axis != self.axis)
        index = np.empty(3)
        index[self.axis], index[rows], index[columns] = number, row, column
        return np.asarray((ijk_to_ras(self.grid) @ np.append(index[::-1], 1.0))[:3])


def _nearest_axes(directions: np.ndarray) -> list[int]:
    """The physical axis (0, 1, 2) nearest to each index axis, each given once, the clearest first."""
    closeness = np.abs(directions)
    found = [-1, -1, -1]
    for _ in range(3):
        physical, index = np.unravel_index(int(np.argmax(closeness)), (3, 3))
        found[int(index)] = int(physical)
        closeness[physical, :] = -1.0
        closeness[:, index] = -1.0
    return found
