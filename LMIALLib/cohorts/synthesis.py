"""Pairs with known change, painted into single time points.

Both visits show the same brain. Lesions shaped like real ones are added to one visit or to both (stable ones must not
be reported), and lesions that an expert outlined are taken out of one visit, whole or but for their core; then each
visit is scanned by its own protocol: slice thickness and position, sub-voxel misalignment and small deformation,
sharpness, contrast, bias field, noise. That synthesis from single time points trains good detectors of new
lesions was shown by Kamraoui et al., Frontiers in Neuroimaging 2022, doi 10.3389/fnimg.2022.948235.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from LMIALLib.cohorts import visits
from LMIALLib.cohorts.backgrounds import Background
from LMIALLib.cohorts.painting import Slab, Synthesis, paint, slab_of
from LMIALLib.cohorts.shapes import ShapeLibrary

__all__ = ["Sample", "Synthesis", "synthesise"]


@dataclass(frozen=True)
class Sample:
    """One synthetic slice of a pair with its two neighbours.

    Args:
        baseline, follow_up: float32 (3, rows, columns), as in `Pair`; 0 outside the brain.
        brain: bool (3, rows, columns).
        target: uint8 (rows, columns), 1 where the middle slice changed.
        background: name of the time point that it was painted into.
    """

    baseline: np.ndarray
    follow_up: np.ndarray
    brain: np.ndarray
    target: np.ndarray
    background: str


def synthesise(background: Background, shapes: ShapeLibrary, rng: np.random.Generator, settings: Synthesis) -> Sample:
    """One sample; the same background, shapes, generator state and settings give the same sample."""
    pixel = rng.uniform(*settings.pixel_mm)
    centre = _centre(background, rng)
    slab, first, second = _slab(background, centre, pixel, rng, settings)
    paint(slab, background, shapes, rng, settings)
    swap = int(rng.random() < 0.5)
    place = _grid(slab, background, centre, pixel, rng, settings)
    moved = place if background.earlier is not None else _moved(place, background, rng, settings)
    baseline = _sampled(_mixed(first, slab.lesioned[swap]), moved)
    follow_up = _sampled(_mixed(second, slab.lesioned[1 - swap]), place)
    brain = _uneven(_sampled(_mixed(second, slab.brain.astype(np.float32)), place) > 0.5, rng)
    if rng.random() < settings.missing:
        brain[rng.choice((0, 2))] = False
    changed = _change(slab, second[1:2], settings)
    target = brain[1] & (_sampled(changed, place)[0] > 0.5)
    scanned = _scanned if background.earlier is None else _varied
    baseline, follow_up = scanned(baseline, follow_up, brain, rng, settings)
    return Sample(baseline * brain, follow_up * brain, brain, target.astype(np.uint8), background.name)


def _mixed(weights: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Weighted sums (m, n) of slices (n, rows, columns), float32 (m, rows, columns)."""
    total = np.zeros((len(weights), *slices.shape[1:]), np.float32)
    for row, result in zip(weights, total, strict=True):
        for weight, plane in zip(row, slices, strict=True):
            if weight != 0.0:
                result += weight * plane
    return total


def _change(slab: Slab, weights: np.ndarray, settings: Synthesis) -> np.ndarray:
    """Where a reader of the follow-up's slice would mark change, float32 0 or 1 (1, rows, columns) of the slab.

    More than 0.35 of the slice's thickness must have changed: readers' masks are generous. Painted change must be
    visible; what an expert outlined counts as it is.
    """
    share = _mixed(weights, slab.occupancy[1] - slab.occupancy[0])
    difference = _mixed(weights, slab.lesioned[1] - slab.lesioned[0])
    changed = (np.abs(share) > 0.35) & (np.abs(difference) > settings.visible)
    if slab.marked.any():
        changed |= _mixed(weights, slab.marked.astype(np.float32)) > 0.35
    return changed.astype(np.float32)


