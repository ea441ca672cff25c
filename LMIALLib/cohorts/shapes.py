"""Shapes of lesions and of lesion change: cut out of expert masks, or grown from noise when there are none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SMALLEST_MM3 = 12.0
LARGEST_MM3 = 12_000.0


@dataclass(frozen=True)
class LesionShape:
    """One connected lesion with a soft edge.

    Args:
        occupancy: float32 (z, y, x) in [0, 1], share of a voxel that is lesion; 0 on the border of the array.
        spacing: millimetres between voxels along z, y, x.
        source: where it comes from, as "longitudinal/patient05", "cross_sectional_MNI/patient11" or "noise".
    """

    occupancy: np.ndarray
    spacing: tuple[float, float, float]
    source: str

    @property
    def volume(self) -> float:
        """Cubic millimetres."""
        return float(self.occupancy.sum()) * float(np.prod(self.spacing))


def softened(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """A mask (z, y, x) as shares of voxels: padded by 2 and smoothed in plane by 0.5 mm, for partial volume."""
    from scipy.ndimage import gaussian_filter

    padded = np.pad(mask.astype(np.float32), 2)
    return gaussian_filter(padded, [0.0, 0.5 / spacing[1], 0.5 / spacing[2]])


def shapes_of_mask(mask: np.ndarray, spacing: tuple[float, float, float], source: str) -> list[LesionShape]:
    """Every connected part (26 neighbours) of a mask between 12 mm3 and 12 ml; mask and spacing (mm) are (z, y, x)."""
    from scipy.ndimage import find_objects, label

    parts, _ = label(mask, np.ones((3, 3, 3)))
    shapes = []
    for number, box in enumerate(find_objects(parts), start=1):
        shape = LesionShape(softened(parts[box] == number, spacing), spacing, source)
        if SMALLEST_MM3 <= shape.volume <= LARGEST_MM3:
            shapes.append(shape)
    return shapes


def noise_shape(rng: np.random.Generator) -> LesionShape:
    """An ellipsoid with half axes of about 1.5 to 9 mm whose surface noise pushes in and out, 1 mm voxels."""
    from scipy.ndimage import gaussian_filter

    half = np.exp(rng.uniform(np.log(1.5), np.log(9.0))) * rng.uniform(0.6, 1.4, 3)
    size = (2 * np.ceil(half * 1.5) + 5).astype(int)
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij")
    radius = np.sqrt(sum((axis / h) ** 2 for axis, h in zip(axes, half, strict=True)))
    noise = gaussian_filter(rng.standard_normal(size), 1.8)
    return LesionShape(softened(radius + 0.25 * noise / noise.std() < 1.0, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0), "noise")


def noise_shapes(seed: int, count: int) -> list[LesionShape]:
    """``count`` blobs from one seed."""
    rng = np.random.default_rng([seed, 0x73686170])
    return [shape for shape in (noise_shape(rng) for _ in range(count)) if shape.volume >= SMALLEST_MM3]


class ShapeLibrary:
    """Shapes to draw from; large ones a little more often than they occur, because most real parts are tiny.

    Args:
        shapes: at least one.
    """

    def __init__(self, shapes: Iterable[LesionShape]) -> None:
        self.shapes = tuple(shapes)
        if not self.shapes:
            raise ValueError("a shape library needs at least one shape")
        weight = np.array([shape.volume for shape in self.shapes]) ** 0.5
        self._cumulative = np.cumsum(weight / weight.sum())

    def draw(self, rng: np.random.Generator) -> LesionShape:
        """One shape, with probability proportional to volume to the power 0.5."""
        return self.shapes[min(int(np.searchsorted(self._cumulative, rng.random())), len(self.shapes) - 1)]

    def sources(self) -> tuple[str, ...]:
        """The distinct sources, sorted."""
        return tuple(sorted({shape.source for shape in self.shapes}))
