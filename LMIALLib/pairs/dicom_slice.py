"""What LMIAL asks of the header of one DICOM slice, read by pydicom once the file's structure was walked.

Only the elements listed here are taken out of a file. Text is never needed: names and identifiers are compared as one
digest, whatever character set they are written in.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput

ROWS, COLUMNS, SAMPLES, FRAMES = 0x00280010, 0x00280011, 0x00280002, 0x00280008
POSITION, ORIENTATION, SPACING, TILT = 0x00200032, 0x00200037, 0x00280030, 0x00181120
STORED = (0x00280100, 0x00280101, 0x00280103, 0x00280004)
"""Bits allocated and stored, whether signed, and how they are shown: what a picture's numbers are stored as."""
INTERCEPT, SLOPE = 0x00281052, 0x00281053
MODALITY, NUMBER = 0x00080060, 0x00200011
NAME, ID, CHARACTERS = 0x00100010, 0x00100020, 0x00080005
DATES = (0x00080022, 0x00080021, 0x00080020)
KINDS: dict[str, tuple[int, ...]] = {
    "echo time": (0x00180081,),
    "echo": (0x00180086,),
    "b-value": (0x00189087, 0x0019100C, 0x00431039, 0x20011003),  # the standard's, then Siemens', GE's, Philips'
    "temporal position": (0x00200100,),
    "gradient": (0x00189089, 0x0019100E),
    "trigger time": (0x00181060,),
    "image type": (0x00080008,),
    "inversion time": (0x00180082,),
    "flip angle": (0x00181314,),
    "stack": (0x00209056,),
    "sequence": (0x00180024,),
    "acquisition": (0x00200012,),
}
"""What separates the volumes that one series may hold, and the elements that say it, the first that is there."""
_ALL = [ROWS, COLUMNS, SAMPLES, FRAMES, POSITION, ORIENTATION, SPACING, TILT, *STORED, INTERCEPT, SLOPE, MODALITY]
_ALL += [NUMBER, *DATES, *(tag for tags in KINDS.values() for tag in tags)]
_BINARY = dict.fromkeys((ROWS, COLUMNS, SAMPLES, *STORED[:3]), "u2")
_BINARY |= {0x00189087: "f8", 0x00189089: "f8", 0x0019100E: "f8", 0x20011003: "f4"}
"""The elements that hold numbers of a machine; the others are text."""

Value = float | str | tuple[float | str, ...]


@dataclass(frozen=True)
class Slice:
    """The header of one slice.

    Args:
        file: its path.
        values: numbers, text or several of them by tag, for those elements that are there and hold something.
    """

    file: str
    values: dict[int, Value]

    def numbers(self, tag: int, count: int) -> np.ndarray | None:
        """The ``count`` finite numbers of an element, or None where it holds anything else."""
        found = self.values.get(tag, ())
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != count or not all(isinstance(value, float) for value in found):
            return None
        return np.array(found, dtype=float)

    def text(self, tag: int) -> str:
        """An element as text, numbers without a needless point; empty where it is missing."""
        found = self.values.get(tag, "")
        return "\\".join(_plain(value) for value in (found if isinstance(found, tuple) else (found,)))

    def kind(self, name: str) -> Value | None:
        """What separates volumes, by its name in ``KINDS``; None where the slice does not say."""
        return next((self.values[tag] for tag in KINDS[name] if tag in self.values), None)

    @property
    def rescale(self) -> tuple[float, float]:
        """Slope and intercept; a slope that is 0 or no number counts as 1, as GDCM takes it."""
        slope, intercept = self.numbers(SLOPE, 1), self.numbers(INTERCEPT, 1)
        if slope is not None and slope[0] == 0:
            return 1.0, 0.0
        return 1.0 if slope is None else float(slope[0]), 0.0 if intercept is None else float(intercept[0])


def read_slice(folder: Path, file: str) -> Slice:
    """Read the header of a file whose structure was checked (``dicom_structure.series_of``).

    Raises BadInput naming the folder and the file where pydicom cannot read it.
    """
    header = _header(folder, file, _ALL)
    values = {tag: _value(header.get_item(tag), tag) for tag in _ALL if tag in header}
    return Slice(file, {tag: value for tag, value in values.items() if value != ()})


def patient_of(folder: Path, file: str) -> str | None:
    """A digest of identifier and name, equal for two files of one patient; None where both are empty.

    Both are decoded where their character set is known, so that a name is the same in Latin-1 and in UTF-8. Where it is
    not, bytes are taken as Latin-1: nobody reads a name here, and none is a reason to refuse a scan.
    """
    header = _header(folder, file, [ID, NAME, CHARACTERS])
    texts = []
    for tag in (ID, NAME):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = str(header[tag].value) if tag in header else ""
        except Exception:  # of an unknown or wrong character set
            text = (header.get_item(tag).value or b"").decode("latin-1")
        texts.append(re.sub(r"[\s^=]+", " ", text.strip(" \0")).strip().upper())
    if not any(texts):
        return None
    return hashlib.sha256("\n".join(texts).encode(errors="surrogatepass")).hexdigest()[:16]


def _header(folder: Path, file: str, tags: list[int]) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise BadInput(
            f"{folder}: DICOM files are read with the Python package pydicom, which is not installed.",
            "Install it (pip install pydicom), or convert the series to NRRD.",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
        except Exception as error:  # pydicom raises whatever it meets in a damaged header
            raise BadInput(f"{folder}: its file {Path(file).name} cannot be read as DICOM.") from error


def _value(element: Any, tag: int) -> Value:
    """Numbers as floats, text without blanks around it; () for an element that is empty or of another type."""
    raw = element.value
    if not isinstance(raw, bytes):
        return ()
    values: tuple[float | str, ...]
    if tag in _BINARY:
        kind = np.dtype(("<" if element.is_little_endian else ">") + _BINARY[tag])
        values = tuple(np.frombuffer(raw, kind).astype(float).tolist()) if len(raw) % kind.itemsize == 0 else ()
    else:
        values = tuple(_word(word) for word in raw.decode("latin-1").strip(" \0").split("\\"))
    return values[0] if len(values) == 1 and values != ("",) else () if values == ("",) else values


def _word(word: str) -> float | str:
    """A number where it is a finite one, else the word."""
    word = word.strip(" \0")
    try:
        return number if math.isfinite(number := float(word)) else word
    except ValueError:
        return word


def _plain(value: float | str) -> str:
    return f"{value:.10g}" if isinstance(value, float) else value
