"""Painting lesions into the slices of one time point, twice: as the earlier and as the later visit shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from LMIALLib.cohorts import visits
from LMIALLib.cohorts.backgrounds import Background, Outlined
from LMIALLib.cohorts.shapes import LesionShape, ShapeLibrary

Range = tuple[float, float]
KINDS = ("new", "grown", "brighter", "active")
"""What happens to a lesion from the first visit to the second, or the other way round; an active one grows and
brightens, and is change as a whole."""
KIND_SHARES = (0.5, 0.28, 0.07, 0.15)


@dataclass(frozen=True)
class Synthesis:
    """How often and how strongly each effect acts; ranges are (low, high) of a uniform draw.

    Args:
        size: rows and columns of a sample.
        pixel_mm: side of a sample's pixel.
        blank: share of samples without any change.
        changed: largest number of changed lesions near one slice.
        stable: largest number of painted lesions that do not change.
        contrast: brightness of a lesion above white matter, robust spreads.
        edge: standard deviation of the in-plane softness of a lesion's border, mm. Readers' outlines lie where about
            half of the brightness is reached; borders are 2.0 mm soft in longitudinal/patient09 and about 0.8 mm in
            cross_sectional_MNI/patient19 and 26 (lesions over 30 mm2 in a slice).
        visible: least difference that the truth calls change, robust spreads.
        removed: share of outlined lesions that one visit lacks.
        eroded: share of outlined lesions of which one visit shows the core only.
        shift: standard deviation of the misalignment, mm, in plane and across.
        warp: standard deviation of the smooth deformation, mm.
        blur: standard deviation of in-plane smoothing, pixels.
        gamma: standard deviation of the logarithm of the contrast exponent.
        bias: standard deviation of the bias field left after matching.
        noise: standard deviation of the noise, robust spreads.
        gain: standard deviation of the scale left after matching.
        offset: standard deviation of the offset left after matching.
        flow: share of visits with a patch of brightened CSF.
        atrophy: standard deviation of the shrinkage in plane.
        missing: share of samples that lack a neighbouring slice, as at the end of the field of view.
    """

    size: int = 128
    pixel_mm: Range = (0.55, 1.05)
    blank: float = 0.12
    changed: int = 6
    stable: int = 4
    contrast: Range = (0.6, 4.2)
    edge: Range = (0.0, 2.2)
    visible: float = 0.3
    removed: float = 0.2
    eroded: float = 0.15
    shift: float = 0.35
    warp: float = 0.3
    blur: Range = (0.0, 0.9)
    gamma: float = 0.18
    bias: float = 0.02
    noise: Range = (0.05, 0.55)
    gain: float = 0.05
    offset: float = 0.08
    flow: float = 0.2
    atrophy: float = 0.004
    missing: float = 0.04


@dataclass
class Slab:
    """Base slices around the one that is made, cut to what the sample needs; arrays (slices, rows, columns).

    ``lesioned`` and ``occupancy`` hold what the earlier and the later visit show, and which share of a voxel is painted
    lesion; ``marked`` (bool) is change whose outline an expert drew.
    """

    volume: np.ndarray
    brain: np.ndarray
    positions: np.ndarray
    corner: tuple[int, int, int]
    lesioned: list[np.ndarray]
    occupancy: list[np.ndarray]
    marked: np.ndarray


def slab_of(
    background: Background, box: tuple[slice, ...], positions: np.ndarray, corner: tuple[int, int, int]
) -> Slab:
    """A box of a background, both visits as they are; ``positions`` (mm) and ``corner`` (voxels) say where it lies."""
    volume, brain = background.volume[box], background.brain[box]
    earlier = volume if background.earlier is None else background.earlier[box]
    marked = np.zeros(volume.shape, bool) if background.truth is None else background.truth[box].copy()
    empty = [np.zeros(volume.shape, np.float32) for _ in range(2)]
    return Slab(volume, brain, positions, corner, [earlier.copy(), volume.copy()], empty, marked)


def paint(
    slab: Slab, background: Background, shapes: ShapeLibrary, rng: np.random.Generator, settings: Synthesis
) -> None:
    """Change what both visits show of lesions: shares of voxels, and intensities with the lesions in them."""
    blank = rng.random() < settings.blank
    if background.lesions is not None and not blank:
        _take_lesions(slab, background.lesions, background.pixel_mm, rng, settings)
    if background.truth is not None and rng.random() < 0.5:
        return  # every second sample of a real pair stays as it was scanned
    shape = slab.volume.shape
    middle = slab.corner[0] - slab.positions[0] / background.slice_mm
    reach = 5.0 / background.slice_mm
    limits = np.searchsorted(background.sites[:, 0], [middle - reach, middle + reach])
    near = background.sites[limits[0] : limits[1] + 1] - np.array(slab.corner)
    near = near[(near >= 0).all(axis=1) & (near < np.array(shape)).all(axis=1)]
    if not len(near):
        return
    changed = 0 if blank else int(rng.integers(1, settings.changed + 1))
    for number in range(changed + int(rng.integers(0, settings.stable + 1))):
        spot = near[rng.integers(len(near))]
        kind = "stable" if number >= changed else str(rng.choice(KINDS, p=KIND_SHARES))
        _paint_lesion(slab, background, spot, kind, shapes, rng, settings)


def _take_lesions(
    slab: Slab, lesions: Outlined, pixel_mm: float, rng: np.random.Generator, settings: Synthesis
) -> None:
    """Take outlined lesions out of the earlier visit: some whole, of some all but the core, most stay."""
    box = tuple(slice(c, c + n) for c, n in zip(slab.corner, slab.volume.shape, strict=True))
    number = lesions.number[box]
    for lesion in np.unique(number[number > 0]):
        chance = rng.random()
        if chance > settings.removed + settings.eroded:
            continue
        lost = number == lesion
        if chance < settings.eroded:
            lost &= lesions.depth[box] < rng.uniform(0.15, 0.6)
        if not lost.any():
            continue
        slab.marked |= lost
        near = grown_box(lost, round(2.5 / pixel_mm))
        earlier = slab.lesioned[0][near]
        earlier += softly(lost[near], pixel_mm) * (lesions.healthy[box][near] - earlier)


def grown_box(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    """The smallest box around a mask (slices, rows, columns), with a margin in plane; the mask holds a voxel."""
    sides = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        more = margin if axis else 0
        sides.append(slice(max(int(filled[0]) - more, 0), int(filled[-1]) + 1 + more))
    return tuple(sides)


def softly(mask: np.ndarray, pixel_mm: float) -> np.ndarray:
    """A mask (slices, rows, columns) widened by about 1 mm in plane with a soft edge, float32 in [0, 1]."""
    from scipy.ndimage import gaussian_filter

    spread = gaussian_filter(mask.astype(np.float32), 0.8 / pixel_mm, axes=(-2, -1), truncate=2.5)
    return np.where(mask, np.float32(1.0), np.minimum(spread * 2.2, 1.0))


@dataclass(frozen=True)
class _Spot:
    """A lesion put somewhere: its shape, its middle as index into the slab, magnification, turn (radians) and
    mirroring.

    ``lift`` is how far its middle lies above the slice, mm, ``edge`` how soft its border is in plane, mm.
    """

    shape: LesionShape
    middle: np.ndarray
    scale: float
    turn: float
    mirror: np.ndarray
    lift: float
    edge: float

    @classmethod
    def draw(cls, middle: np.ndarray, shapes: ShapeLibrary, rng: np.random.Generator, edge: Range) -> _Spot:
        """A shape from the library, turned, mirrored, scaled and cut at any height."""
        shape = shapes.draw(rng)
        scale = float(np.exp(rng.normal(0.0, 0.2)))
        turn, mirror = float(rng.uniform(0, 2 * np.pi)), rng.random(2) < 0.5
        lift = float(rng.uniform(-0.5, 0.5)) * shape.occupancy.shape[0] * shape.spacing[0]
        return cls(shape, middle, scale, turn, mirror, lift, float(rng.uniform(*edge)))

    def shrunk(self, factor: float) -> _Spot:
        """The same lesion, smaller."""
        return replace(self, scale=self.scale * factor, lift=self.lift * factor)

    def rasterised(self, slab: Slab, background: Background) -> tuple[np.ndarray | None, tuple[int, int, int]]:
        """Shares of the slab's voxels, float32, and the corner of their box, which holds the soft border as well; None
        outside the slab."""
        from scipy.ndimage import affine_transform

        occupancy, spacing = self.shape.occupancy, np.array(self.shape.spacing)
        steps = np.array([background.slice_mm, background.pixel_mm, background.pixel_mm])
        extent = np.array(occupancy.shape) * spacing * self.scale
        reach = np.hypot(*extent[1:]) / 2 + 2.5 * self.edge
        half = np.array([extent[0] / 2, reach, reach]) / steps
        middle = self.middle + np.array([self.lift / steps[0], 0.0, 0.0])
        low = np.maximum(np.floor(middle - half), 0).astype(int)
        high = np.minimum(np.ceil(middle + half) + 1, slab.volume.shape).astype(int)
        corner = (int(low[0]), int(low[1]), int(low[2]))
        if (high <= low).any():
            return None, corner
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        flip = np.where(self.mirror, -1.0, 1.0)
        rotation = np.array([[flip[0], 0, 0], [0, cosine, -sine], [0, flip[1] * sine, flip[1] * cosine]])
        matrix = rotation * steps[None, :] / spacing[:, None] / self.scale
        offset = (np.array(occupancy.shape) - 1) / 2 + matrix @ (low - middle)
        moved = affine_transform(occupancy, matrix, offset, tuple(high - low), order=1, mode="constant", cval=0.0)
        return moved.astype(np.float32), corner


def _paint_lesion(
    slab: Slab,
    background: Background,
    middle: np.ndarray,
    kind: str,
    shapes: ShapeLibrary,
    rng: np.random.Generator,
    settings: Synthesis,
) -> None:
    """Paint one lesion into both visits: absent or smaller or fainter in the first unless it is stable."""
    spot = _Spot.draw(middle, shapes, rng, settings.edge)
    whole, corner = spot.rasterised(slab, background)
    if whole is None:
        return
    tissue = _tissue(slab, background, corner, whole.shape)
    whole *= tissue
    earlier = whole if kind in ("stable", "brighter") else np.zeros_like(whole)
    if kind in ("grown", "active"):
        smaller, where = spot.shrunk(rng.uniform(0.35, 0.85)).rasterised(slab, background)
        if smaller is not None:
            earlier = np.minimum(_within(smaller, where, corner, whole.shape), whole)
    level = background.white + np.exp(rng.uniform(*np.log(settings.contrast)))
    brightens = kind in ("brighter", "active")
    faded = level - rng.uniform(0.25, 0.8) * (level - background.white) if brightens else level
    # one texture for both visits: a stable lesion is the same lesion
    plane = (whole.shape[1], whole.shape[2])
    texture = 0.25 * (level - background.white) * visits.smooth_field(rng, plane, 6)
    box = tuple(slice(c, c + n) for c, n in zip(corner, whole.shape, strict=True))
    brain = slab.brain[box]
    for visit, (share, bright) in enumerate(((earlier, faded), (whole, level))):
        values = slab.lesioned[visit][box]
        shown = _with_soft_edge(share, spot.edge / background.pixel_mm) * tissue
        slab.lesioned[visit][box] = values + shown * np.maximum(bright + texture - values, 0.0) * brain
        # a lesion that brightened counts as change as a whole
        counted = np.zeros_like(share) if brightens and visit == 0 else share
        slab.occupancy[visit][box] = np.maximum(slab.occupancy[visit][box], counted * brain)


def _with_soft_edge(share: np.ndarray, sigma: float) -> np.ndarray:
    """Shares of voxels (slices, rows, columns), smoothed in plane by ``sigma`` pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(share, sigma, axes=(-2, -1), truncate=2.5) if sigma > 0.1 else share


def _tissue(slab: Slab, background: Background, corner: tuple[int, int, int], shape: tuple[int, ...]) -> np.ndarray:
    """How far a box holds tissue, float32 in [0, 1]: lesions grow in white and grey matter, never in the ventricles."""
    from scipy.ndimage import gaussian_filter

    box = tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))
    smooth = gaussian_filter(slab.volume[box], 0.7 / background.pixel_mm, axes=(-2, -1), truncate=2.5)
    return np.clip(smooth - (background.white - 2.5), 0.0, 1.0)


def _within(
    part: np.ndarray, corner: tuple[int, int, int], other: tuple[int, int, int], shape: tuple[int, ...]
) -> np.ndarray:
    """A box at ``corner`` as seen in the box of ``shape`` at ``other``."""
    result = np.zeros(shape, np.float32)
    start = [max(0, c - o) for c, o in zip(corner, other, strict=True)]
    source = [max(0, o - c) for c, o in zip(corner, other, strict=True)]
    size = [min(n - s, p - q) for n, s, p, q in zip(shape, start, part.shape, source, strict=True)]
    if min(size) > 0:
        result[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = part[
            tuple(slice(q, q + n) for q, n in zip(source, size, strict=True))
        ]
    return result
