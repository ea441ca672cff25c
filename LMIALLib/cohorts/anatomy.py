"""A synthetic head: which tissue stands where, drawn from a seed, with a cortex that is folded by ridged noise.

The head frame is LPS in millimetres with its origin near the third ventricle. Arrays are (z, y, x) on a `HeadGrid`.
Nothing here knows time points or scanners: lesions are placed by `lesions`, pictures are taken by `acquisition`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

AIR, SOFT, FAT, BONE, CSF, VENTRICLE, GREY, WHITE, NUCLEUS, FOLIA = range(10)
"""Values of `Head.tissue`. SOFT is muscle and skin, VENTRICLE is CSF inside the brain, FOLIA is cerebellar cortex."""

HEAD_SPACING = (1.5, 1.0, 1.0)
"""Millimetres between voxels of the head grid along z, y, x."""

_LOW, _HIGH = (-62.0, -108.0, -84.0), (78.0, 104.0, 84.0)


@dataclass(frozen=True)
class HeadShape:
    """What differs between two heads, all drawn from a seed.

    Args:
        half_width: half the left-right extent of the cerebrum, mm.
        elongation: anterior-posterior extent divided by left-right extent.
        height: half the superior-inferior extent of the cerebrum divided by ``half_width``.
        warp: amplitude of the smooth deformation, mm.
        folding: distance between sulci divided by that of a usual adult.
        sulcal_width: half the width of a sulcus, mm.
        ventricles: size of the ventricles, 1 for a usual adult.
    """

    half_width: float
    elongation: float
    height: float
    warp: float
    folding: float
    sulcal_width: float
    ventricles: float


@dataclass(frozen=True)
class Head:
    """One head on the head grid; arrays (z, y, x).

    Args:
        tissue: uint8, one of the constants of this module.
        texture: float32, smooth variation of tissue brightness, about -1 to 1.
        brain: bool; cerebrum, cerebellum and brainstem with the CSF inside them.
        to_ventricle: float32, mm to the wall of the lateral ventricles, negative inside.
    """

    tissue: np.ndarray
    texture: np.ndarray
    brain: np.ndarray
    to_ventricle: np.ndarray


class SmoothNoise:
    """A seeded random field, mean 0 and variance 1, that can be read at any point; it repeats after 48 ``scale`` mm."""

    def __init__(self, rng: np.random.Generator) -> None:
        from scipy.ndimage import gaussian_filter, spline_filter

        lattice = gaussian_filter(rng.standard_normal((48, 48, 48)), 1.2, mode="wrap")
        self._values = spline_filter(lattice / lattice.std(), order=2, mode="grid-wrap").astype(np.float32)

    def __call__(self, z: np.ndarray, y: np.ndarray, x: np.ndarray, scale: float) -> np.ndarray:
        """Values float32 at points in mm; a bump is about 3 times ``scale`` mm wide."""
        from scipy.ndimage import map_coordinates

        points = np.stack(np.broadcast_arrays(z / scale, y / scale, x / scale)).astype(np.float32)
        return map_coordinates(self._values, points, order=2, mode="grid-wrap", prefilter=False, output=np.float32)


def head_axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in mm (float32) of the voxels of the head grid along z, y and x, shaped to broadcast to (z, y, x)."""
    z, y, x = (
        np.arange(low, high, step, dtype=np.float32) for low, high, step in zip(_LOW, _HIGH, HEAD_SPACING, strict=True)
    )
    return z[:, None, None], y[None, :, None], x[None, None, :]


