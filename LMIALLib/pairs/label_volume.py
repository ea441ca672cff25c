"""Labels and masks in files of volumes: whole numbers of any type of storage, also cropped to a box or one plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import Header, check_axes, check_plane, check_position, check_spacing, not_finite
from LMIALLib.pairs.mapping import mapped, shown
from LMIALLib.pairs.reading import HEADERS, read_volume, suffix_of
from LMIALLib.pairs.voxels import read_voxels

WHOLE_TOLERANCE = 1e-3
"""Largest distance of a stored number from a whole one for which it stands: tools that resample or rescale leave it."""
LARGEST_LABEL = 1 << 31
NOT_READ = 255
"""What LMIAL's own exports hold where nobody has read; never a lesion."""


@dataclass(frozen=True)
class LabelVolume:
    """A label as it lies on disk.

    Args:
        values: whole numbers (k, j, i), int32 or the type of storage.
        grid: where they lie; None where the file says nothing of space (a plane of two axes).
        flat: whether it is a plane of two axes; then ``grid`` says how those run, and not on which slice it lies.
        remarks: sentences on what was guessed in reading, without the file's name.
    """

    values: np.ndarray
    grid: Grid | None
    remarks: tuple[str, ...] = ()
    flat: bool = False


def read_label_volume(path: Path) -> LabelVolume:
    """Read a label: three axes of any length from one on, or one plane of two axes.

    Raises BadInput with one sentence that names ``path`` and, where a number is no whole one, that number.
    """
    import SimpleITK as sitk

    path = Path(path)
    suffix = suffix_of(path)
    if suffix is None or not path.is_file():
        volume = read_volume(path, may_be_empty=True)
        return LabelVolume(whole_numbers(path, sitk.GetArrayFromImage(volume.image)), volume.grid, volume.remarks)
    try:
        return _read(path, HEADERS[suffix](path))
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error


def _read(path: Path, header: Header) -> LabelVolume:
    check_plane(path, header)
    if any(length != 1 for length in header.size[3:]):
        raise BadInput(
            f"{path}: it has {len(header.size)} dimensions ({' x '.join(map(str, header.size))}); a label has one"
            " number a voxel.",
            "Export one label map.",
        )
    flat = len(header.size) == 2
    if not flat:
        check_spacing(path, header.spacing[:3], header.kind)
        check_position(path, header.origin)
        if header.axes is not None:
            check_axes(path, header.axes)
    array = read_voxels(path, header)
    grid = _of_flat_nifti(path, header) if flat else header.grid
    shape = header.size[:3][::-1]
    if array.size != np.prod(shape):
        raise BadInput(f"{path}: it does not hold as many numbers as its header says.")
    if flat and grid is not None:
        shape = grid.shape
    return LabelVolume(whole_numbers(path, array.reshape(shape)), grid, header.remarks, flat)


def _of_flat_nifti(path: Path, header: Header) -> Grid | None:
    """The grid of a NIfTI of two axes, one voxel thick, if its header says how they run; None for other formats."""
    if header.kind != "NIfTI":
        return None
    import nibabel

    try:
        image: Any = nibabel.load(path)  # its header was checked before; voxels are not read
        if not (int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0):
            return None
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    except Exception as error:  # nibabel raises whatever it meets
        raise BadInput(f"{path}: its NIfTI header does not give usable directions of its rows and columns.") from error
    along = affine[:3, :2]
    lengths = np.linalg.norm(along, axis=0)
    check_spacing(path, (*lengths.tolist(), 1.0), header.kind)
    check_position(path, tuple(affine[:3, 3].tolist()))
    normal = np.cross(along[:, 0], along[:, 1]) / np.prod(lengths)
    axes = np.column_stack([along / lengths, normal])
    check_axes(path, axes)
    x, y, z = affine[:3, 3].tolist()
    i, j = header.size
    return Grid((i, j, 1), (*lengths.tolist(), 1.0), (x, y, z), tuple(axes.ravel().tolist()))


def whole_numbers(path: Path, array: np.ndarray) -> np.ndarray:
    """Whole numbers of a label, whatever type they are stored in.

    Raises BadInput naming the first number that is further than ``WHOLE_TOLERANCE`` from a whole one.
    """
    if np.iscomplexobj(array):
        raise BadInput(f"{path}: its voxels are complex numbers; a label holds whole numbers.")
    if array.dtype.kind != "f":
        return array
    finite = np.isfinite(array)
    if not finite.all():
        raise not_finite(path, int(array.size - np.count_nonzero(finite)), array.size)
    near = np.round(array)
    off = np.abs(array - near) > WHOLE_TOLERANCE
    if off.any():
        raise BadInput(
            f"{path}: it holds {array[off][0]:.6g}; a label holds whole numbers.",
            "Export it as a label map, without interpolation; a map of probabilities needs a threshold first.",
        )
    if np.abs(near).max(initial=0) >= LARGEST_LABEL:
        raise BadInput(f"{path}: it holds {np.abs(near).max():.6g}; a label holds small whole numbers.")
    return near.astype(np.int32)


def read_mask(path: Path | str, reference: Grid, *, name: str = "mask") -> np.ndarray:
    """Read a mask as bool (k, j, i) on ``reference``; its values are 0 and one other, and both occur there.

    A mask that is turned, cropped or larger is mapped by where it lies; where it has no voxel it is 0. Raises BadInput
    on another grid that cannot be mapped, for other values, and where there is one value only.
    """
    path = Path(path)
    read = read_label_volume(path)
    if read.grid is None:
        raise BadInput(f"{path}: this {name} is a plane without a position in space; a volume is expected.")
    here = mapped(path, read.values, read.grid, reference)
    inside = here.values != 0
    if not here.covered.any():
        raise BadInput(
            f"{path}: this {name} ({shown(read.grid)}) lies elsewhere in space than the image it belongs to"
            f" ({shown(reference)}); they have no voxel in common."
        )
    found = here.values[inside]
    if found.size and found.min() != found.max():
        raise BadInput(
            f"{path}: this {name} has values other than 0 and one other (from {found.min()} to {found.max()})."
        )
    if inside.all() or not inside.any():
        raise BadInput(f"{path}: this {name} has one value only; it needs 0 outside and another value inside.")
    return np.asarray(inside)
