"""Reading what a reader drew outside LMIAL: a volume or a plane by where it lies, or a picture of one slice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.label_volume import read_label_volume, whole_numbers
from LMIALLib.pairs.mapping import Mapped, mapped, shown
from LMIALLib.pairs.segmentation import is_segmentation, one_segment, read_segmentation
from LMIALLib.pairs.unread import UNREAD

PICTURES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Endings of pictures, and the one format that is read for each, whatever the content asks for."""
_GREY = ("1", "L", "I", "I;16", "I;16L", "I;16B", "F")
LARGEST_PICTURE = 1 << 26
"""Pixels; a slice of a scan has a hundredth of it."""


def read_label_slice(
    path: Path,
    *,
    grid: Grid,
    axis: int,
    number: int,
    allowed: Collection[int],
    say: Callable[[str], None] = lambda sentence: None,
) -> np.ndarray:
    """The label of one slice, uint8 (rows, columns) with values of the label schema.

    A file that says where it lies is mapped by that: turned, mirrored, cropped to a box or larger than ``grid``. A
    picture, or a plane that says nothing of space, is taken row by row.

    Args:
        path: a volume or one plane in a format that volumes have (slice ``number`` along array axis ``axis`` of
            ``grid`` is taken), a ``.seg.nrrd`` or DICOM SEG with one segment, or a 2-D image of the slice's shape,
            also as PNG, TIFF or BMP.
        allowed: values of the schema without 0; a file with 0 and one other value means "change", value 1.
        say: takes sentences on what was guessed or left out.

    Raises BadInput for a file that cannot be read, a grid that cannot be mapped, another place or shape, other values,
    or nothing marked.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file.")
        values = _values(path, grid, axis, number, say)
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    if (values != 0).all():
        raise BadInput(
            f"{path}: every pixel of slice {number} is marked; that is no lesion (in exports 255 is 'not read')."
        )
    if not values.any():
        raise BadInput(
            f"{path}: nothing is marked on slice {number}.", "If nothing changed there, say so.", Step(Do.NOTHING_HERE)
        )
    return _schema_values(path, values, allowed)


def _values(path: Path, grid: Grid, axis: int, number: int, say: Callable[[str], None]) -> np.ndarray:
    """What the file holds for the slice. Reading a header also refuses data files that lie elsewhere."""
    name = path.name.lower()
    picture = next((reader for ending, reader in PICTURES.items() if name.endswith(ending)), None)
    if picture is not None:
        return _row_by_row(path, whole_numbers(path, _picture(path, picture)), grid, axis)
    volume = one_segment(path, read_segmentation(path)) if is_segmentation(path) else read_label_volume(path)
    if volume.grid is None or (1 in volume.grid.size and _says_nothing(volume.grid, grid)):
        if volume.grid is not None:
            say(f"{path}: its header does not say where it lies; its rows and columns are taken for slice {number}'s.")
        plane = volume.values.reshape([n for n in volume.values.shape if n > 1] or [1, 1])
        return _row_by_row(path, plane, grid, axis)
    if not volume.values.any():
        raise BadInput(
            f"{path}: all its voxels have one value; nothing is marked.",
            "If nothing changed there, say so.",
            Step(Do.NOTHING_HERE),
        )
    lies = volume.grid
    if volume.flat:
        turned = _turned(volume.values[0], lies, grid, axis)
        if turned.shape == _slice_shape(grid, axis):
            return turned
        lies = _on_slice(lies, grid, axis, number)
    here = mapped(path, volume.values, lies, grid)
    _check_place(path, lies, here, grid, axis, number)
    values = np.take(here.values, number, axis=axis)
    others = tuple({0, 1, 2} - {axis})
    unread = ((here.values == UNREAD) | ~here.covered).all(axis=others) & here.covered.any(axis=others)
    if (values == UNREAD).any() and unread.any():
        raise BadInput(
            f"{path}: it is an export of LMIAL that marks slice {number}, or a part of it, as not read.",
            "Take the slice from a label of your own: a label map without the value 255 there, or a 2-D image.",
        )
    for sentence in (*volume.remarks, *_remarks(here, axis, number)):
        say(f"{path}: {sentence}")
    return values


def _slice_shape(grid: Grid, axis: int) -> tuple[int, ...]:
    return tuple(length for array_axis, length in enumerate(grid.shape) if array_axis != axis)


def _turned(plane: np.ndarray, lies: Grid, grid: Grid, axis: int) -> np.ndarray:
    """A plane (j, i) with rows and columns run as those of the grid's slices do, mirrored or exchanged where needed."""
    cosines = np.reshape(grid.direction, (3, 3)).T @ np.reshape(lies.direction, (3, 3))
    across, down = (index for index in range(3) if index != 2 - axis)
    if abs(cosines[across, 0]) + abs(cosines[down, 1]) < abs(cosines[across, 1]) + abs(cosines[down, 0]):
        plane, cosines = plane.T, cosines[:, [1, 0, 2]]
    return plane[:: -1 if cosines[down, 1] < 0 else 1, :: -1 if cosines[across, 0] < 0 else 1]


