"""What the per-patient head sees of one pair: the frozen network's maps beside both visits, as stacks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.queries.pool import CaseMaps


@dataclass(frozen=True)
class HeadInputs:
    """One pair and what the network left of it; arrays (slices, rows, columns), read-only by convention.

    Args:
        mean: float32 in [0, 1], the network's mean probability of change; 0 outside the region.
        baseline, follow_up: float32; region median 0 and robust spread 1, as `Pair` holds them.
        region: bool, the part of the grid that is searched.
        spacing: mm between slices, rows and columns.
        variance: float32, variance of the probability over stochastic passes; None with a single pass.
        expected_entropy: float32, nats, mean over passes of each pass's entropy; None with a single pass.

    Raises ValueError for arrays of different shapes, a region that is not bool, or a spacing of 0 or less.
    """

    mean: np.ndarray
    baseline: np.ndarray
    follow_up: np.ndarray
    region: np.ndarray
    spacing: tuple[float, float, float]
    variance: np.ndarray | None = None
    expected_entropy: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.mean.ndim != 3:
            raise ValueError(f"mean has shape {self.mean.shape}; expected (slices, rows, columns)")
        for name in ("baseline", "follow_up", "region", "variance", "expected_entropy"):
            array = getattr(self, name)
            if array is not None and array.shape != self.mean.shape:
                raise ValueError(f"{name} has shape {array.shape}; expected {self.mean.shape}")
        if self.region.dtype != bool:
            raise ValueError(f"region is {self.region.dtype}; expected bool")
        if not all(np.isfinite(mm) and mm > 0 for mm in self.spacing):
            raise ValueError(f"spacing is {self.spacing}; expected millimetres above 0")

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.mean.shape[0])

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel, cubic millimetres."""
        return float(np.prod(self.spacing))

    def digest(self) -> str:
        """SHA-256 over everything that the head sees of the pair."""
        total = hashlib.sha256(repr(tuple(float(mm) for mm in self.spacing)).encode())
        for name in ("mean", "baseline", "follow_up", "region", "variance", "expected_entropy"):
            array = getattr(self, name)
            total.update(f"{name} {None if array is None else (array.dtype.str, array.shape)}".encode())
            if array is not None:
                total.update(np.ascontiguousarray(array).view(np.uint8).data)
        return total.hexdigest()


def inputs_of(pair: Pair, maps: CaseMaps) -> HeadInputs:
    """Put a prepared pair and the network's maps of it together, slices along the first axis."""
    baseline, follow_up = (
        np.ascontiguousarray(pair.stack(scan), dtype=np.float32) for scan in (pair.baseline, pair.follow_up)
    )
    return HeadInputs(
        mean=maps.mean,
        baseline=baseline,
        follow_up=follow_up,
        region=np.ascontiguousarray(pair.stack(pair.mask)),
        spacing=(pair.slice_spacing, *pair.in_plane_spacing),
        variance=maps.variance,
        expected_entropy=maps.expected_entropy,
    )
