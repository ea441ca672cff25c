"""One DICOM series folder read as a volume, after checking that its slices make a regular stack.

ITK reads unevenly spaced, tilted or mixed series without more than a warning, and the geometry is then wrong. So the
positions of all slices are compared here first. No value that could identify a patient leaves this file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.dicom_choice import chosen_stack
from LMIALLib.pairs.dicom_slice import (
    COLUMNS,
    DATES,
    FRAMES,
    ORIENTATION,
    POSITION,
    ROWS,
    SAMPLES,
    SLOPE,
    SPACING,
    STORED,
    TILT,
    Slice,
    patient_of,
)
from LMIALLib.pairs.dicom_volumes import SAME_PLACE_MM, edges_of, farthest_pixel_mm
from LMIALLib.pairs.geometry import nearest_rotation
from LMIALLib.pairs.headers import MAX_VOXELS, MIN_VOXELS_PER_AXIS, MOST_MOVED_MM, SHEAR_TOLERANCE, UNSEEN_MM
from LMIALLib.pairs.headers_text import shown
from LMIALLib.pairs.itk import names_for_itk, read_dicom_slice, without_warnings

if TYPE_CHECKING:
    import SimpleITK as sitk

EVEN_MM = 0.1
"""Largest distance (mm) of a voxel from its place in a perfectly even stack: less is not seen in a scan of a person."""
TILT_DEGREES = 0.3
"""Largest angle between the stack's direction and the slices' normal; rounding in files stays below."""


@dataclass(frozen=True)
class Series:
    """A volume as read from a folder.

    Args:
        image: 3-D, scalar.
        subject_key: equal for scans of one patient, or None.
        date: "2014-03-02", or None.
        description: what was read.
        remarks: what was left out or mended, for a person.
    """

    image: sitk.Image
    subject_key: str | None
    date: str | None
    description: str
    remarks: tuple[str, ...]


def read_series(folder: Path, *, series: str | None) -> Series:
    """Read the one volume of a folder, or the one that ``series`` names: "UID", "UID:2" or ":2" (see ``dicom_choice``).

    Raises BadInput with one sentence: no series, several volumes, a multi-frame object, uneven or tilted slices, and
    the like.
    """
    stack = chosen_stack(folder, series)
    _check_kind(folder, stack.slices)
    ordered, origin, direction, spacing, remarks = _stack(folder, stack.slices)
    with without_warnings():
        image = _voxels(folder, ordered)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise BadInput(f"{folder}: its DICOM images do not hold one grey value per voxel.")
    image.SetOrigin(origin.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing(spacing)
    if stack.copies:
        remarks.insert(0, f"{stack.copies} of its files are copies of others and were left out.")
    if any(one.values.get(SLOPE) == 0 for one in ordered):
        remarks.append("a rescale slope of 0 was taken as 1.")
    description = f"DICOM series of {len(ordered)} files" + (f", {stack.words}" if stack.words else "")
    return Series(image, patient_of(folder, ordered[0].file), _date(ordered[0]), description, tuple(remarks))


def _check_kind(folder: Path, slices: Sequence[Slice]) -> None:
    for one in slices:
        if one.text(FRAMES) not in ("", "0", "1"):
            raise BadInput(
                f"{folder}: it holds a multi-frame DICOM object ({shown(one.text(FRAMES))} frames in one file);"
                " LMIAL reads series of one slice per file.",
                "Convert it to NIfTI or NRRD, or export it as classic DICOM.",
            )
        if one.text(SAMPLES) not in ("", "1"):
            raise BadInput(f"{folder}: its DICOM images are in colour; LMIAL reads one grey value per voxel.")
        tilt = one.numbers(TILT, 1)
        if tilt is not None and abs(tilt[0]) > TILT_DEGREES:
            raise BadInput(
                f"{folder}: it was acquired with a gantry tilt of {tilt[0]:g} degrees, so its slices do not form a"
                " regular grid.",
                "Correct the tilt and export it again.",
            )
    for tag, what in ((ROWS, "rows"), (COLUMNS, "columns")):
        if len({one.text(tag) for one in slices}) > 1:
            raise BadInput(f"{folder}: its slices differ in their {what}; they do not make one volume.")
    if len(slices) < MIN_VOXELS_PER_AXIS:
        raise BadInput(f"{folder}: its series has {len(slices)} slices; LMIAL needs at least {MIN_VOXELS_PER_AXIS}.")
    pixels = slices[0].numbers(ROWS, 1), slices[0].numbers(COLUMNS, 1)
    if pixels[0] is None or pixels[1] is None or pixels[0][0] * pixels[1][0] * len(slices) > MAX_VOXELS:
        raise BadInput(f"{folder}: its DICOM headers promise no usable number of rows and columns.")
    if min(pixels[0][0], pixels[1][0]) < MIN_VOXELS_PER_AXIS:
        raise BadInput(
            f"{folder}: its slices have {pixels[0][0]:g} rows and {pixels[1][0]:g} columns; LMIAL needs at least"
            f" {MIN_VOXELS_PER_AXIS} of both."
        )


def _stack(
    folder: Path, slices: Sequence[Slice]
) -> tuple[list[Slice], np.ndarray, np.ndarray, tuple[float, float, float], list[str]]:
    """Slices in order along their normal, with origin, direction (columns), spacing (mm), and remarks.

    One orientation and one pixel spacing, the median of all slices', stand for all: scanners and reformatting tools
    write them with different last digits. None may move a pixel by more than ``EVEN_MM``.
    """
    orientations, pixels, positions = (
        [one.numbers(tag, count) for one in slices] for tag, count in ((ORIENTATION, 6), (SPACING, 2), (POSITION, 3))
    )
    if any(turn is None for turn in orientations) or any(place is None for place in positions):
        raise BadInput(f"{folder}: its DICOM slices have no position and orientation.")
    if any(pixel is None or min(pixel) <= 0 for pixel in pixels):
        raise BadInput(
            f"{folder}: its DICOM pixel spacing is {shown(slices[0].text(SPACING) or 'missing')}; two positive numbers"
            " are expected."
        )
    orientation, pixel = np.median(np.array(orientations), axis=0), np.median(np.array(pixels), axis=0)
    row, column = orientation[:3], orientation[3:]
    last = float(slices[0].text(COLUMNS)) - 1, float(slices[0].text(ROWS)) - 1
    common = np.array([row * pixel[1] * last[0], column * pixel[0] * last[1]])
    off = max(farthest_pixel_mm(edges, common) for one in slices if (edges := edges_of(one)) is not None)
    if off > EVEN_MM:
        raise BadInput(
            f"{folder}: its slices differ in their orientations or pixel spacings, by {off:.2g} mm at their edges; they"
            " do not make one volume."
        )
    if max(abs(np.linalg.norm(row) - 1), abs(np.linalg.norm(column) - 1), abs(row @ column)) > SHEAR_TOLERANCE:
        raise BadInput(f"{folder}: its DICOM row and column directions are not at right angles.")
    axes = nearest_rotation(np.stack([row, column, np.cross(row, column)], axis=1))
    moved = farthest_pixel_mm(common, np.array([axes[:, 0] * pixel[1] * last[0], axes[:, 1] * pixel[0] * last[1]]))
    if moved > MOST_MOVED_MM:
        raise BadInput(f"{folder}: its DICOM row and column directions are not at right angles, by {moved:.2g} mm.")
    remarks = []
    if moved > UNSEEN_MM:
        remarks.append(
            "its directions are given to few decimals; the nearest at right angles move no pixel by more than"
            f" {moved:.2g} mm."
        )
    places = np.array(positions, dtype=float)
    order = np.argsort(places @ axes[:, 2], kind="stable")
    places = places[order]
    spacing, aside = _even_spacing(folder, places, axes[:, 2])
    if aside > EVEN_MM:
        remarks.append(
            f"its slices are shifted against one another, by {aside:.2g} mm from the first to the last; that was left"
            " out of account."
        )
    return [slices[index] for index in order], places[0], axes, (float(pixel[1]), float(pixel[0]), spacing), remarks


def _even_spacing(folder: Path, places: np.ndarray, normal: np.ndarray) -> tuple[float, float]:
    """Distance (mm) of slices, and how far (mm) the last lies aside of the first's normal."""
    heights = (places - places[0]) @ normal
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if gaps.min() < SAME_PLACE_MM:
        raise BadInput(
            f"{folder}: several of its slices lie at the same place and show different things, and their headers do not"
            " say what separates them.",
            "Keep one of them, or put the files of each volume into a folder of its own.",
        )
    off = np.abs(heights - np.linspace(0, heights[-1], len(heights))).max()
    if off > EVEN_MM or np.abs(gaps - usual).max() > max(EVEN_MM, 0.02 * usual):
        raise BadInput(
            f"{folder}: its slices are unevenly spaced (gaps from {gaps.min():.2f} to {gaps.max():.2f} mm);"
            " a slice may be missing.",
            "Complete the series or resample it.",
        )
    aside = float(np.linalg.norm(places[-1] - places[0] - heights[-1] * normal))
    angle = float(np.degrees(np.arctan2(aside, heights[-1])))
    if angle > TILT_DEGREES:
        raise BadInput(
            f"{folder}: its slices are shifted against one another by {angle:.1f} degrees (gantry tilt), so they do not"
            " form a regular grid.",
            "Correct the tilt and export it again.",
        )
    return float(heights[-1] / (len(heights) - 1)), aside


