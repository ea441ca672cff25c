"""One scan twice, as two protocols would show it: whatever change is reported between the two is false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.cohorts.visits import overlap
from LMIALLib.pairs.geometry import Grid, slice_axis

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class ProtocolChange:
    """How a further scan of an unchanged head would differ from one that is there.

    Args:
        gamma: exponent on intensities relative to the scan's 99th percentile.
        bias: amplitude of a smooth shading; intensities are multiplied by exp(-bias) to exp(bias).
        noise: standard deviation of Rician noise, as a share of the head's median intensity.
        blur_mm: standard deviation of in-plane smoothing.
        shift_mm: displacement of the head along rows and columns of a slice.
        thickness: slice thickness and distance, in those of the scan; 1 or more.
        position: where the first slice lies, in slice distances of the scan after its first; from 0 on.
        gain: what intensities are multiplied with.
    """

    gamma: float
    bias: float
    noise: float
    blur_mm: float
    shift_mm: tuple[float, float]
    thickness: float
    position: float
    gain: float


PROTOCOLS = (
    ProtocolChange(0.88, 0.10, 0.03, 0.5, (0.35, -0.25), thickness=1.2, position=0.4, gain=1.5),
    ProtocolChange(1.12, 0.06, 0.05, 0.2, (-0.20, 0.30), thickness=1.0, position=0.0, gain=0.7),
)
"""The protocols of a baseline (thicker, displaced slices) and of a follow-up (the scan's own slices)."""


def rescanned(image: sitk.Image, change: ProtocolChange, seed: int) -> sitk.Image:
    """A scan as another protocol would show it, int16, its brightest per cent near 1000 times the gain.

    Slices are box averages of those of the scan (`visits.overlap`). The head keeps its place in space except for
    ``shift_mm``; shading and noise come from ``seed``. Nothing is added to or taken from the head.
    """
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter, shift

    grid = Grid.of(image)
    axis = slice_axis(grid)
    stack = np.moveaxis(sitk.GetArrayFromImage(image).astype(np.float32), axis, 0)
    rows, columns = (side for place, side in enumerate(grid.spacing[::-1]) if place != axis)
    slices = _slice_weights(len(stack), change) @ stack.reshape(len(stack), -1)
    stack = slices.reshape(-1, *stack.shape[1:]).astype(np.float32)
    if any(change.shift_mm):
        stack = shift(stack, (0, change.shift_mm[0] / rows, change.shift_mm[1] / columns), order=3, mode="nearest")
    stack = gaussian_filter(stack, (0, change.blur_mm / rows, change.blur_mm / columns))
    stack = _developed(np.maximum(stack, 0), change, np.random.default_rng(seed))
    volume = np.ascontiguousarray(np.moveaxis(np.clip(np.rint(stack), 0, 32767).astype(np.int16), 0, axis))
    return _grid_after(grid, axis, change, volume.shape).image_of(volume)


def _slice_weights(count: int, change: ProtocolChange) -> np.ndarray:
    """How much of each of ``count`` slices is in each new one, (new, count); new slices lie wholly inside the scan."""
    centres = []
    centre = change.position + (change.thickness - 1) / 2
    while centre + change.thickness / 2 <= count - 0.5 + 1e-9:
        centres.append(centre)
        centre += change.thickness
    places = np.arange(count, dtype=float)
    return np.array([overlap(middle, change.thickness, places, 1.0) for middle in centres], dtype=np.float32)


def _developed(stack: np.ndarray, change: ProtocolChange, rng: np.random.Generator) -> np.ndarray:
    """Contrast, shading, noise and gain of a noise-free stack of intensities from 0 on."""
    from scipy.ndimage import zoom

    bright = float(np.percentile(stack[stack > 0], 99))
    relative = (stack / bright) ** np.float32(change.gamma)
    head = relative > 0.1
    knots = rng.uniform(-1.0, 1.0, (3, 3, 3))
    field = zoom(knots, [n / 3 for n in stack.shape], order=2, mode="nearest", grid_mode=True)
    field = np.clip(field / max(float(np.abs(field).max()), 1e-6), -1, 1).astype(np.float32)
    relative *= np.exp(np.float32(change.bias) * field)
    sigma = np.float32(change.noise * float(np.median(relative[head])))
    real, imaginary = (sigma * rng.standard_normal(stack.shape, dtype=np.float32) for _ in range(2))
    return np.sqrt((relative + real) ** 2 + imaginary**2) * np.float32(1000 * change.gain)


def _grid_after(grid: Grid, axis: int, change: ProtocolChange, shape: tuple[int, ...]) -> Grid:
    """The grid of the new slices, in the scan's space."""
    along = 2 - axis
    spacing = np.array(grid.spacing)
    step = np.array(grid.direction).reshape(3, 3)[:, along] * spacing[along]
    origin = np.array(grid.origin) + step * (change.position + (change.thickness - 1) / 2)
    spacing[along] *= change.thickness
    return Grid(
        shape[::-1],  # type: ignore[arg-type]  # three entries by construction
        tuple(float(v) for v in spacing),  # type: ignore[arg-type]
        tuple(float(v) for v in origin),  # type: ignore[arg-type]
        grid.direction,
    )
