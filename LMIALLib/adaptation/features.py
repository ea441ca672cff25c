"""Features of a voxel: what the frozen network and both visits say of it and of what lies around it.

All are float32 and made once a case, at candidates only. Lengths are millimetres, so that a feature means the same on
every grid; brightness is in robust spreads of the region, as `Pair` scales it; logits and entropies are in nats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from LMIALLib.adaptation.inputs import HeadInputs

LEAST_P = 1e-6
"""Probabilities are kept so far from 0 and 1 before a logit is taken."""

REACH = 1
"""Slices on either side that a feature looks at."""

SLAB = 24
"""Slices that are measured together, which bounds memory."""

CANDIDATE_P = 0.005
"""Voxels whose probability is so high or higher are candidates."""

CANDIDATE_SHARE = 0.05
"""So is this share of the region, where the smoothed difference is largest."""

MOST_CANDIDATES = 45_000
"""Where more voxels would be candidates, those with the lowest probability and difference are left out."""

FINE, MIDDLE, COARSE, WIDE = 0.7, 1.4, 2.8, 5.0
"""Standard deviations of the in-plane Gaussians, mm."""


@dataclass(frozen=True)
class Features:
    """Features at the candidates of one case, in the order of their voxels.

    Args:
        inputs: what they were made of.
        names: of the columns, see `UNITS`.
        values: float32 (candidates, columns).
        voxels: int64 (candidates,), sorted, index into the flattened stack.
        starts: int64 (slices + 1,): rows of slice k are ``starts[k]`` to ``starts[k + 1]``.
        logit: float32 (candidates,), the network's logit, nats.
        digest: SHA-256 over the inputs and how candidates and features are made.
    """

    inputs: HeadInputs
    names: tuple[str, ...]
    values: np.ndarray
    voxels: np.ndarray
    starts: np.ndarray
    logit: np.ndarray
    digest: str

    def rows_of(self, number: int) -> slice:
        """Rows of the candidates of a slice (0-based)."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def plane_of(self, number: int) -> np.ndarray:
        """Index of the candidates of a slice into its flattened plane, int64."""
        return self.voxels[self.rows_of(number)] - number * self.inputs.mean[0].size


def logit_of(p: np.ndarray) -> np.ndarray:
    """ln(p / (1 - p)), float32, of probabilities that are kept `LEAST_P` from 0 and 1."""
    p = np.clip(p, LEAST_P, 1.0 - LEAST_P)
    return np.log(p / (1.0 - p)).astype(np.float32)


def features_of(volumes: HeadInputs) -> Features:
    """Choose the candidates of a case and measure them: voxels that the network or the difference points at.

    Takes about a second for 60 slices of 334 x 325, and three for 256 x 256 x 180; keep the result. Raises nothing for
    a region without a voxel: there are no candidates then.
    """
    voxels = np.flatnonzero(candidates(volumes))
    names, values = measured(volumes, voxels)
    per_slice = volumes.mean[0].size
    starts = np.searchsorted(voxels, np.arange(volumes.n_slices + 1) * per_slice)
    recipe = repr((names, CANDIDATE_P, CANDIDATE_SHARE, MOST_CANDIDATES, FINE, MIDDLE, COARSE, WIDE))
    digest = hashlib.sha256(f"{recipe} {volumes.digest()}".encode()).hexdigest()
    return Features(volumes, names, values, voxels, starts, logit_of(volumes.mean.ravel()[voxels]), digest)


def candidates(volumes: HeadInputs) -> np.ndarray:
    """Voxels that the head may change, bool (slices, rows, columns); see `CANDIDATE_P` and `CANDIDATE_SHARE`."""
    region = volumes.region
    if not region.any():
        return np.zeros_like(region)
    size = np.abs(_smooth(difference_of(volumes), MIDDLE, volumes.spacing))
    threshold = np.quantile(size[region], 1.0 - CANDIDATE_SHARE)
    found = region & ((volumes.mean >= CANDIDATE_P) | (size > threshold))
    if np.count_nonzero(found) > MOST_CANDIDATES:
        worth = np.maximum(volumes.mean / CANDIDATE_P, size / max(float(threshold), 1e-6))[found]
        cut = np.partition(worth, worth.size - MOST_CANDIDATES)[worth.size - MOST_CANDIDATES]
        found[found] = worth >= cut
    return found


