"""White-matter lesions of a synthetic head at two time points: stable, new, enlarged, shrunk and vanished ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.cohorts.anatomy import GREY, HEAD_SPACING, NUCLEUS, WHITE, Head, head_axes

NEW, ENLARGED, SHRUNK, VANISHED = 2, 3, 4, 5
"""Values of the label schema for what became of a lesion; a stable lesion is not labelled."""


@dataclass(frozen=True)
class LesionCounts:
    """How many lesions of each fate a head has."""

    stable: int
    new: int
    enlarged: int
    shrunk: int
    vanished: int

    def changed(self) -> list[int]:
        """The fate of every changed lesion, as label-schema values."""
        return [NEW] * self.new + [ENLARGED] * self.enlarged + [SHRUNK] * self.shrunk + [VANISHED] * self.vanished


@dataclass(frozen=True)
class Lesions:
    """Occupancy by lesions at both time points, arrays (z, y, x) on the head grid.

    Args:
        before: float32 in [0, 1], share of the voxel that is lesion at baseline.
        after: the same at follow-up.
        fate: uint8; around each changed lesion its label-schema value, 0 elsewhere.
    """

    before: np.ndarray
    after: np.ndarray
    fate: np.ndarray


def place_lesions(
    head: Head, counts: LesionCounts, radius: tuple[float, float], changed_extent: float, rng: np.random.Generator
) -> Lesions:
    """Put lesions into the white matter, apart from each other; most stable ones touch the ventricles.

    Args:
        head: the anatomy; lesions stay in white matter, deep grey matter and inner cortex.
        counts: how many of each fate; one that finds no room in 200 attempts is left out.
        radius: range of the mean radius, mm.
        changed_extent: how many mm along z the changed lesions may touch together, so that most slices have none.
        rng: the source of chance.
    """
    fields = _Fields.empty(head)
    levels = np.zeros(head.tissue.shape[0], dtype=bool)
    allowed = int(changed_extent / HEAD_SPACING[0])
    for fate in counts.changed():
        for _ in range(200):
            spot = _Spot.draw(fields.near_ventricle if rng.random() < 0.4 else fields.anywhere, radius, rng)
            touched = levels | spot.levels(levels.size)
            if touched.sum() <= allowed and fields.add(spot, fate):
                levels = touched
                break
    for _ in range(counts.stable):
        near = rng.random() < 0.75
        for _ in range(50):
            spot = _Spot.draw(fields.near_ventricle if near else fields.anywhere, (radius[0] * 0.7, radius[1]), rng)
            if fields.add(spot, 0):
                break
    return Lesions(fields.before, fields.after, fields.fate)


@dataclass(frozen=True)
class _Spot:
    """A bumpy ellipsoid: centre (z, y, x) as index, half axes in mm, rotation, bumps, share of the smaller size."""

    centre: tuple[int, int, int]
    half_axes: np.ndarray
    rotation: np.ndarray
    waves: np.ndarray
    smaller: float

    @classmethod
    def draw(cls, places: np.ndarray, radius: tuple[float, float], rng: np.random.Generator) -> _Spot:
        """Draw one at a random member of ``places``, voxel indices (n, 3)."""
        centre = places[rng.integers(len(places))]
        half_axes = rng.uniform(*radius) * rng.uniform(0.75, 1.3, 3)
        rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        waves = rng.standard_normal((3, 4))
        k, j, i = (int(v) for v in centre)
        return cls((k, j, i), half_axes, rotation, waves, float(rng.uniform(0.45, 0.65)))

    def reach(self) -> np.ndarray:
        """Voxels along each axis from the centre to the border of its crop."""
        return np.ceil((self.half_axes.max() * 1.35 + 2.0) / np.array(HEAD_SPACING)).astype(int)

    def levels(self, n: int) -> np.ndarray:
        """Which of ``n`` levels along z it touches, bool (n,); generous by its bumps."""
        tall = int(np.ceil(np.linalg.norm(self.rotation[0] * self.half_axes) * 1.1 / HEAD_SPACING[0]))
        return np.abs(np.arange(n) - self.centre[0]) <= tall

    def depth(self) -> np.ndarray:
        """Depth in units of the mean radius over the crop: 1 at the centre, 0 on the surface, negative outside."""
        steps = [np.arange(-n, n + 1) * mm for n, mm in zip(self.reach(), HEAD_SPACING, strict=True)]
        points = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1) @ self.rotation / self.half_axes
        distance = np.linalg.norm(points, axis=-1)
        angle = points / np.maximum(distance, 1e-6)[..., None]
        bumps = 0.10 * np.sin(angle @ self.waves[:, :3] * 2.0 + self.waves[:, 3]).sum(axis=-1)
        return 1.0 - distance * (1.0 + bumps)


@dataclass(frozen=True)
class _Fields:
    """What has been placed so far, and where lesions may go."""

    before: np.ndarray
    after: np.ndarray
    fate: np.ndarray
    taken: np.ndarray
    soil: np.ndarray
    near_ventricle: np.ndarray
    anywhere: np.ndarray

    @classmethod
    def empty(cls, head: Head) -> _Fields:
        """No lesion yet; candidates are white-matter voxels of the hemispheres, away from the top and the base."""
        z, y, _ = head_axes()
        white = (head.tissue == WHITE) & (z > -16.0) & (z < 52.0) & (np.abs(y) < 70.0)
        near = white & (head.to_ventricle > 1.0) & (head.to_ventricle < 7.0)
        shape = head.tissue.shape
        return cls(
            before=np.zeros(shape, dtype=np.float32),
            after=np.zeros(shape, dtype=np.float32),
            fate=np.zeros(shape, dtype=np.uint8),
            taken=np.zeros(shape, dtype=bool),
            soil=np.isin(head.tissue, (WHITE, GREY, NUCLEUS)),
            near_ventricle=np.argwhere(near),
            anywhere=np.argwhere(white),
        )

    def add(self, spot: _Spot, fate: int) -> bool:
        """Write one lesion if its place is free and mostly white matter; says whether it did."""
        reach = spot.reach()
        low, high = np.array(spot.centre) - reach, np.array(spot.centre) + reach + 1
        if (low < 0).any() or (high > self.taken.shape).any():
            return False
        crop = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        depth = spot.depth()
        body, halo = depth > 0.0, depth > -0.6
        if self.taken[crop][halo].any() or self.soil[crop][body].mean() < 0.8:
            return False
        size = float(spot.half_axes.mean())
        large = _soft(depth, size) * self.soil[crop]
        small = _soft(depth - (1.0 - spot.smaller), size) * self.soil[crop]
        nothing = np.zeros_like(large)
        before, after = {
            0: (large, large),
            NEW: (nothing, large),
            ENLARGED: (small, large),
            SHRUNK: (large, small),
            VANISHED: (large, nothing),
        }[fate]
        self.before[crop] = np.maximum(self.before[crop], before)
        self.after[crop] = np.maximum(self.after[crop], after)
        self.taken[crop] |= halo
        self.fate[crop][halo] = fate
        return True


def _soft(depth: np.ndarray, size: float) -> np.ndarray:
    """Occupancy float32 in [0, 1] from depth in units of ``size`` mm: the border is 1.2 mm soft."""
    return np.clip(0.5 + depth * size / 1.2, 0.0, 1.0).astype(np.float32)