def _row_by_row(path: Path, plane: np.ndarray, grid: Grid, axis: int) -> np.ndarray:
    """A plane that says nothing of space, if it has the slice's shape."""
    shape = _slice_shape(grid, axis)
    if plane.shape != shape:
        raise BadInput(f"{path}: its shape is {_times(plane.shape)}, the slice's is {_times(shape)} (rows x columns).")
    return plane


def _says_nothing(plane: Grid, grid: Grid) -> bool:
    """Whether a plane's header was never filled in (1 mm, no turn, at 0), and the pair's own was."""
    turn = np.reshape(plane.direction, (3, 3))
    empty = plane.spacing == (1.0, 1.0, 1.0) and not any(plane.origin) and np.array_equal(np.abs(turn), np.eye(3))
    return empty and not (np.allclose(grid.spacing, 1.0, atol=1e-3) and np.allclose(grid.origin, 0.0, atol=1e-3))


def _on_slice(plane: Grid, grid: Grid, axis: int, number: int) -> Grid:
    """A plane of two axes, which has no place across them, moved along the slice axis onto a slice of the grid."""
    index = 2 - axis
    centre = np.append(plane.corners().mean(axis=0), 1.0)
    off = number - (np.linalg.inv(grid.index_to_point()) @ centre)[index]
    step = np.reshape(grid.direction, (3, 3))[:, index] * grid.spacing[index]
    x, y, z = (np.array(plane.origin) + off * step).tolist()
    return replace(plane, origin=(x, y, z))


def _check_place(path: Path, lies: Grid, here: Mapped, grid: Grid, axis: int, number: int) -> None:
    """Refuse a label that has no voxel on the slice, saying where it lies instead."""
    if np.take(here.covered, number, axis=axis).any():
        return
    if not here.covered.any():
        raise BadInput(
            f"{path}: it ({shown(lies)}) lies elsewhere in space than the pair ({shown(grid)}); they have no voxel in"
            " common."
        )
    held = np.flatnonzero(here.covered.any(axis=tuple({0, 1, 2} - {axis})))
    away = int(np.abs(held - number).min()) * grid.spacing[2 - axis]
    where = f"slice {held[0]}" if held.size == 1 else f"slices {held[0]} to {held[-1]}"
    raise BadInput(f"{path}: it lies on {where}, {away:.3g} mm from slice {number}, which it does not cover.")


def _remarks(here: Mapped, axis: int, number: int) -> list[str]:
    """Sentences on how a label was mapped onto the pair, where a person should know of it."""
    remarks = []
    if here.off_mm > 0:
        remarks.append(f"it lies between the pair's voxels; the nearest were taken, up to {here.off_mm:.2g} mm away.")
    if not np.take(here.covered, number, axis=axis).all():
        remarks.append(f"it covers a part of slice {number} only; outside of that part nothing counts as marked.")
    if here.lost:
        remarks.append(f"{here.lost} marked voxel(s) lie outside of the pair and are left out.")
    return remarks


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
