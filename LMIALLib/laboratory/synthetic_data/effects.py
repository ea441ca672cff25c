"""What differs between two scans of one head besides disease, each effect by itself, on whole volumes (z, y, x).

Brightness is 0 in air and 1 in white matter. Each effect takes a strength, and strength 0 changes nothing; the same
generator state gives the same result. `visits` holds the effects for single slices of registered pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.cohorts import visits
from LMIALLib.pairs.geometry import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

FIELD_MM = 4.0
"""Millimetres between the points of a displacement field."""

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Strengths:
    """How strongly each effect acts; each visit, or each pair, draws 0.3 to 1 times these.

    Args:
        gamma: standard deviation of the logarithm of a visit's contrast exponent.
        scaling: standard deviation of the logarithm of a visit's gain.
        bias: standard deviation of the logarithm of a visit's bias field.
        noise: standard deviation of a visit's noise, white matter 1.
        grain: in-plane correlation of the noise, pixels.
        blur: in-plane smoothing of a visit, standard deviation in mm.
        pixel: largest side of a pixel, mm.
        thickness: largest distance between slices, mm.
        tilt: largest angle of the slices about each axis, against the other visit's, degrees.
        rotation, translation: largest move of the head between the visits, about and along each axis, degrees and mm;
            under a pixel's side it is what a registration leaves.
        deformation: root mean square of the smooth deformation between the visits, mm.
        atrophy: growth of the ventricles between the visits as a share of the brain's volume, 0 to 0.02; never more
            than a quarter of the ventricles that were found.
        missing: largest number of slices that a visit lacks at one end of its field of view.
        flow: brightening of moving CSF, phantoms only (real scans have their own).
    """

    gamma: float = 0.15
    scaling: float = 0.3
    bias: float = 0.1
    noise: float = 0.035
    grain: float = 0.7
    blur: float = 0.6
    pixel: float = 1.1
    thickness: float = 4.5
    tilt: float = 4.0
    rotation: float = 4.0
    translation: float = 5.0
    deformation: float = 0.4
    atrophy: float = 0.005
    missing: int = 4
    flow: float = 0.25


def smooth_field(shape: tuple[int, ...], rng: np.random.Generator, waves: int) -> np.ndarray:
    """A random field, float32 of ``shape`` (z, y, x), mean 0 and standard deviation 1: cosines of up to ``waves``
    half-waves along each axis, all with the same spread.
    """
    field = rng.standard_normal((waves + 1,) * 3).astype(np.float32)
    for n in shape:
        places = (np.arange(n, dtype=np.float32) + 0.5) * np.float32(np.pi / n)
        field = np.tensordot(field, np.cos(np.arange(waves + 1, dtype=np.float32)[:, None] * places), axes=(0, 0))
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def contrast(volume: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Brightness to a power whose logarithm has standard deviation ``strength``; 0 and 1 stay where they are."""
    return np.maximum(volume, 0.0) ** np.float32(np.exp(rng.normal(0.0, strength)))


