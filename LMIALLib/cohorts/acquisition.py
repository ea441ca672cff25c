"""Taking a picture of a synthetic head: contrast, slice profile, blur, bias field, noise, place in the scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.cohorts import anatomy
from LMIALLib.cohorts.anatomy import HEAD_SPACING, Head, head_axes
from LMIALLib.pairs.geometry import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Protocol:
    """How one visit was scanned. Brightness is relative to white matter, which is 1.

    Args:
        csf, grey, lesion, scalp: brightness of these tissues.
        gain: what one unit of brightness becomes in the stored integers.
        gamma: exponent on the brightness.
        bias: amplitude of the smooth bias field, as a share.
        noise: standard deviation of the noise before the magnitude is taken.
        grain: in-plane correlation of the noise, standard deviation in pixels; 0 is white noise.
        blur: in-plane point spread, standard deviation in mm.
        thickness: distance between slices and their thickness, mm.
        pixel: in-plane pixel size, mm.
        slices: number of slices.
    """

    csf: float
    grey: float
    lesion: float
    scalp: float
    gain: float
    gamma: float
    bias: float
    noise: float
    grain: float
    blur: float
    thickness: float
    pixel: float
    slices: int

    def grid(self, centre: np.ndarray, direction: np.ndarray) -> Grid:
        """The grid whose middle lies at ``centre`` (LPS, mm); columns of ``direction`` (3, 3) are its index axes."""
        size = (round(180.0 / self.pixel), round(204.0 / self.pixel), self.slices)
        spacing = (self.pixel, self.pixel, self.thickness)
        middle = (np.array(size) - 1) / 2.0 * np.array(spacing)
        origin = tuple(float(v) for v in centre - direction @ middle)
        return Grid(size, spacing, origin, tuple(float(v) for v in direction.ravel()))  # type: ignore[arg-type]


def brightness(head: Head, lesion: np.ndarray, protocol: Protocol, flow: np.ndarray) -> np.ndarray:
    """Noise-free brightness of a head, float32 (z, y, x) on the head grid, white matter 1.

    Args:
        head: the anatomy.
        lesion: float32 in [0, 1], lesion occupancy at this visit.
        protocol: how bright each tissue is.
        flow: float32, brightening of CSF by its motion at this visit, which is no lesion but may look like change.
    """
    levels = np.zeros(10, dtype=np.float32)
    levels[anatomy.SOFT] = 0.9 * protocol.scalp
    levels[anatomy.FAT] = 1.25 * protocol.scalp
    levels[anatomy.BONE] = 0.12 * protocol.scalp
    levels[[anatomy.CSF, anatomy.VENTRICLE]] = (1.3 * protocol.csf, protocol.csf)
    levels[anatomy.WHITE] = 1.0
    levels[anatomy.GREY] = protocol.grey
    levels[anatomy.NUCLEUS] = 1.0 + 0.45 * (protocol.grey - 1.0)
    levels[anatomy.FOLIA] = 1.0 + 0.8 * (protocol.grey - 1.0)
    bright = levels[head.tissue]
    solid = np.isin(head.tissue, (anatomy.WHITE, anatomy.GREY, anatomy.NUCLEUS))
    rim = np.exp(-np.maximum(head.to_ventricle, 0.0) / 1.8) * 0.16 * (protocol.lesion - 1.0)
    bright += np.where(solid, rim, 0.0)
    bright *= 1.0 + 0.045 * head.texture
    fluid = np.isin(head.tissue, (anatomy.CSF, anatomy.VENTRICLE)) & head.brain
    bright += np.where(fluid, flow, 0.0)
    bright += lesion * (protocol.lesion * (1.0 + 0.08 * head.texture) - bright)
    return bright.astype(np.float32)


def profiled(volume: np.ndarray, thickness: float, blur: float = 0.0) -> np.ndarray:
    """A volume (z, y, x) as slices ``thickness`` mm thick see it, blurred in plane by ``blur`` mm; float32."""
    from scipy.ndimage import gaussian_filter

    # A Gaussian of this width passes as much detail as a box of the slice's thickness.
    sigma = (thickness / 3.2 / HEAD_SPACING[0], blur / HEAD_SPACING[1], blur / HEAD_SPACING[2])
    return gaussian_filter(volume.astype(np.float32), sigma, mode="nearest", truncate=3.0)


def head_image(volume: np.ndarray, rotation: np.ndarray, position: np.ndarray) -> sitk.Image:
    """A volume (z, y, x) in a scanner: ``rotation`` (3, 3) of the head, ``position`` of its origin (LPS, mm)."""
    z, y, x = head_axes()
    corner = np.array([x.flat[0], y.flat[0], z.flat[0]], dtype=float)
    grid = Grid(
        size=volume.shape[::-1],  # type: ignore[arg-type]
        spacing=HEAD_SPACING[::-1],
        origin=tuple(position + rotation @ corner),
        direction=tuple(rotation.ravel()),
    )
    return grid.image_of(volume)


def sampled(image: sitk.Image, grid: Grid, to_image: sitk.Transform, *, nearest: bool = False) -> np.ndarray:
    """Values of ``image`` at the voxels of ``grid``, (k, j, i); ``to_image`` maps the grid's points to the image's."""
    import SimpleITK as sitk

    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    found = sitk.Resample(
        image, grid.size, to_image, interpolator, grid.origin, grid.spacing, grid.direction, 0, image.GetPixelID()
    )
    return sitk.GetArrayFromImage(found)


def detected(signal: np.ndarray, protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """What the scanner stores of a noise-free picture: bias field, gamma, Rician noise, gain; int16 (k, j, i)."""
    field = np.exp(protocol.bias * _bias_field(signal.shape, rng))
    real = np.maximum(signal, 0.0) ** protocol.gamma * field + protocol.noise * _grain(
        signal.shape, protocol.grain, rng
    )
    imaginary = protocol.noise * _grain(signal.shape, protocol.grain, rng)
    stored = np.sqrt(real**2 + imaginary**2) * protocol.gain
    return np.clip(np.rint(stored), 0, 32767).astype(np.int16)


def _bias_field(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A smooth field, float32, within about -1 to 1: a random mixture of low-order cosines."""
    axes = [np.linspace(0.0, np.pi, n, dtype=np.float32) for n in shape]
    total = np.zeros(shape, dtype=np.float32)
    for orders in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 2, 0), (0, 0, 2), (1, 1, 0)]:
        waves = [np.cos(order * axis) for order, axis in zip(orders, axes, strict=True)]
        total += rng.standard_normal() * waves[0][:, None, None] * waves[1][None, :, None] * waves[2][None, None, :]
    return total / np.abs(total).max()


def _grain(shape: tuple[int, ...], correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Noise with standard deviation 1, float32, correlated in plane by ``correlation`` pixels."""
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal(shape, dtype=np.float32)
    if correlation <= 0:
        return noise
    noise = gaussian_filter(noise, (0.0, correlation, correlation), mode="wrap")
    return noise / noise.std()
