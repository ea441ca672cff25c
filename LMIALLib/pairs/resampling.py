"""Bringing both visits onto the pair's grid with one interpolation at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.transforms import transform_of

if TYPE_CHECKING:
    import SimpleITK as sitk


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

    Where grid and image coincide the voxels are taken as they are.
    """
    import SimpleITK as sitk

    grey = sitk.Cast(image, sitk.sitkFloat32)
    if Grid.of(image) == grid and np.array_equal(to_image, np.eye(4)):
        return sitk.GetArrayFromImage(grey)
    voxels = sitk.GetArrayViewFromImage(grey)
    low, high = float(voxels.min()), float(voxels.max())
    moved = sitk.Resample(
        grey,
        grid.size,
        transform_of(to_image),
        sitk.sitkBSpline3,
        grid.origin,
        grid.spacing,
        grid.direction,
        low,
        sitk.sitkFloat32,
    )
    return np.clip(sitk.GetArrayFromImage(moved), low, high)


def region_on_grid(region: np.ndarray, of: Grid, grid: Grid, to_region: np.ndarray) -> np.ndarray:
    """A region bool (k, j, i) brought to another grid: where its linear interpolation exceeds one half."""
    import SimpleITK as sitk

    if of == grid and np.array_equal(to_region, np.eye(4)):
        return region.copy()
    image = of.image_of(region.astype(np.float32))
    moved = sitk.Resample(
        image, grid.size, transform_of(to_region), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction, 0.0
    )
    return sitk.GetArrayFromImage(moved) > 0.5


def inside_of(grid: Grid, other: Grid, to_other: np.ndarray) -> np.ndarray:
    """bool (k, j, i) on ``grid``: whether a voxel's centre lies between the outermost voxel centres of ``other``."""
    matrix = np.linalg.inv(other.index_to_point()) @ to_other @ grid.index_to_point()
    k, j, i = (np.arange(length, dtype=float) for length in grid.shape)
    inside = np.ones(grid.shape, dtype=bool)
    for axis in range(3):
        a, b, c, offset = matrix[axis]
        index = a * i[None, None, :] + b * j[None, :, None] + (c * k + offset)[:, None, None]
        inside &= (index >= -1e-3) & (index <= other.size[axis] - 1 + 1e-3)
    return inside
