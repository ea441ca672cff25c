"""Bringing both visits onto the pair's grid with one interpolation at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.outliers import believable_range, usual_range
from LMIALLib.pairs.transforms import transform_of

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Placement:
    """The grid of a pair, and (4, 4) matrices from its LPS points in mm to points of the two raw scans."""

    grid: Grid
    to_baseline: np.ndarray
    to_follow_up: np.ndarray


def placed(where: str, follow_up: Grid, baseline: Grid, forward: np.ndarray) -> Placement:
    """The pair's grid for "follow-up", "baseline" or "midway"; ``forward`` maps follow-up points to baseline points.

    Midway is the space that both scans reach by the same half of the way (the square root of the matrix), so that both
    are interpolated alike and neither is favoured (Reuter and Fischl, NeuroImage 57, 2011).
    """
    if where == "follow-up":
        return Placement(follow_up, forward, np.eye(4))
    if where == "baseline":
        return Placement(baseline, np.eye(4), np.linalg.inv(forward))
    from scipy.linalg import sqrtm

    half = np.real(sqrtm(forward))
    centre = np.mean(follow_up.corners(), axis=0)
    moved = half[:3, :3] @ centre + half[:3, 3] - centre
    origin = np.array(follow_up.origin) + moved
    grid = Grid(
        follow_up.size,
        follow_up.spacing,
        (float(origin[0]), float(origin[1]), float(origin[2])),
        follow_up.direction,
    )
    return Placement(grid, half, np.linalg.inv(half))


def on_grid(image: sitk.Image, grid: Grid, to_image: np.ndarray) -> np.ndarray:
    """The image on ``grid`` as float32 (k, j, i): cubic B-spline, clipped to the input's range, its minimum outside.

    Where grid and image coincide the voxels are taken as they are. Elsewhere a spline would ring around damaged voxels
    (see ``outliers.believable_range``), so they are as dark or as bright as any other first.
    """
    import SimpleITK as sitk
    from scipy import ndimage as ndi

    voxels = sitk.GetArrayViewFromImage(image)
    if Grid.of(image) == grid and np.array_equal(to_image, np.eye(4)):
        return voxels.astype(np.float32)
    coefficients, low, high = _undamaged(voxels)
    for axis in range(3):
        ndi.spline_filter1d(coefficients, 3, axis, output=coefficients, mode="mirror")
    # Indices (k, j, i) of the grid to those of the image.
    matrix = np.linalg.inv(Grid.of(image).index_to_point()) @ to_image @ grid.index_to_point()
    linear, shift = matrix[2::-1, 2::-1], matrix[2::-1, 3]
    ends = np.array(voxels.shape) - 0.5
    moved = np.empty(grid.shape, np.float32)
    for start, slab in slabs_of(moved):
        first = linear[:, 0] * start + shift
        ndi.affine_transform(coefficients, linear, first, slab.shape, slab, order=3, mode="mirror", prefilter=False)
        np.clip(slab, low, high, out=slab)
        slab[~_within(slab.shape, linear, first, (-0.5, -0.5, -0.5), ends)] = low
    return moved


def _undamaged(voxels: np.ndarray) -> tuple[np.ndarray, float, float]:
    """A copy as float32 in which damaged voxels have the darkest or brightest usual grey, and the ends of its range."""
    copy = np.empty(voxels.shape, np.float32)
    (least, most), (dark, bright) = believable_range(voxels), usual_range(voxels)
    low, high = np.inf, -np.inf
    for start, slab in slabs_of(copy):
        slab[:] = voxels[start : start + len(slab)]
        slab[slab < least], slab[slab > most] = dark, bright
        low, high = min(low, float(slab.min())), max(high, float(slab.max()))
    return copy, low, high


def slabs_of(array: np.ndarray, voxels: int = 1_000_000) -> Iterator[tuple[int, np.ndarray]]:
    """Views of consecutive slabs of an array (k, j, i), each of about ``voxels``, with the index k of their first."""
    rows = max(1, voxels // max(1, array[0].size))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def above(image: sitk.Image, level: float, grid: Grid, to_image: np.ndarray, *, outside: float) -> np.ndarray:
    """Where the image, interpolated linearly on ``grid``, exceeds ``level``: bool (k, j, i); ``outside`` beyond it."""
    import SimpleITK as sitk

    found = np.empty(grid.shape, dtype=bool)
    for start, slab in slabs_of(found):
        moved = sitk.Resample(
            image,
            (*grid.size[:2], len(slab)),
            transform_of(to_image),
            sitk.sitkLinear,
            (grid.index_to_point() @ (0.0, 0.0, float(start), 1.0))[:3].tolist(),
            grid.spacing,
            grid.direction,
            outside,
            sitk.sitkFloat32,
        )
        slab[:] = sitk.GetArrayViewFromImage(moved) > level
    return found


def region_on_grid(region: np.ndarray, of: Grid, grid: Grid, to_region: np.ndarray) -> np.ndarray:
    """A region bool (k, j, i) brought to another grid: where its linear interpolation exceeds one half."""
    if of == grid and np.array_equal(to_region, np.eye(4)):
        return region.copy()
    return above(of.image_of(region), 0.5, grid, to_region, outside=0.0)


def inside_of(grid: Grid, other: Grid, to_other: np.ndarray) -> np.ndarray:
    """bool (k, j, i) on ``grid``: whether a voxel's centre lies between the outermost voxel centres of ``other``."""
    matrix = (np.linalg.inv(other.index_to_point()) @ to_other @ grid.index_to_point())[[2, 1, 0]][:, [2, 1, 0, 3]]
    least, most = np.full(3, -1e-3), np.array(other.shape) - 1 + 1e-3
    return _within(grid.shape, matrix[:, :3], matrix[:, 3], least, most)


def _within(
    shape: tuple[int, ...], linear: np.ndarray, shift: np.ndarray, least: ArrayLike, most: ArrayLike
) -> np.ndarray:
    """bool: which indices (k, j, i) of an array lie from ``least`` to ``most`` once mapped by ``linear`` and ``shift``.

    Worked out for whole rows: along i the mapped index is a straight line, so a row is inside from one i to another.
    """
    least, most = np.asarray(least, dtype=float), np.asarray(most, dtype=float)
    k, j = (np.arange(length, dtype=float) for length in shape[:2])
    first, last = np.zeros((shape[0], shape[1])), np.full((shape[0], shape[1]), float(shape[2] - 1))
    for axis in range(3):
        begin = linear[axis, 0] * k[:, None] + linear[axis, 1] * j + shift[axis]
        step = linear[axis, 2]
        if abs(step) < 1e-12:
            outside = (begin < least[axis]) | (begin > most[axis])
            first[outside], last[outside] = 1.0, 0.0
            continue
        bounds = (least[axis] - begin) / step, (most[axis] - begin) / step
        first = np.maximum(first, np.minimum(*bounds))
        last = np.minimum(last, np.maximum(*bounds))
    i = np.arange(shape[2], dtype=np.float32)
    return (i >= np.ceil(first)[..., None].astype(np.float32)) & (i <= np.floor(last)[..., None].astype(np.float32))
