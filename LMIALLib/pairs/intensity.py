"""Bringing the grey values of two visits onto one scale, so that what has not changed differs by nothing.

MR intensities have no unit: protocol, coil and scanner change gain, offset, contrast curve and a smooth shading. Four
steps, all of them blind to a few per cent of changed voxels:

1. *Curve*: quantiles 5 to 95 of the baseline are mapped to the follow-up's within the brain (standardisation by
   histogram landmarks: Nyul, Udupa and Zhang, IEEE TMI 19, 2000), monotone, straight beyond the ends.
2. *Shading*: the smooth field between both (masked Gaussian, 20 mm), from voxels whose difference is no outlier.
   A coil's shading multiplies, so it is a ratio where both images are intensities over a dark background, and a
   difference otherwise (CT, images scaled before).
3. Curve and shading are repeated, as each disturbs the other's estimate.
4. *Scale*: both minus the follow-up's median over the brain, divided by its robust spread (quartiles / 1.349, the
   standard deviation of a normal distribution).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from LMIALLib.pairs.outliers import OUTLIERS
from LMIALLib.pairs.resampling import slabs_of

LANDMARKS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
"""Per cent. Lesions are brighter than 95 % of the brain, so they lie on the straight continuation."""
SHADING_MM = 20.0
"""Standard deviation of the Gaussian: wider than any lesion, narrower than a coil's shading."""
ROUNDS = 3
OUTLIER = 2.5
"""Robust standard deviations beyond which a difference counts as change or edge, not as shading."""
MOST_VOXELS = 4_000_000
"""Of the brain, from which curve and shading are estimated; of a larger one every second, third ... voxel is taken."""
_AT_ONCE = 500_000