def _centre(background: Background, rng: np.random.Generator) -> np.ndarray:
    """Voxel index (slice, row, column) in the middle of a sample: mostly a likely lesion site, else any brain voxel."""
    if rng.random() < 0.7:
        return background.sites[rng.integers(len(background.sites))].astype(float)
    return background.anywhere[rng.integers(len(background.anywhere))].astype(float)


def _slab(
    background: Background, centre: np.ndarray, pixel: float, rng: np.random.Generator, settings: Synthesis
) -> tuple[Slab, np.ndarray, np.ndarray]:
    """The slices that make up both visits, cut to a square that holds the turned sample, and their weights in each."""
    reach = int(np.ceil(18.0 / background.slice_mm))
    near = np.arange(max(0, int(centre[0]) - reach), min(len(background.volume), int(centre[0]) + reach + 1))
    positions = (near - centre[0]) * background.slice_mm
    first, second = _profiles(background, positions, rng, settings)
    used = np.flatnonzero((np.abs(first) > 1e-3).any(axis=0) | (np.abs(second) > 1e-3).any(axis=0))
    kept = slice(int(used[0]), int(used[-1]) + 1)
    half = int(np.ceil(settings.size * pixel / background.pixel_mm * 0.5 * 1.2)) + 2
    low = [max(0, round(value) - half) for value in centre[1:]]
    box = (slice(near[kept][0], near[kept][-1] + 1), *(slice(a, a + 2 * half) for a in low))
    corner = (int(near[kept][0]), low[0], low[1])
    return slab_of(background, box, positions[kept], corner), first[:, kept], second[:, kept]


