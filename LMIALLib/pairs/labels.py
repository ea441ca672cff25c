"""Reading what a reader drew outside LMIAL: a volume on the pair's grid, or a picture of one slice."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import Header, check_plane
from LMIALLib.pairs.reading import HEADERS, read_volume, suffix_of
from LMIALLib.pairs.voxels import read_voxels

PICTURES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Endings of pictures, and the one format that is read for each, whatever the content asks for."""
_GREY = ("1", "L", "I", "I;16", "I;16L", "I;16B", "F")
LARGEST_PICTURE = 1 << 26
"""Pixels; a slice of a scan has a hundredth of it."""
GRID_TOLERANCE_MM = 0.1
NOT_READ = 255
"""What LMIAL's own label exports hold where nobody has read; never a lesion."""


def read_label_slice(path: Path, *, grid: Grid, axis: int, number: int, allowed: Collection[int]) -> np.ndarray:
    """The label of one slice, uint8 (rows, columns) with values of the label schema.

    Args:
        path: a volume on ``grid`` (slice ``number`` along array axis ``axis`` is taken), or a 2-D image of the slice's
            shape, in a format that volumes have or as PNG, TIFF or BMP.
        allowed: values of the schema without 0; a file with 0 and one other value means "change", value 1.

    Raises BadInput for a file that cannot be read, another grid or shape, other values, or nothing marked.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file.")
        values = _values(path, grid, axis, number)
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    shape = tuple(length for array_axis, length in enumerate(grid.shape) if array_axis != axis)
    if values.shape != shape:
        raise BadInput(f"{path}: its shape is {_times(values.shape)}, the slice's is {_times(shape)} (rows x columns).")
    if (values != 0).all():
        raise BadInput(
            f"{path}: every pixel of slice {number} is marked; that is no lesion (in exports 255 is 'not read')."
        )
    if not values.any():
        raise BadInput(f"{path}: nothing is marked on slice {number}.", "If nothing changed there, say so: --empty.")
    return _schema_values(path, values, allowed)


def _values(path: Path, grid: Grid, axis: int, number: int) -> np.ndarray:
    """What the file holds for the slice. Reading a header also refuses data files that lie elsewhere."""
    name = path.name.lower()
    picture = next((reader for ending, reader in PICTURES.items() if name.endswith(ending)), None)
    if picture is not None:
        return _picture(path, picture)
    if name.endswith(".seg.nrrd"):
        raise BadInput(
            f"{path}: it is a segmentation of several segments, and LMIAL cannot know which one is the label.",
            "Export the segment as a label map (in 3D Slicer: Segmentations, Export to files, NRRD).",
        )
    suffix = suffix_of(path)
    header = None if suffix is None else HEADERS[suffix](path)
    if header is not None and all(length == 1 for length in header.size[2:]):
        return _plane(path, header)
    return _slice_of_volume(path, grid, axis, number)


def _plane(path: Path, header: Header) -> np.ndarray:
    """A file in a format of volumes that holds one plane."""
    check_plane(path, header)
    array = read_voxels(path, header)
    return array.reshape(array.shape[-2:])


def _picture(path: Path, kind: str) -> np.ndarray:
    """A picture by Pillow: ITK follows a TIFF that leads back to itself for ever, and prints what it dislikes."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=(kind,)) as picture:
                if picture.mode not in _GREY:
                    raise BadInput(f"{path}: a label has one value a pixel, this has colours (mode {picture.mode}).")
                if picture.width * picture.height > LARGEST_PICTURE or getattr(picture, "n_frames", 1) != 1:
                    raise BadInput(f"{path}: its size is {_times(picture.size)}; a label is one picture of its slice.")
                return np.asarray(picture) * 1  # a picture of one bit becomes numbers
        except BadInput:
            raise
        except Exception as error:  # Pillow raises whatever it meets in a damaged file
            raise BadInput(f"{path}: it cannot be read as an image; it may be damaged.") from error


def _slice_of_volume(path: Path, grid: Grid, axis: int, number: int) -> np.ndarray:
    import SimpleITK as sitk

    volume = read_volume(path, may_be_empty=True)
    voxels = sitk.GetArrayViewFromImage(volume.image)
    if voxels.min() == voxels.max():
        raise BadInput(f"{path}: all its voxels have one value; nothing is marked.", "See --empty.")
    if not volume.grid.same_as(grid, GRID_TOLERANCE_MM):
        raise BadInput(
            f"{path}: it lies on another grid than the pair ({_times(volume.grid.size)} voxels, the pair has "
            f"{_times(grid.size)}, or it lies elsewhere in space).",
            "Draw on the pair's follow-up as LMIAL stores it, or give a 2-D image of the slice.",
        )
    values = np.take(voxels, number, axis=axis)
    if (values == NOT_READ).any() and (voxels == NOT_READ).all(axis=tuple({0, 1, 2} - {axis})).any():
        raise BadInput(
            f"{path}: it is an export of LMIAL in which 255 means 'not read' or 'left out', also on slice {number}.",
            "Remove the 255 from the slices that you label, or give a 2-D image of the slice.",
        )
    return values


def _schema_values(path: Path, values: np.ndarray, allowed: Collection[int]) -> np.ndarray:
    marked = np.unique(values[values != 0])
    if np.isin(marked, list(allowed)).all():
        return values.astype(np.uint8)
    if marked.size == 1:
        return (values != 0).astype(np.uint8)
    found = ", ".join(f"{value:g}" for value in marked[:6])
    known = ", ".join(str(value) for value in sorted(allowed))
    raise BadInput(f"{path}: it holds the values {found}; a label holds 0 and one other, or values of {known}.")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)
