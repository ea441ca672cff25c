"""One DICOM series folder read as a volume, after checking that its slices make a regular stack.

ITK reads unevenly spaced, tilted or mixed series without more than a warning, and the geometry is then wrong. So the
positions of all slices are compared here first. No value that could identify a patient leaves this file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.dicom_structure import series_of
from LMIALLib.pairs.headers import MAX_VOXELS, MIN_VOXELS_PER_AXIS
from LMIALLib.pairs.headers_text import shown
from LMIALLib.pairs.itk import without_warnings

if TYPE_CHECKING:
    import SimpleITK as sitk

_FRAMES, _POSITION, _ORIENTATION, _SPACING = "0028|0008", "0020|0032", "0020|0037", "0028|0030"
_ROWS, _COLUMNS, _SAMPLES, _TILT = "0028|0010", "0028|0011", "0028|0002", "0018|1120"
_MODALITY, _NUMBER, _NAME, _ID = "0008|0060", "0020|0011", "0010|0010", "0010|0020"
_DATES = ("0008|0022", "0008|0021", "0008|0020")
MOST_FILES = 20_000
"""Files of a folder that are looked into; a large folder of all series of an examination has some thousands."""
EVEN_MM = 0.1
"""Largest distance (mm) of a slice from its place in a perfectly even stack."""
TILT_DEGREES = 0.3
"""Largest angle between the stack's direction and the slices' normal; rounding in files stays below."""


@dataclass(frozen=True)
class _Slice:
    file: str
    tags: dict[str, str]

    def numbers(self, tag: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(word) for word in self.tags.get(tag, "").split("\\")])
        except ValueError:
            return None
        return values if len(values) == count and np.all(np.isfinite(values)) else None


def read_series(folder: Path, *, series: str | None) -> tuple[sitk.Image, str | None, str | None, str]:
    """Read the one series of a folder, or the one with UID ``series``.

    Returns the image, a key that is equal for scans of one patient (or None), the ISO date (or None), a description.
    Raises BadInput with one sentence: no series, several, a multi-frame object, uneven or tilted slices, and the like.
    """
    with without_warnings():
        files = _chosen(folder, series)
        slices = [_tags(folder, file) for file in files]
        _check_kind(folder, slices)
        ordered, origin, direction, spacing = _stack(folder, slices)
        image = _voxels(folder, ordered)
    image.SetOrigin(origin.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing(spacing)
    return image, _subject_key(ordered), _date(ordered), f"DICOM series of {len(ordered)} files"


def series_in(folder: Path) -> dict[str, list[str]]:
    """UIDs of the DICOM series that a folder directly holds, each with its files in the order of their names.

    Raises BadInput where a DICOM file is damaged, or the folder holds too many files.
    """
    found: dict[str, list[str]] = {}
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) > MOST_FILES:
        raise BadInput(f"{folder}: it holds {len(files):,} files; LMIAL takes up to {MOST_FILES:,}.")
    for path in files:
        uid = series_of(path)
        if uid is not None:
            found.setdefault(uid, []).append(str(path))
    return found


def _chosen(folder: Path, series: str | None) -> list[str]:
    """The files of the one series, or of the one that was asked for."""
    found = series_in(folder)
    if not found:
        raise BadInput(
            f"{folder}: this folder holds no readable DICOM series.",
            "Give the folder that directly holds the slices of one series, or a file.",
        )
    if series is not None:
        if series not in found:
            raise BadInput(f"{folder}: it holds no series {shown(series)}, but {_listed(folder, found)}.")
        return found[series]
    if len(found) > 1:
        raise BadInput(
            f"{folder}: it holds {len(found)} series: {_listed(folder, found)}.",
            "Choose one by its UID (--series UID).",
        )
    return next(iter(found.values()))


def _listed(folder: Path, found: Mapping[str, Sequence[str]]) -> str:
    words = []
    for uid, files in list(found.items())[:12]:
        tags = _tags(folder, files[0]).tags
        number, modality = tags.get(_NUMBER, ""), tags.get(_MODALITY, "")
        title = f"series {int(number)}, " if re.fullmatch(r"\d{1,9}", number) else ""
        kind = f"{modality}, " if re.fullmatch(r"[A-Z]{2,16}", modality) else ""
        words.append(f"{uid} ({title}{kind}{len(files)} file{'s' if len(files) != 1 else ''})")
    return "; ".join(words)


def _tags(folder: Path, file: str) -> _Slice:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(file)
    try:
        reader.ReadImageInformation()
        return _Slice(file, {key: reader.GetMetaData(key).strip(" \0") for key in reader.GetMetaDataKeys()})
    except (RuntimeError, UnicodeError) as error:
        raise BadInput(f"{folder}: its file {Path(file).name} cannot be read as DICOM.") from error


def _check_kind(folder: Path, slices: Sequence[_Slice]) -> None:
    for one in slices:
        if one.tags.get(_FRAMES, "1") not in ("", "0", "1"):
            raise BadInput(
                f"{folder}: it holds a multi-frame DICOM object ({one.tags[_FRAMES]} frames in one file);"
                " LMIAL reads series of one slice per file.",
                "Convert it to NIfTI or NRRD, or export it as classic DICOM.",
            )
        if one.tags.get(_SAMPLES, "1") not in ("", "1"):
            raise BadInput(f"{folder}: its DICOM images are in colour; LMIAL reads one grey value per voxel.")
        tilt = one.numbers(_TILT, 1)
        if tilt is not None and abs(tilt[0]) > TILT_DEGREES:
            raise BadInput(
                f"{folder}: it was acquired with a gantry tilt of {tilt[0]:g} degrees, so its slices do not form a"
                " regular grid.",
                "Correct the tilt and export it again.",
            )
    for tag, what in (
        (_ROWS, "rows"),
        (_COLUMNS, "columns"),
        (_SPACING, "pixel spacings"),
        (_ORIENTATION, "orientations"),
    ):
        if len({_rounded(one.tags.get(tag, "")) for one in slices}) > 1:
            raise BadInput(f"{folder}: its slices differ in their {what}; they do not make one volume.")
    if len(slices) < MIN_VOXELS_PER_AXIS:
        raise BadInput(f"{folder}: its series has {len(slices)} slices; LMIAL needs at least {MIN_VOXELS_PER_AXIS}.")
    pixels = slices[0].numbers(_ROWS, 1), slices[0].numbers(_COLUMNS, 1)
    if pixels[0] is None or pixels[1] is None or pixels[0][0] * pixels[1][0] * len(slices) > MAX_VOXELS:
        raise BadInput(f"{folder}: its DICOM headers promise no usable number of rows and columns.")
    if min(pixels[0][0], pixels[1][0]) < MIN_VOXELS_PER_AXIS:
        raise BadInput(
            f"{folder}: its slices have {pixels[0][0]:g} rows and {pixels[1][0]:g} columns; LMIAL needs at least"
            f" {MIN_VOXELS_PER_AXIS} of both."
        )


def _rounded(text: str) -> tuple[object, ...]:
    """Numbers of a tag to four digits after the point: scanners write the same cosines with different last digits."""
    try:
        return tuple(round(float(word), 4) + 0.0 for word in text.split("\\"))
    except ValueError:
        return (text,)


def _stack(
    folder: Path, slices: Sequence[_Slice]
) -> tuple[list[_Slice], np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Slices in order along their normal, with origin, direction (columns) and spacing (mm)."""
    orientation, pixel = slices[0].numbers(_ORIENTATION, 6), slices[0].numbers(_SPACING, 2)
    positions = [one.numbers(_POSITION, 3) for one in slices]
    if orientation is None or any(position is None for position in positions):
        raise BadInput(f"{folder}: its DICOM slices do not say where they lie (position and orientation are missing).")
    if pixel is None or min(pixel) <= 0:
        raise BadInput(
            f"{folder}: its DICOM pixel spacing is {slices[0].tags.get(_SPACING, '') or 'missing'!r};"
            " two positive numbers are expected."
        )
    row, column = orientation[:3], orientation[3:]
    if abs(np.linalg.norm(row) - 1) > 1e-3 or abs(np.linalg.norm(column) - 1) > 1e-3 or abs(row @ column) > 1e-3:
        raise BadInput(f"{folder}: its DICOM row and column directions are not at right angles.")
    row = row / np.linalg.norm(row)
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    column = np.cross(normal, row)
    places = np.array(positions, dtype=float)
    order = np.argsort(places @ normal, kind="stable")
    places = places[order]
    spacing = _even_spacing(folder, places, normal)
    return (
        [slices[index] for index in order],
        places[0],
        np.stack([row, column, normal], axis=1),
        (float(pixel[1]), float(pixel[0]), spacing),
    )


