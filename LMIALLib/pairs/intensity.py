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

from typing import Any

import numpy as np

LANDMARKS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
"""Per cent. Lesions are brighter than 95 % of the brain, so they lie on the straight continuation."""
SHADING_MM = 20.0
"""Standard deviation of the Gaussian: wider than any lesion, narrower than a coil's shading."""
ROUNDS = 3
OUTLIER = 2.5
"""Robust standard deviations beyond which a difference counts as change or edge, not as shading."""


def scale_and_match(
    baseline: np.ndarray,
    follow_up: np.ndarray,
    mask: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Match the baseline to the follow-up and scale both.

    Args:
        baseline, follow_up: (k, j, i) on one grid, raw intensities.
        mask: bool (k, j, i), the brain.
        spacing: mm along (k, j, i).

    Returns:
        baseline and follow-up as float32 (follow-up: median 0 and robust spread 1 over the mask; baseline on the same
        scale), and a JSON-ready report of what was done.
    """
    reference = np.asarray(follow_up, dtype=np.float32)
    matched = np.asarray(baseline, dtype=np.float32)
    if not mask.any():
        mask = np.ones(reference.shape, dtype=bool)
    multiplies = _is_intensity(reference, mask) and _is_intensity(matched, mask)
    window = _window(mask)
    source = matched
    shading = np.ones_like(reference) if multiplies else np.zeros_like(reference)
    for _ in range(ROUNDS):
        if multiplies:
            corrected, wanted = source * shading, reference
        else:
            corrected, wanted = source, reference - shading
        curve = _quantiles(corrected[mask]), _quantiles(wanted[mask])
        matched = _through(corrected, *curve)
        if not multiplies:
            matched = matched + shading
        step = _shading(matched, reference, mask, spacing, window, multiplies)
        matched = matched * step if multiplies else matched + step
        shading = shading * step if multiplies else shading + step
    low, middle, high = np.percentile(reference[mask], [25, 50, 75])
    spread = float(high - low) / 1.349 or float(reference[mask].std()) or 1.0
    inside = shading[mask]
    ours, theirs = (((image - middle) / spread).astype(np.float32) for image in (matched, reference))
    report = {
        "median": float(middle),
        "spread": spread,
        "landmarks_percent": list(LANDMARKS),
        "landmarks_baseline": curve[0].tolist(),
        "landmarks_follow_up": curve[1].tolist(),
        "shading": "ratio" if multiplies else "difference",
        "shading_mm": SHADING_MM,
        "shading_range": [float(inside.min()), float(inside.max())],
        "residual_spread": float(np.median(np.abs((theirs - ours)[mask]))) * 1.4826,
    }
    return ours, theirs, report


def _is_intensity(image: np.ndarray, mask: np.ndarray) -> bool:
    """Whether zero means no signal: hardly a negative voxel, and a brain that lies well above zero."""
    low, middle = np.percentile(image[mask], [1, 50])
    return bool(image.min() >= -0.05 * abs(middle) and middle > 0 and low >= 0)


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


def _window(mask: np.ndarray) -> tuple[slice, ...]:
    """The box around the mask: nothing outside it takes part."""
    from scipy import ndimage as ndi

    found = ndi.find_objects(mask.astype(np.uint8))[0]
    return tuple(found)


def _shading(
    matched: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    window: tuple[slice, ...],
    multiplies: bool,
) -> np.ndarray:
    """The smooth field that takes ``matched`` to ``reference``; beyond the box it keeps the value of its border."""
    ours, theirs, inside = matched[window], reference[window], mask[window]
    difference = theirs - ours
    centre = np.median(difference[inside])
    deviation = float(np.median(np.abs(difference[inside] - centre))) * 1.4826
    stable = inside & (np.abs(difference - centre) <= OUTLIER * max(deviation, 1e-12))
    if not stable.any():
        stable = inside
    if multiplies:
        stable = stable & (ours > 0) & (theirs > 0)
        top, bottom = _smooth(theirs * stable, spacing), _smooth(ours * stable, spacing)
        floor = 1e-3 * float(bottom.max() or 1.0)
        field = (top + floor) / (bottom + floor)
    else:
        weight = _smooth(stable.astype(np.float32), spacing)
        field = _smooth(difference * stable, spacing) / (weight + 1e-3)
    pads = [(part.start, size - part.stop) for part, size in zip(window, mask.shape, strict=True)]
    return np.pad(field, pads, mode="edge").astype(np.float32)


def _smooth(values: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Gaussian of SHADING_MM, on a lattice of about a quarter of it: the result is as smooth and the work small."""
    from scipy import ndimage as ndi

    factors = [max(1, int(SHADING_MM / 5 / step)) for step in spacing]
    padded = np.pad(values, [(0, -size % factor) for size, factor in zip(values.shape, factors, strict=True)])
    blocks = padded.reshape([n for size, f in zip(padded.shape, factors, strict=True) for n in (size // f, f)])
    coarse = blocks.mean(axis=(1, 3, 5), dtype=np.float64)
    sigma = [SHADING_MM / (step * factor) for step, factor in zip(spacing, factors, strict=True)]
    smooth = ndi.gaussian_filter(coarse, sigma, mode="constant")
    places = [(np.arange(size) + 0.5) / factor - 0.5 for size, factor in zip(values.shape, factors, strict=True)]
    return _interpolated(smooth, places)


def _interpolated(coarse: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Linear interpolation axis after axis at the given indices, held at the borders."""
    for axis, wanted in enumerate(places):
        last = coarse.shape[axis] - 1
        at = np.clip(wanted, 0, last)
        low = np.minimum(at.astype(int), max(last - 1, 0))
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
        high = np.minimum(low + 1, last)
        coarse = (coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share).astype(np.float32)
    return coarse