def _profiles(
    background: Background, positions: np.ndarray, rng: np.random.Generator, settings: Synthesis
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (3, n) of the slab's slices in three slices of the baseline (interpolated from another grid) and of the
    follow-up (seldom so). A registered pair is taken as it is.
    """
    step = background.slice_mm
    thin = step < 2.0
    thickness = rng.uniform(1.0, 4.5) if thin else step
    apart = thickness * np.array([-1.0, 0.0, 1.0])
    scanned = np.stack([visits.overlap(d, thickness, positions, step) for d in apart]).astype(np.float32)
    if background.earlier is not None:
        return scanned, scanned

    def interpolated(other: float, off: float) -> np.ndarray:
        phase = rng.random()
        rows = [
            visits.resampled_profile((phase + (d + off) / other) % 1.0, other, positions - d - off, step) for d in apart
        ]
        return np.stack(rows).astype(np.float32)

    second = interpolated(thickness, 0.0) if rng.random() < 0.2 else scanned
    if rng.random() < 0.1:
        return second, second
    other = rng.uniform(1.0, 5.0) if thin else step * rng.uniform(1.0, 1.6)
    return interpolated(other, rng.normal(0.0, settings.shift)), second


def _grid(
    slab: Slab, background: Background, centre: np.ndarray, pixel: float, rng: np.random.Generator, settings: Synthesis
) -> np.ndarray:
    """Where the sample's pixels lie in the slab, float32 (2, rows, columns): turned, mirrored, sometimes transposed."""
    ruler = (np.arange(settings.size, dtype=np.float32) - (settings.size - 1) / 2) * np.float32(
        pixel / background.pixel_mm
    )
    rows, columns = np.meshgrid(ruler, ruler * np.float32(rng.uniform(0.92, 1.08)), indexing="ij")
    turn = rng.normal(0.0, 0.15)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    place = np.stack((cosine * rows - sine * columns, sine * rows + cosine * columns))
    place *= np.where(rng.random(2) < 0.5, np.float32(-1), np.float32(1))[:, None, None]
    if rng.random() < 0.3:
        place = place[::-1]
    jitter = rng.uniform(-0.22, 0.22, 2) * settings.size * pixel / background.pixel_mm
    middle = centre[1:] + jitter - np.array(slab.corner[1:])
    return (place + middle[:, None, None]).astype(np.float32)


def _moved(place: np.ndarray, background: Background, rng: np.random.Generator, settings: Synthesis) -> np.ndarray:
    """The same places seen after a small shift, shrinkage and smooth deformation."""
    shape = (place.shape[1], place.shape[2])
    strength = np.exp(rng.normal(0.0, 0.5)) / background.pixel_mm
    middle = place.mean(axis=(1, 2), keepdims=True)
    shrunk = np.float32(rng.normal(0.0, settings.atrophy)) * (place - middle)
    shift = rng.normal(0.0, settings.shift * strength, 2).astype(np.float32)
    warp = np.stack([visits.smooth_field(rng, shape, int(rng.integers(5, 11))) for _ in range(2)])
    return place + shrunk + shift[:, None, None] + np.float32(settings.warp * strength * rng.random()) * warp


def _sampled(planes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values of planes (m, rows, columns) at places (2, r, s), bilinear, float32 (m, r, s); 0 beyond their border."""
    from scipy.ndimage import map_coordinates

    seen = [map_coordinates(p, place, order=1, mode="constant", cval=0.0, output=np.float32) for p in planes]
    return np.stack(seen)


def _uneven(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A brain region drawn a little too large or too small, as masks are."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(brain.astype(np.float32), (0.0, 2.0, 2.0), truncate=2.0)
    return brain & (smooth > rng.uniform(0.3, 0.8))


def _scanned(
    baseline: np.ndarray, follow_up: np.ndarray, brain: np.ndarray, rng: np.random.Generator, settings: Synthesis
) -> tuple[np.ndarray, np.ndarray]:
    """Both visits after their own protocols, the baseline matched to the follow-up but for what matching leaves."""
    common = rng.normal(0.0, settings.gamma)
    noise = np.exp(rng.uniform(*np.log(settings.noise)))
    scanned = []
    for values in (baseline, follow_up):
        gamma = np.exp(common + rng.normal(0.0, settings.gamma))
        scanned.append(_protocol(values, gamma, noise * np.exp(rng.normal(0.0, 0.4)), rng, settings))
    first, second = scanned
    first = visits.matched(first, second, brain)
    first = first * np.float32(1 + rng.normal(0, settings.gain)) + np.float32(rng.normal(0, settings.offset))
    scale, offset = np.float32(np.exp(rng.normal(0, 0.12))), np.float32(rng.normal(0, 0.15))
    return (first * scale + offset).astype(np.float32), (second * scale + offset).astype(np.float32)


def _varied(
    baseline: np.ndarray, follow_up: np.ndarray, brain: np.ndarray, rng: np.random.Generator, settings: Synthesis
) -> tuple[np.ndarray, np.ndarray]:
    """Both visits of a real pair with a little more contrast, bias and noise: half the spread between two protocols."""
    if rng.random() < 0.3:
        return baseline, follow_up
    milder = replace(
        settings,
        gamma=settings.gamma / 2,
        blur=(0.0, settings.blur[1] / 2),
        noise=(settings.noise[0] / 4, settings.noise[1] / 4),
        flow=0.0,
    )
    return _scanned(baseline, follow_up, brain, rng, milder)


def _protocol(
    values: np.ndarray, gamma: float, noise: float, rng: np.random.Generator, settings: Synthesis
) -> np.ndarray:
    """One visit's contrast, CSF flow, sharpness, bias field and noise."""
    from scipy.ndimage import gaussian_filter

    shape = (values.shape[1], values.shape[2])
    if rng.random() < settings.flow:
        patch = np.clip(visits.smooth_field(rng, shape, 6) - 0.8, 0.0, 1.0)
        values = values + patch * np.maximum(-0.5 - values, 0.0)
    values = visits.contrast_curve(values, gamma)
    blur = rng.uniform(*settings.blur)
    if blur > 0.25:
        values = gaussian_filter(values, (0.0, blur, blur), truncate=3.0)
    values = visits.with_bias(values, np.float32(settings.bias) * visits.smooth_field(rng, shape, 4))
    correlation = rng.uniform(0.0, 0.9)
    return visits.rician(
        values, visits.grain(rng, values.shape, noise, correlation), visits.grain(rng, values.shape, noise, correlation)
    )