def difference_of(volumes: HeadInputs) -> np.ndarray:
    """Follow-up minus baseline, float32, 0 outside the region."""
    return np.where(volumes.region, volumes.follow_up - volumes.baseline, np.float32(0.0))


def measured(volumes: HeadInputs, voxels: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Measure voxels: names of the columns, and float32 (voxels, columns).

    Args:
        volumes: the case, or some of its slices.
        voxels: int, sorted, index into the flattened stack.
    """
    per_slice, found = volumes.mean[0].size, []
    names: list[str] = []
    for start in range(0, volumes.n_slices, SLAB):
        low, high = max(start - REACH, 0), min(start + SLAB + REACH, volumes.n_slices)
        ends = np.searchsorted(voxels, (start * per_slice, min(start + SLAB, volumes.n_slices) * per_slice))
        here = voxels[ends[0] : ends[1]] - low * per_slice
        columns = dict(_columns(_slices(volumes, low, high), here))
        names = list(columns)
        found.append(np.stack(list(columns.values()), axis=1))
    return tuple(names), np.concatenate(found)


def _slices(volumes: HeadInputs, low: int, high: int) -> HeadInputs:
    """Some slices of a case."""
    names = ("mean", "baseline", "follow_up", "region", "variance", "expected_entropy")
    given = {name: getattr(volumes, name) for name in names}
    parts = {name: None if array is None else array[low:high] for name, array in given.items()}
    return HeadInputs(**parts, spacing=volumes.spacing)  # type: ignore[arg-type]


def _smooth(volume: np.ndarray, mm: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """In-plane Gaussian of a stack, float32."""
    from scipy.ndimage import gaussian_filter

    sigma = (0.0, mm / spacing[1], mm / spacing[2])
    return np.asarray(gaussian_filter(volume.astype(np.float32, copy=False), sigma, truncate=3.0))


def _beside(volume: np.ndarray, step: int) -> np.ndarray:
    """Each slice's neighbour ``step`` slices on; the last slices repeat."""
    numbers = np.clip(np.arange(len(volume)) + step, 0, len(volume) - 1)
    return volume[numbers]


def _columns(volumes: HeadInputs, voxels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each feature's name and its values at the voxels, float32, one at a time: few stacks are in memory together."""
    for stacks in (_of_network(volumes), _of_scans(volumes), _of_difference(volumes)):
        for name, stack in stacks:
            yield name, stack.ravel()[voxels].astype(np.float32, copy=False)
    yield "edge_distance_mm", _edge_distance(volumes).ravel()[voxels]


def _of_network(volumes: HeadInputs) -> Iterator[tuple[str, np.ndarray]]:
    logit = logit_of(volumes.mean)
    yield "logit", logit
    yield "probability", volumes.mean
    fine = _smooth(logit, FINE, volumes.spacing)
    yield "logit_fine", fine
    below, above = _beside(fine, -1), _beside(fine, 1)
    yield "logit_below", below
    yield "logit_above", above
    yield "logit_beside", np.maximum(below, above)
    yield "logit_middle", _smooth(logit, MIDDLE, volumes.spacing)
    yield "logit_coarse", _smooth(logit, COARSE, volumes.spacing)
    variance = np.zeros_like(volumes.mean) if volumes.variance is None else volumes.variance
    yield "log_variance", np.log(np.maximum(variance, 1e-8))
    yield "expected_entropy", np.zeros_like(logit) if volumes.expected_entropy is None else volumes.expected_entropy


def _of_scans(volumes: HeadInputs) -> Iterator[tuple[str, np.ndarray]]:
    smooth = []
    for name, scan in (("baseline", volumes.baseline), ("follow_up", volumes.follow_up)):
        inside = np.where(volumes.region, scan, np.float32(0.0))
        middle = _smooth(inside, MIDDLE, volumes.spacing)
        wide = _smooth(inside, WIDE, volumes.spacing)
        yield name, inside
        yield f"{name}_middle", middle
        yield f"{name}_wide", wide
        yield f"{name}_blob", middle - wide
        smooth.append(middle)
    yield "brighter_visit", np.maximum(*smooth)
    yield "darker_visit", np.minimum(*smooth)


def _of_difference(volumes: HeadInputs) -> Iterator[tuple[str, np.ndarray]]:
    difference = difference_of(volumes)
    fine, middle, coarse, wide = (_smooth(difference, mm, volumes.spacing) for mm in (FINE, MIDDLE, COARSE, WIDE))
    for name, stack in (("", difference), ("_fine", fine), ("_middle", middle), ("_coarse", coarse)):
        yield f"difference{name}", stack
        yield f"size{name}", np.abs(stack)
    yield "difference_below", _beside(middle, -1)
    yield "difference_above", _beside(middle, 1)
    across = (_beside(middle, -1) + 2.0 * middle + _beside(middle, 1)) / 4.0
    yield "difference_across", across
    yield "size_across", np.abs(across)
    del across
    spread = np.sqrt(np.maximum(_smooth(fine * fine, WIDE, volumes.spacing) - wide * wide, 1e-4))
    yield "local_spread", spread
    yield "local_score", (middle - wide) / spread
    yield "local_score_size", np.abs(middle - wide) / spread
    del spread
    yield "blob_fine", fine - middle
    yield "blob_middle", middle - coarse
    yield "blob_middle_size", np.abs(middle - coarse)
    yield "blob_coarse", coarse - wide


def _edge_distance(volumes: HeadInputs) -> np.ndarray:
    """In-plane distance to the edge of the region, mm, at most 30."""
    from scipy.ndimage import distance_transform_edt

    found = np.zeros(volumes.region.shape, np.float32)
    for k, plane in enumerate(volumes.region):
        if plane.any():
            found[k] = np.minimum(distance_transform_edt(plane, volumes.spacing[1:]), 30.0)
    return found


UNITS = {
    "logit": "nats; the network's, at the voxel; _fine, _middle, _coarse: smoothed in plane by 0.7, 1.4, 2.8 mm",
    "logit_below": "nats; logit_fine of the slice below; logit_above of the one above; logit_beside the larger of both",
    "probability": "0 to 1; mean over the passes",
    "log_variance": "ln; variance of the probability over the passes",
    "expected_entropy": "nats; mean over passes of each pass's entropy",
    "baseline": "spreads; the earlier scan; _middle and _wide: smoothed by 1.4 and 5 mm; _blob: middle minus wide",
    "follow_up": "spreads; the later scan, likewise",
    "brighter_visit": "spreads; the larger of both scans' _middle: a lesion in either visit is bright there",
    "darker_visit": "spreads; the smaller of both",
    "difference": "spreads; follow-up minus baseline; _fine, _middle, _coarse: smoothed",
    "size": "spreads; absolute difference, likewise",
    "difference_below": "spreads; difference_middle of the slice below; difference_above of the one above",
    "difference_across": "spreads; difference_middle averaged over three slices (1, 2, 1); size_across: its size",
    "local_spread": "spreads; standard deviation of the fine difference within 5 mm",
    "local_score": "difference_middle minus its mean within 5 mm, over local_spread; local_score_size: its size",
    "blob_fine": "spreads; difference of Gaussians 0.7 and 1.4 mm: response to a spot of about 1 mm",
    "blob_middle": "spreads; 1.4 and 2.8 mm: a spot of about 2 mm; blob_middle_size: its size",
    "blob_coarse": "spreads; 2.8 and 5 mm: a spot of about 4 mm",
    "edge_distance_mm": "mm; in-plane distance to the edge of the region, at most 30",
}
"""What the features are and in which unit; names with an ending not listed stand under the name without it."""