def _voxels(folder: Path, ordered: Sequence[Slice]) -> sitk.Image:
    """The slices as one image; its pixel type is as stored where one rescaling holds for all, else floating point."""
    import SimpleITK as sitk

    if len({(one.rescale, tuple(one.values.get(tag) for tag in STORED)) for one in ordered}) > 1:
        return _each_by_its_own(folder, ordered)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    with names_for_itk([one.file for one in ordered]) as names:
        reader.SetFileNames(names)
        try:
            return reader.Execute()
        except (RuntimeError, MemoryError, TypeError, UnicodeError) as error:
            raise BadInput(
                f"{folder}: the voxels of its DICOM series cannot be read; files may be cut short or compressed in a"
                " way that LMIAL does not know."
            ) from error


def _each_by_its_own(folder: Path, ordered: Sequence[Slice]) -> sitk.Image:
    """Slices that are stored or rescaled in different ways, as PET has them, read one by one.

    ITK's reader of series makes the first slice's pixel type that of all: the others would be cut to whole numbers.
    """
    import SimpleITK as sitk

    shape = (len(ordered), int(float(ordered[0].text(ROWS))), int(float(ordered[0].text(COLUMNS))))
    deep = any(one.values.get(STORED[0]) not in (8.0, 16.0) for one in ordered)
    voxels = np.empty(shape, np.float64 if deep else np.float32)
    for plane, one in zip(voxels, ordered, strict=True):
        found = read_dicom_slice(folder, one.file)
        if found.shape != plane.shape:
            raise BadInput(f"{folder}: its file {Path(one.file).name} does not hold one picture of the series' size.")
        plane[...] = found
    return sitk.GetImageFromArray(voxels)


def _date(one: Slice) -> str | None:
    for tag in DATES:
        found = re.fullmatch(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", one.text(tag))
        if found:
            return "-".join(found.groups())
    return None