def make_head(shape: HeadShape, rng: np.random.Generator) -> Head:
    """Draw the tissues of one head; the same shape and generator state give the same head."""
    z0, y0, x0 = head_axes()
    full = np.broadcast_shapes(z0.shape, y0.shape, x0.shape)
    slow = [_slow_field(SmoothNoise(rng), z0, y0, x0) for _ in range(5)]
    z, y, x = (axis + shape.warp * field for axis, field in zip((z0, y0, x0), slow[:3], strict=True))
    hull, rho = _hull(shape, z, y, x)
    depth = np.minimum(hull, z - _skull_base(y, x))
    cerebellum = _ellipsoid(z, y, x, (-40.0, 0.50 * shape.half_width * shape.elongation, 0.0), (23.0, 33.0, 49.0))
    stem = _tapered_column(z, y, x)
    to_ventricle = _lateral_ventricles(z, y, x, shape.ventricles)
    midline_ventricles = _midline_ventricles(z, y, x, shape.ventricles)

    brain = np.maximum(np.maximum(depth, cerebellum), stem) > 0
    tissue = np.zeros(full, dtype=np.uint8)
    _draw_outside(tissue, shape, (z, y, x), np.maximum(np.maximum(depth, cerebellum), stem - 4.0), slow[3])
    tissue[brain] = WHITE
    sulci = _sulci(shape, rng, (z, y, x), hull, rho, slow[4]) & (depth > 0) & (stem < 0)
    fissure = _midline_fissure(z, y, x, shape, slow[3]) & (depth > 0) & (stem < 0)
    cerebral = (depth > 0) & (cerebellum < 0) & (stem < 0)
    _draw_cortex(tissue, brain, cerebral, sulci | fissure, slow[4])
    _draw_nuclei(tissue, z, y, x, cerebral)
    folded = (cerebellum > 0) & (stem < 0)
    tissue[folded] = np.where(_folia(z, y, x, cerebellum, slow[3])[folded], FOLIA, WHITE)
    gap = (cerebellum > -1.6) & (cerebellum < 0.3) & (depth > -3.0) & (stem < 0)
    tissue[gap] = CSF
    tissue[(to_ventricle < 0) & brain] = VENTRICLE
    tissue[(midline_ventricles < 0) & brain] = VENTRICLE
    texture = (0.5 * slow[3] + 0.5 * slow[0]).astype(np.float32)
    shown = tissue != AIR
    at_z, at_y, at_x = (np.broadcast_to(axis, full)[shown] for axis in (z0, y0, x0))
    texture[shown] += 0.45 * SmoothNoise(rng)(at_z, at_y, at_x, scale=2.2)
    return Head(tissue, texture, brain, to_ventricle)