def _even_spacing(folder: Path, places: np.ndarray, normal: np.ndarray) -> float:
    heights = (places - places[0]) @ normal
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if gaps.min() < 0.01:
        raise BadInput(
            f"{folder}: several of its slices lie at the same place; it may hold more than one volume (echoes, times)."
        )
    off = np.abs(heights - np.linspace(0, heights[-1], len(heights))).max()
    if off > EVEN_MM or np.abs(gaps - usual).max() > max(EVEN_MM, 0.02 * usual):
        raise BadInput(
            f"{folder}: its slices are unevenly spaced (gaps from {gaps.min():.2f} to {gaps.max():.2f} mm);"
            " a slice may be missing.",
            "Complete the series or resample it.",
        )
    aside = places[-1] - places[0] - heights[-1] * normal
    angle = float(np.degrees(np.arctan2(np.linalg.norm(aside), heights[-1])))
    if angle > TILT_DEGREES:
        raise BadInput(
            f"{folder}: its slices are shifted against one another by {angle:.1f} degrees (gantry tilt), so they do not"
            " form a regular grid.",
            "Correct the tilt and export it again.",
        )
    return float(heights[-1] / (len(heights) - 1))


def _voxels(folder: Path, ordered: Sequence[_Slice]) -> sitk.Image:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([one.file for one in ordered])
    try:
        return reader.Execute()
    except (RuntimeError, MemoryError) as error:
        raise BadInput(
            f"{folder}: the voxels of its DICOM series cannot be read; files may be cut short or compressed in a way"
            " that LMIAL does not know."
        ) from error


def _subject_key(slices: Sequence[_Slice]) -> str | None:
    identity = "\n".join(re.sub(r"[\s^]+", " ", slices[0].tags.get(tag, "")).strip().upper() for tag in (_ID, _NAME))
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:16] if identity.strip() else None


def _date(slices: Sequence[_Slice]) -> str | None:
    for tag in _DATES:
        found = re.fullmatch(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", slices[0].tags.get(tag, ""))
        if found:
            return "-".join(found.groups())
    return None
