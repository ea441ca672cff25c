"""`Pair`: two time points on one grid, with what the network and the reader see of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid


@dataclass(frozen=True)
class Pair:
    """Baseline and follow-up on one grid, intensities scaled and matched. Arrays (k, j, i), read-only by convention.

    Args:
        baseline: float32; brain median 0 and robust spread 1 after scaling, matched to the follow-up.
        follow_up: float32, same units.
        mask: bool, the brain region; scores and predictions are made only inside.
        grid: the grid of all three.
        axis: array axis along which slices are counted.
        registration: what registration did and how well (see ``pairs.registration``), JSON-ready.
        scaling: how raw intensities became these (see ``pairs.intensity``), JSON-ready.

    Example:
        >>> grid = Grid((4, 3, 2), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
        >>> scan = np.zeros(grid.shape, np.float32)
        >>> made = Pair(scan, scan + 1, np.ones(grid.shape, bool), grid, axis=0)
        >>> made.n_slices, made.slice_shape, made.slice_spacing, float(made.difference.mean())
        (2, (3, 4), 3.0, 1.0)
    """

    baseline: np.ndarray
    follow_up: np.ndarray
    mask: np.ndarray
    grid: Grid
    axis: int
    registration: dict[str, Any] = field(default_factory=dict)
    scaling: dict[str, Any] = field(default_factory=dict)

    @property
    def difference(self) -> np.ndarray:
        """Signed difference, follow-up minus baseline, float32 (k, j, i), 0 outside the brain region."""
        return np.where(self.mask, self.follow_up - self.baseline, np.float32(0))

    @property
    def n_slices(self) -> int:
        """Number of slices along the slice axis."""
        return int(self.baseline.shape[self.axis])

    @property
    def slice_shape(self) -> tuple[int, int]:
        """Rows and columns of one slice: the two remaining array axes, in array order."""
        shape = tuple(np.delete(self.baseline.shape, self.axis))
        return int(shape[0]), int(shape[1])

    @property
    def slice_spacing(self) -> float:
        """Millimetres between the centres of neighbouring slices."""
        return float(self.grid.spacing[2 - self.axis])

    @property
    def in_plane_spacing(self) -> tuple[float, float]:
        """Millimetres between rows and between columns of a slice."""
        by_array_axis = self.grid.spacing[::-1]
        rows, columns = (axis for axis in range(3) if axis != self.axis)
        return float(by_array_axis[rows]), float(by_array_axis[columns])

    def stack(self, volume: np.ndarray) -> np.ndarray:
        """A view (slices, rows, columns) of a volume (k, j, i)."""
        return np.moveaxis(volume, self.axis, 0)

    def unstack(self, stack: np.ndarray) -> np.ndarray:
        """The inverse of ``stack``: a view (k, j, i) of a stack (slices, rows, columns)."""
        return np.moveaxis(stack, 0, self.axis)

    def digest(self) -> str:
        """SHA-256 over grid, axis and arrays: the pair that a ranking names."""
        total = hashlib.sha256(repr((self.grid, self.axis)).encode())
        for array in (self.baseline, self.follow_up, self.mask):
            total.update(np.ascontiguousarray(array).view(np.uint8).data)  # no copy
        return total.hexdigest()