def scaling(volume: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Brightness times a factor whose logarithm has standard deviation ``strength``."""
    return volume * np.float32(np.exp(rng.normal(0.0, strength)))


def bias(volume: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Brightness times a smooth field whose logarithm has standard deviation ``strength`` over the volume."""
    return volume * np.exp(np.float32(strength) * smooth_field(volume.shape, rng, 2))


def noise(volume: np.ndarray, rng: np.random.Generator, strength: float, correlation: float = 0.0) -> np.ndarray:
    """Magnitude of the volume with complex noise of standard deviation ``strength`` (Gudbjartsson and Patz 1995).

    ``correlation``: of the noise in plane, standard deviation in pixels.
    """
    real, imaginary = (visits.grain(rng, volume.shape, strength, correlation) for _ in range(2))
    return np.hypot(volume + real, imaginary) if strength > 0 else volume


def resolution(volume: np.ndarray, spacing: Spacing, wanted: Spacing, blur: float = 0.0) -> np.ndarray:
    """The volume as thicker slices and larger pixels see it, on its own grid, float32.

    Args:
        volume: (z, y, x).
        spacing: mm that its voxels cover along z, y, x.
        wanted: mm that they shall cover; not more than ``spacing`` changes nothing.
        blur: further smoothing in plane, standard deviation in mm.
    """
    from scipy.ndimage import gaussian_filter

    have, want = np.array(spacing), np.array(wanted)
    # A Gaussian of this width passes as much detail as a box of the voxel's side.
    spread = np.maximum(want**2 - have**2, 0.0) / 3.2**2 + np.array([0.0, blur, blur]) ** 2
    sigma = np.sqrt(spread) / have
    sigma[sigma < 0.1] = 0.0
    return gaussian_filter(volume.astype(np.float32), sigma, mode="nearest", truncate=3.0)


def other_slices(grid: Grid, rng: np.random.Generator, wanted: Spacing, tilt: float) -> Grid:
    """A grid with voxels of ``wanted`` mm along z, y, x over the same field of view: tilted by up to ``tilt`` degrees
    about each axis and shifted by up to half a slice.
    """
    extent = np.array(grid.size) * np.array(grid.spacing)
    size = np.maximum(np.round(extent / np.array(wanted[::-1])), 1).astype(int)
    direction = np.array(grid.direction).reshape(3, 3) @ rotation_matrix(rng.uniform(-tilt, tilt, 3))
    centre = grid.index_to_point()[:3] @ np.append((np.array(grid.size) - 1) / 2, 1.0)
    shifted = (size - 1) / 2 - np.array([0.0, 0.0, rng.uniform(-0.5, 0.5)])
    origin = centre - direction @ (shifted * np.array(wanted[::-1]))
    return Grid(
        (int(size[0]), int(size[1]), int(size[2])),
        (wanted[2], wanted[1], wanted[0]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in direction.ravel()),
    )


def without_end_slices(grid: Grid, rng: np.random.Generator, most: int) -> Grid:
    """The grid without 0 to ``most`` slices at its lower or its upper end; at least one slice stays."""
    lost = min(int(rng.integers(0, most, endpoint=True)), grid.size[2] - 1)
    first = lost if rng.random() < 0.5 else 0
    x, y, z = grid.index_to_point()[:3] @ np.array([0.0, 0.0, first, 1.0])
    size = (grid.size[0], grid.size[1], grid.size[2] - lost)
    return Grid(size, grid.spacing, (float(x), float(y), float(z)), grid.direction)


def rotation_matrix(degrees: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) by angles about x, y and z."""
    import SimpleITK as sitk

    euler = sitk.Euler3DTransform()
    euler.SetRotation(*(float(v) for v in np.deg2rad(degrees)))
    return np.array(euler.GetMatrix()).reshape(3, 3)


def rigid_move(
    rng: np.random.Generator, rotation: float, translation: float, centre: np.ndarray
) -> sitk.Euler3DTransform:
    """A turn of up to ``rotation`` degrees about each axis through ``centre`` (LPS, mm) and a shift of up to
    ``translation`` mm along each: maps points of the head at one visit to points at the other.
    """
    import SimpleITK as sitk

    move = sitk.Euler3DTransform()
    move.SetCenter(tuple(float(v) for v in centre))
    move.SetRotation(*(float(v) for v in np.deg2rad(rng.uniform(-rotation, rotation, 3))))
    move.SetTranslation(tuple(float(v) for v in rng.uniform(-translation, translation, 3)))
    return move


def deformation(shape: tuple[int, ...], rng: np.random.Generator, strength: float) -> np.ndarray:
    """A smooth displacement, float32 (3, z, y, x) in mm along x, y, z; root mean square of its length ``strength``."""
    parts = np.stack([smooth_field(shape, rng, 6) for _ in range(3)])
    return np.float32(strength / np.sqrt(3.0)) * parts


def atrophy(ventricles: np.ndarray, spacing: Spacing, growth_ml: float) -> np.ndarray:
    """The displacement away from the ventricles that makes them grow, float32 (3, z, y, x) in mm along x, y, z.

    It follows the gradient of the ventricles smoothed by 8 mm, so it fades within about 20 mm of their walls. Its
    size follows from the divergence theorem: to first order, the integral of the divergence over the ventricles is
    what they grow by.

    Args:
        ventricles: float in [0, 1], share of each voxel.
        spacing: mm along z, y, x.
        growth_ml: volume that they gain, ml; without any ventricle there is no displacement.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(ventricles.astype(np.float64), 8.0 / np.array(spacing))
    gradient = np.gradient(smooth, *spacing)
    divergence = sum(np.gradient(gradient[axis], spacing[axis], axis=axis) for axis in range(3))
    gain = -float((ventricles * divergence).sum()) * float(np.prod(spacing)) / 1000.0
    size = growth_ml / gain if gain > 1e-6 else 0.0
    return np.stack([-size * part for part in gradient[::-1]]).astype(np.float32)


def field_grid(grid: Grid) -> Grid:
    """The coarse grid on which displacement fields over ``grid`` are kept: `FIELD_MM` or more between points."""
    spacing = tuple(max(FIELD_MM, mm) for mm in grid.spacing)
    size = tuple(
        int(np.ceil((n - 1) * mm / wide)) + 1 for n, mm, wide in zip(grid.size, grid.spacing, spacing, strict=True)
    )
    return Grid(size, spacing, grid.origin, grid.direction)  # type: ignore[arg-type]  # three entries by construction


def displacing(field: np.ndarray, grid: Grid) -> sitk.Transform:
    """The transform that moves each LPS point by ``field`` (3, k, j, i), mm along the index axes i, j, k of ``grid``.

    Resampling an image through it gives image(p + field(p)): what lies outward comes inward.
    """
    import SimpleITK as sitk

    vectors = np.einsum("rc,ckji->kjir", np.array(grid.direction).reshape(3, 3), field.astype(np.float64))
    image = sitk.GetImageFromArray(np.ascontiguousarray(vectors), isVector=True)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return sitk.DisplacementFieldTransform(image)