def _slow_field(noise: SmoothNoise, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A field varying over some 40 mm, computed on every fourth voxel and interpolated (it is that smooth)."""
    from scipy.ndimage import map_coordinates

    coarse = noise(z[::4], y[:, ::4], x[:, :, ::4], 18.0)
    steps = [np.arange(n, dtype=np.float32) / 4.0 for n in (z.size, y.size, x.size)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"))
    return map_coordinates(coarse, points, order=1, mode="nearest", output=np.float32)


def _hull(shape: HeadShape, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth in mm under the hull of both hemispheres (negative outside), and the radius that is 1 on it."""
    a, b = shape.half_width, shape.half_width * shape.elongation
    c = shape.half_width * shape.height
    # Wider behind than in front, as seen from above: narrow x by a factor that depends on y.
    width = a * (1.0 + 0.10 * np.tanh(y / 55.0))
    rho = ((np.abs(x) / width) ** 2.3 + (np.abs(y) / b) ** 2.3 + (np.abs(z) / c) ** 2.3) ** np.float32(1 / 2.3)
    radius = np.sqrt(x * x + y * y + z * z)
    depth = radius * (1.0 / np.maximum(rho, 0.02) - 1.0)
    return depth, rho


def _skull_base(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Height in mm of the floor under the cerebrum: frontal lobes, temporal lobes, tentorium over the cerebellum."""

    def step(value: np.ndarray, softness: float) -> np.ndarray:
        return 0.5 + 0.5 * np.tanh(value / softness)

    temporal = -44.0 + 26.0 * step(22.0 - np.abs(x), 6.0)
    tentorium = -15.0 - 0.006 * x * x - 0.10 * (y - 30.0)
    frontal = np.float32(-24.0)
    back = step(y - 20.0, 9.0)
    front = step(-y - 34.0, 8.0)
    return back * tentorium + front * frontal + (1.0 - back - front) * temporal


def _ellipsoid(
    z: np.ndarray, y: np.ndarray, x: np.ndarray, centre: tuple[float, ...], half: tuple[float, ...]
) -> np.ndarray:
    """Depth in mm inside an ellipsoid (negative outside), exact on the surface; centre and half axes in (z, y, x)."""
    p = ((z - centre[0]) / half[0], (y - centre[1]) / half[1], (x - centre[2]) / half[2])
    return (1.0 - np.sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2)) * np.float32(min(half))


def _tapered_column(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Depth in mm inside the brainstem: a column that is thickest at the pons."""
    thickness = 9.0 + 6.0 * np.exp(-(((z + 28.0) / 9.0) ** 2)) + 0.10 * np.minimum(z + 28.0, 0.0)
    column = thickness - np.sqrt((x * 0.92) ** 2 + (y - 6.0 - 0.14 * (z + 28.0)) ** 2)
    return np.minimum(column, -6.0 - z)


def _lateral_ventricles(z: np.ndarray, y: np.ndarray, x: np.ndarray, size: float) -> np.ndarray:
    """Signed distance in mm (negative inside) to both lateral ventricles: chains of flattened capsules."""
    side = np.abs(x)
    horn = ((2.0, -30.0, 15.0, 3.2), (9.0, -14.0, 8.0, 4.6), (17.0, 6.0, 8.5, 4.6), (10.0, 30.0, 22.0, 5.6))
    behind = ((10.0, 30.0, 22.0, 5.6), (3.0, 50.0, 20.0, 2.4))
    below = ((10.0, 30.0, 22.0, 5.6), (-10.0, 20.0, 31.0, 3.2), (-20.0, -2.0, 29.0, 2.2))
    distance = np.full(np.broadcast_shapes(z.shape, y.shape, x.shape), 1e3, dtype=np.float32)
    for chain in (horn, behind, below):
        for start, end in pairwise(chain):
            np.minimum(distance, _capsule(z, y, side, start, end, size), out=distance)
    return distance


def _capsule(
    z: np.ndarray, y: np.ndarray, x: np.ndarray, start: tuple[float, ...], end: tuple[float, ...], size: float
) -> np.ndarray:
    """Signed distance in mm to a capsule between two ends (z, y, x, radius); the radius runs between theirs."""
    along = [e - s for s, e in zip(start[:3], end[:3], strict=True)]
    length = sum(v * v for v in along)
    offsets = (z - start[0], y - start[1], x - start[2])
    part = np.clip(sum(o * v for o, v in zip(offsets, along, strict=True)) / length, 0.0, 1.0)
    squared = sum((o - part * v) ** 2 for o, v in zip(offsets, along, strict=True))
    return np.sqrt(squared) - (start[3] + part * (end[3] - start[3])) * size


def _midline_ventricles(z: np.ndarray, y: np.ndarray, x: np.ndarray, size: float) -> np.ndarray:
    """Signed distance in mm to the third ventricle (a slit) and the fourth."""
    third = -_ellipsoid(z, y, x, (0.0, 2.0, 0.0), (10.0, 15.0, 2.4 * size))
    fourth = -_ellipsoid(z, y, x, (-32.0, 22.0, 0.0), (9.0, 5.0 * size, 6.5 * size))
    return np.minimum(third, fourth)


def _sulci(
    shape: HeadShape,
    rng: np.random.Generator,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    hull: np.ndarray,
    rho: np.ndarray,
    slow: np.ndarray,
) -> np.ndarray:
    """Where sulcal CSF stands: thin sheets on which a noise field crosses zero, running inward from the surface."""
    deepest = 19.0 + 5.0 * slow
    shell = (hull > 0) & (hull < deepest)
    # Points are drawn towards the hull before the field is read, so that sheets run inward like sulci.
    outward = 1.0 + 0.75 * (1.0 / np.maximum(rho[shell], 0.5) - 1.0)
    z, y, x = (axis[shell] * outward for axis in points)
    scale = 4.4 * shape.folding
    folded = np.abs(SmoothNoise(rng)(z, y, x, scale) + 0.25 * SmoothNoise(rng)(z, y, x, scale * 0.55))
    width = shape.sulcal_width * (1.25 - 0.75 * np.clip(hull[shell] / np.maximum(deepest[shell], 4.0), 0.0, 1.0))
    sulci = np.zeros(hull.shape, dtype=bool)
    # 0.135 per mm is the usual slope of the field at a zero crossing at this scale.
    sulci[shell] = folded < width * (0.135 / shape.folding)
    return sulci


def _midline_fissure(z: np.ndarray, y: np.ndarray, x: np.ndarray, shape: HeadShape, slow: np.ndarray) -> np.ndarray:
    """Where the fissure between the hemispheres stands: a slightly wavy sheet, above and around the corpus callosum."""
    callosum = (np.abs(y - 2.0) / 38.0) ** 2.5 + (np.abs(z - 6.0) / 19.0) ** 2.5
    half_width = shape.sulcal_width * (0.75 + 0.25 * slow)
    return (np.abs(x - 0.8 * slow) < half_width) & (callosum > 1.0)


def _draw_cortex(
    tissue: np.ndarray, brain: np.ndarray, cerebral: np.ndarray, clefts: np.ndarray, slow: np.ndarray
) -> None:
    """Write CSF into the clefts and grey matter along every surface that CSF or the hull leaves, in place."""
    from scipy.ndimage import distance_transform_edt

    solid = brain & ~clefts
    inside = distance_transform_edt(solid, sampling=HEAD_SPACING).astype(np.float32)
    tissue[cerebral & clefts] = CSF
    tissue[solid & cerebral & (inside < 3.3 + 0.5 * slow)] = GREY


def _draw_nuclei(tissue: np.ndarray, z: np.ndarray, y: np.ndarray, x: np.ndarray, where: np.ndarray) -> None:
    """Write thalamus, putamen with pallidum, and head of the caudate on both sides, in place."""
    side = np.abs(x)
    thalamus = _ellipsoid(z, y, side, (3.0, 8.0, 10.0), (9.0, 13.0, 7.5)) > 0
    turned_y, turned_x = 0.95 * (y + 6.0) - 0.3 * (side - 24.0), 0.95 * (side - 24.0) + 0.3 * (y + 6.0)
    lentiform = _ellipsoid(z, turned_y, turned_x, (1.0, 0.0, 0.0), (9.0, 15.0, 5.2)) > 0
    caudate = _ellipsoid(z, y, side, (6.0, -20.0, 15.0), (10.0, 8.5, 4.6)) > 0
    tissue[(thalamus | lentiform | caudate) & where & (tissue == WHITE)] = NUCLEUS


def _folia(z: np.ndarray, y: np.ndarray, x: np.ndarray, cerebellum: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """Which cerebellar voxels are cortex: thin leaves, with a core of white matter."""
    bend = np.sqrt((z + 30.0) ** 2 * 1.6 + (y - 18.0) ** 2 + (0.45 * x) ** 2)
    return (np.sin(bend * 1.05 + 1.2 * slow) > -0.55) & (cerebellum < 13.0)


def _draw_outside(
    tissue: np.ndarray,
    shape: HeadShape,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    depth: np.ndarray,
    slow: np.ndarray,
) -> None:
    """Write CSF, bone, soft tissue and fat around the brain, in place; a plane cuts the face off, as defacing does."""
    z, y, x = points
    a, b = shape.half_width + 13.5, shape.half_width * shape.elongation + 13.5
    up = np.where(z > 0, z / (shape.half_width * shape.height + 13.0), z / 140.0)
    rho = np.sqrt((x / (a + 1.5 * slow)) ** 2 + (y / b) ** 2 + up**2)
    inside = np.sqrt(x * x + y * y + z * z) * (1.0 / np.maximum(rho, 0.05) - 1.0)
    face = (z < -12.0) & (y < -0.9 * b + 0.62 * (-12.0 - z))
    head = (inside > 0) & ~face
    tissue[head] = SOFT
    tissue[head & (inside > 1.6) & (inside < 4.8 + slow)] = FAT
    tissue[head & (depth > -9.5 - slow) & (inside > 4.0)] = BONE
    tissue[head & (depth > -2.4 - 0.7 * slow)] = CSF
