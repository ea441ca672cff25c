"""Reading what a reader drew outside LMIAL: a volume on the pair's grid, or a picture of one slice."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import Header, check_plane
from LMIALLib.pairs.itk import read_nifti_with_itk, without_warnings
from LMIALLib.pairs.reading import HEADERS, read_volume, suffix_of
from LMIALLib.pairs.voxels import read_voxels

PICTURES = {".png": "PNGImageIO", ".tif": "TIFFImageIO", ".tiff": "TIFFImageIO", ".bmp": "BMPImageIO"}
"""Endings of pictures, and ITK's reader for each: one that is named cannot be another one that the content asks for."""
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
    import SimpleITK as sitk

    check_plane(path, header)
    by_itk = header.voxel is None
    array = sitk.GetArrayFromImage(read_nifti_with_itk(path)) if by_itk else read_voxels(path, header)
    return array.reshape(array.shape[-2:])


def _picture(path: Path, imageio: str) -> np.ndarray:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO(imageio)
    reader.SetFileName(str(path))
    try:
        with without_warnings():
            reader.ReadImageInformation()
            size = reader.GetSize()
            if reader.GetNumberOfComponents() != 1:
                raise BadInput(f"{path}: a label has one value a pixel, this has {reader.GetNumberOfComponents()}.")
            if any(length != 1 for length in size[2:]) or size[0] * size[1] > LARGEST_PICTURE:
                raise BadInput(f"{path}: its size is {_times(size)}; a label is one picture of its slice.")
            image = reader.Execute()
    except (RuntimeError, MemoryError, UnicodeError) as error:
        raise BadInput(f"{path}: it cannot be read as an image; it may be damaged.") from error
    array = sitk.GetArrayFromImage(image)
    return array.reshape(array.shape[-2:])


def _slice_of_volume(path: Path, grid: Grid, axis: int, number: int) -> np.ndarray:
    import SimpleITK as sitk

    try:
        volume = read_volume(path)
    except BadInput as error:
        if "the same value" in error.sentence:
            raise BadInput(f"{path}: all its voxels have one value; nothing is marked.", "See --empty.") from error
        raise
    if not volume.grid.same_as(grid, GRID_TOLERANCE_MM):
        raise BadInput(
            f"{path}: it lies on another grid than the pair ({_times(volume.grid.size)} voxels, the pair has "
            f"{_times(grid.size)}, or it lies elsewhere in space).",
            "Draw on the pair's follow-up as LMIAL stores it, or give a 2-D image of the slice.",
        )
    voxels = sitk.GetArrayViewFromImage(volume.image)
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
