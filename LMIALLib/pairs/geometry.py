"""Grids in physical space, and the axis along which a reader counts slices.

Sizes, spacings and directions are in SimpleITK's order (i, j, k), millimetres and LPS. Arrays are indexed (k, j, i).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, shaped

if TYPE_CHECKING:
    import SimpleITK as sitk

MAX_VOXELS = 1_000_000_000
"""More than any scan of a person has (a 1000 x 1000 x 1000 volume)."""
_Length = Annotated[float, Limits(least=1e-6, most=1e6)]
_Place = Annotated[float, Limits(least=-1e9, most=1e9)]
AXIS_NAMES = ("axial", "coronal", "sagittal")
"""Names of an axis: the plane a slice shows. 0, 1 and 2 (array axes k, j, i) are taken as well."""


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels in LPS space.

    Args:
        size: voxels along i, j, k.
        spacing: millimetres along i, j, k.
        origin: LPS position in millimetres of the centre of voxel (0, 0, 0).
        direction: nine cosines, row by row; column c is the LPS direction of index axis c.
    """

    size: tuple[Natural, Natural, Natural]
    spacing: tuple[_Length, _Length, _Length]
    origin: tuple[_Place, _Place, _Place]
    direction: tuple[_Place, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Grid:
        """The grid of a 3-D SimpleITK image."""
        return cls(
            tuple(image.GetSize()), tuple(image.GetSpacing()), tuple(image.GetOrigin()), tuple(image.GetDirection())
        )

    @classmethod
    def from_dict(cls, values: object, where: str = "a grid") -> Grid:
        """The inverse of ``to_dict``. Raises BadInput, naming ``where``, for what describes no grid of a volume."""
        grid = shaped(values, cls, where)
        voxels = grid.size[0] * grid.size[1] * grid.size[2]
        if not 0 < voxels <= MAX_VOXELS:
            raise BadInput(f"{where}: its size {' x '.join(map(str, grid.size))} is none of a volume that LMIAL takes.")
        if len(grid.direction) != 9 or not 0.5 < abs(np.linalg.det(np.reshape(grid.direction, (3, 3)))) < 2:
            raise BadInput(f"{where}: its direction is none of three axes at right angles.")
        return grid

    def to_dict(self) -> dict[str, Any]:
        """Plain lists for JSON; floats survive unchanged."""
        return {
            "size": list(self.size),
            "spacing": list(self.spacing),
            "origin": list(self.origin),
            "direction": list(self.direction),
        }

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (k, j, i)."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0

    def index_to_point(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices (i, j, k) to LPS points in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.direction).reshape(3, 3) * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    def corners(self) -> np.ndarray:
        """LPS positions (8, 3), in mm, of the centres of the eight corner voxels."""
        last = np.array(self.size) - 1
        index = np.array([[a, b, c] for a in (0, last[0]) for b in (0, last[1]) for c in (0, last[2])], dtype=float)
        matrix = np.array(self.direction).reshape(3, 3)
        return np.array(self.origin) + (index * np.array(self.spacing)) @ matrix.T

    def same_as(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether both have the same size and no corner lies further than ``tolerance_mm`` from its counterpart."""
        return self.size == other.size and bool(
            np.linalg.norm(self.corners() - other.corners(), axis=1).max() <= tolerance_mm
        )

    def image_of(self, array: np.ndarray) -> sitk.Image:
        """A SimpleITK image on this grid from an array (k, j, i); bool becomes uint8. ValueError on another shape."""
        import SimpleITK as sitk

        if array.shape != self.shape:
            raise ValueError(f"array of shape {array.shape} does not fit a grid of shape {self.shape}")
        image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else np.ascontiguousarray(array))
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def nearest_rotation(axes: np.ndarray) -> np.ndarray:
    """The three axes at right angles and of length 1 (3, 3) nearest to given ones, mirrored where those are.

    The orthogonal factor of the polar decomposition (Higham 1986), which is nearest in the Frobenius norm.
    """
    left, _, right = np.linalg.svd(axes)
    return np.asarray(left @ right)


def farthest_mm(
    size: tuple[int, ...], first: np.ndarray, second: np.ndarray, apart: np.ndarray | tuple[float, ...] = (0, 0, 0)
) -> float:
    """The largest distance (mm) of a voxel's two places.

    Args:
        size: voxels along i, j, k; further axes are not looked at.
        first, second: matrices (3, 3) from index to mm.
        apart: how far (mm) voxel 0 of the first lies from that of the second.
    """
    last = [length - 1 for length in size[:3]]
    corners = np.array([[a, b, c] for a in (0, last[0]) for b in (0, last[1]) for c in (0, last[2])], dtype=float)
    return float(np.linalg.norm(corners @ (first - second).T + apart, axis=1).max())


def slice_axis(grid: Grid, wanted: str | None = None) -> int:
    """The array axis (0 = k, 1 = j, 2 = i) along which slices are counted.

    The axis with the largest spacing if that is at least 1.5 times both others, else the one nearest superior-inferior.
    ``wanted`` overrides: "axial", "coronal", "sagittal", or "0", "1", "2". Raises ValueError for another word.
    """
    matrix = np.abs(np.array(grid.direction).reshape(3, 3))
    if wanted is not None:
        if wanted in ("0", "1", "2"):
            return int(wanted)
        if wanted not in AXIS_NAMES:
            raise ValueError(f"axis {wanted!r} is unknown; use one of {', '.join(AXIS_NAMES)}, 0, 1, 2")
        physical = {"axial": 2, "coronal": 1, "sagittal": 0}[wanted]
        return 2 - int(np.argmax(matrix[physical]))
    spacing = np.array(grid.spacing)
    thickest = int(np.argmax(spacing))
    others = np.delete(spacing, thickest)
    if spacing[thickest] >= 1.5 * others.max():
        return 2 - thickest
    return 2 - int(np.argmax(matrix[2]))