def scale_and_match(
    baseline: np.ndarray,
    follow_up: np.ndarray,
    mask: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    in_place: bool = False,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Match the baseline to the follow-up and scale both.

    Args:
        baseline, follow_up: (k, j, i) on one grid, raw intensities.
        mask: bool (k, j, i), the brain.
        spacing: mm along (k, j, i).
        in_place: whether both arrays, float32 then, may be written over; they are what is returned.

    Returns:
        baseline and follow-up as float32 (follow-up: median 0 and robust spread 1 over the mask; baseline on the same
        scale), and a JSON-ready report of what was done.
    """
    reference = np.asarray(follow_up, dtype=np.float32)
    source = np.asarray(baseline, dtype=np.float32)
    if not mask.any():
        mask = np.ones(reference.shape, dtype=bool)
    voxels = _Voxels.of(source, reference, mask, spacing)
    multiplies = _is_intensity(reference, voxels.reference) and _is_intensity(source, voxels.source)
    shading = np.ones_like(voxels.reference) if multiplies else np.zeros_like(voxels.reference)
    fields: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(ROUNDS):
        if multiplies:
            corrected, wanted = voxels.source * shading, voxels.reference
        else:
            corrected, wanted = voxels.source, voxels.reference - shading
        curve = _quantiles(corrected), _quantiles(wanted)
        matched = _through(corrected, *curve)
        if not multiplies:
            matched += shading
        fields.append(voxels.shading(matched, multiplies))
        step = voxels.at(fields[-1])
        matched, shading = (matched * step, shading * step) if multiplies else (matched + step, shading + step)
    low, middle, high = np.percentile(voxels.reference, [25, 50, 75])
    spread = float(high - low) / 1.349 or float(voxels.reference.std()) or 1.0
    ours, theirs = (source, reference) if in_place else (np.empty_like(source), np.empty_like(reference))
    for start, slab in slabs_of(ours):
        rows = slice(start, start + len(slab))
        there = [voxels.field(field, mask.shape, rows) for field in fields]
        slab[:] = (_matched(source[rows], curve, there, multiplies) - middle) / spread
        theirs[rows] = (reference[rows] - middle) / spread
    report = {
        "median": float(middle),
        "spread": spread,
        "landmarks_percent": list(LANDMARKS),
        "landmarks_baseline": curve[0].tolist(),
        "landmarks_follow_up": curve[1].tolist(),
        "shading": "ratio" if multiplies else "difference",
        "shading_mm": SHADING_MM,
        "shading_range": [float(shading.min()), float(shading.max())],
        "residual_spread": float(np.median(np.abs(voxels.reference - matched))) / spread * 1.4826,
    }
    return ours, theirs, report


def _matched(
    source: np.ndarray, curve: tuple[np.ndarray, np.ndarray], fields: list[np.ndarray], multiplies: bool
) -> np.ndarray:
    """A slab of the baseline through the curve and the shading fields of all rounds."""
    before = fields[0]
    for field in fields[1:-1]:
        before = before * field if multiplies else before + field
    if multiplies:
        return _through(source * before, *curve) * fields[-1]
    return _through(source, *curve) + before + fields[-1]


def _is_intensity(image: np.ndarray, brain: np.ndarray) -> bool:
    """Whether zero means no signal: hardly a voxel is negative, and the brain lies well above zero."""
    low, middle = np.percentile(brain, [1, 50])
    below = np.count_nonzero(image < -0.05 * abs(middle)) / image.size
    return bool(100.0 * below <= OUTLIERS and middle > 0 and low >= 0)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Landmarks of a sample, made strictly increasing."""
    found = np.percentile(values, LANDMARKS)
    step = max(float(found[-1] - found[0]), abs(float(found[-1])), 1e-6) * 1e-6
    return np.asarray(np.maximum.accumulate(found + step * np.arange(len(found))))


def _through(image: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Piecewise linear through the landmarks; beyond them the straight line through first and last."""
    mapped = np.interp(image, before, after).astype(np.float32)
    slope = (after[-1] - after[0]) / (before[-1] - before[0])
    mapped += (slope * (np.minimum(image - before[0], 0) + np.maximum(image - before[-1], 0))).astype(np.float32)
    return mapped


@dataclass(frozen=True)
class _Voxels:
    """The voxels of the brain from which curve and shading are estimated, and the lattice on which shading is smooth.

    Args:
        source, reference: (n,) float32, baseline and follow-up.
        index: (3, n) their indices (k, j, i) within the box around the brain.
        box: that box within the volume; nothing outside it takes part.
        spacing: mm along (k, j, i).
        every: one of so many voxels of the brain is here.
    """

    source: np.ndarray
    reference: np.ndarray
    index: tuple[np.ndarray, ...]
    box: tuple[slice, ...]
    spacing: tuple[float, float, float]
    every: int

    @classmethod
    def of(
        cls, source: np.ndarray, reference: np.ndarray, mask: np.ndarray, spacing: tuple[float, float, float]
    ) -> _Voxels:
        """All voxels of the mask, or every n-th where there are more than ``MOST_VOXELS``."""
        every = max(1, -(-int(np.count_nonzero(mask)) // MOST_VOXELS))
        flat = np.flatnonzero(mask)[::every]
        index = [part.astype(np.int32) for part in np.unravel_index(flat, mask.shape)]
        box = tuple(slice(int(part.min()), int(part.max()) + 1) for part in index)
        for part, side in zip(index, box, strict=True):
            part -= side.start
        return cls(source.reshape(-1)[flat], reference.reshape(-1)[flat], tuple(index), box, spacing, every)

    @property
    def _lengths(self) -> list[int]:
        return [side.stop - side.start for side in self.box]

    @property
    def _factors(self) -> list[int]:
        """Voxels along each side of a cell of the lattice."""
        return [max(1, int(SHADING_MM / 5 / step)) for step in self.spacing]

    def shading(self, matched: np.ndarray, multiplies: bool) -> tuple[np.ndarray, np.ndarray]:
        """The smooth field from ``matched`` (n,) to the reference, as numerator and denominator on the lattice."""
        difference = self.reference - matched
        centre = np.median(difference)
        deviation = float(np.median(np.abs(difference - centre))) * 1.4826
        stable = np.abs(difference - centre) <= OUTLIER * max(deviation, 1e-12)
        if not stable.any():
            stable[:] = True
        if multiplies:
            stable &= (matched > 0) & (self.reference > 0)
            top, bottom = self._smooth(self.reference * stable), self._smooth(matched * stable)
            floor = 1e-3 * float(bottom.max() or 1.0)
            return top + floor, bottom + floor
        return self._smooth(difference * stable), self._smooth(stable) + 1e-3

    def _smooth(self, values: np.ndarray) -> np.ndarray:
        """Gaussian of SHADING_MM on the lattice, whose cells hold the mean over their voxels, 0 outside the brain."""
        from scipy import ndimage as ndi

        shape = [-(-length // factor) for length, factor in zip(self._lengths, self._factors, strict=True)]
        inside = [part // factor for part, factor in zip(self.index, self._factors, strict=True)]
        cells = np.ravel_multi_index(inside, shape)
        sums = np.bincount(cells, weights=values, minlength=int(np.prod(shape))).reshape(shape)
        sigma = [SHADING_MM / (step * factor) for step, factor in zip(self.spacing, self._factors, strict=True)]
        smooth = ndi.gaussian_filter(sums * (self.every / np.prod(self._factors)), sigma, mode="constant")
        return np.asarray(smooth, dtype=np.float32)

    def at(self, field: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """The field at the voxels, (n,) float32."""
        from scipy import ndimage as ndi

        found = np.empty(len(self.source), np.float32)
        for start in range(0, len(found), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            places = [(one[part] + 0.5) / factor - 0.5 for one, factor in zip(self.index, self._factors, strict=True)]
            top, bottom = (ndi.map_coordinates(one, places, order=1, mode="nearest") for one in field)
            found[part] = top / bottom
        return found

    def field(self, field: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], rows: slice) -> np.ndarray:
        """The field at ``rows`` of a volume (k, j, i); beyond the box it keeps the value of its border."""
        places = []
        for length, side, factor in zip(shape, self.box, self._factors, strict=True):
            index = np.clip(np.arange(length), side.start, side.stop - 1) - side.start
            places.append((index + 0.5) / factor - 0.5)
        places[0] = places[0][rows]
        top, bottom = (_interpolated(one, places) for one in field)
        return np.asarray(top / bottom)


def _interpolated(coarse: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Linear interpolation axis after axis at the given indices, held at the borders."""
    for axis, wanted in enumerate(places):
        last = coarse.shape[axis] - 1
        at = np.clip(wanted, 0, last)
        low = np.minimum(at.astype(int), max(last - 1, 0))
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
        high = np.minimum(low + 1, last)
        coarse = coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share
    return coarse
