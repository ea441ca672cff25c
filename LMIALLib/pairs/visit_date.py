"""The day of a scan as text around it writes it: in a table, or in the JSON that converters write beside an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.json_data import read_json

SHIFTED_UNTIL = 1925
"""BIDS asks to shift dates to this year or before it, so that nobody takes them for real ones."""
LARGEST_SIDECAR = 1 << 20
NIFTI = (".nii.gz", ".nii")
_DATE = r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})"
_TIME = r"(\d{1,2}):?(\d{2})(?::?(\d{2})(?:[.,]\d{1,9})?)?\s*(?:Z|[+-]\d{2}:?\d{2})?"
_FIELDS = ("AcquisitionDateTime", "AcquisitionDate", "SeriesDate", "ContentDate", "StudyDate")


@dataclass(frozen=True)
class When:
    """A day, and the time of it where that is known."""

    day: date
    time: time | None = None

    def __str__(self) -> str:
        return self.day.isoformat()


def read_when(text: str) -> When | None:
    """The day, perhaps with its time, of a text as BIDS or DICOM write it: 2019-03-01T10:00:00, 20190301; or None."""
    found = re.fullmatch(rf"{_DATE}(?:[T\s]?{_TIME})?(?:\.0+)?", text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups())
    try:
        on = date(year or 0, month or 0, day or 0)
        return When(on, None if hour is None else time(hour, minute or 0, second or 0))
    except ValueError:
        return None


def stands_for_no_day(day: date) -> bool:
    """Whether a day, if all visits share it, is one that tools write where they took the date away."""
    return day.year <= SHIFTED_UNTIL or (day.month, day.day) == (1, 1)


def text_beside(scan: Path) -> str:
    """The date, perhaps with its time, of the JSON beside a NIfTI image; empty where there is none, or it has none."""
    stem = next((scan.name.removesuffix(end) for end in NIFTI if scan.name.endswith(end)), None)
    if stem is None:
        return ""
    try:
        fields: dict[str, Any] = read_json(scan.with_name(f"{stem}.json"), dict[str, Any], most_bytes=LARGEST_SIDECAR)
    except (OSError, BadInput):  # then it dates nothing
        return ""
    for name in _FIELDS:
        text = str(fields.get(name) or "")
        if read_when(text) is not None:
            at = fields.get(name.replace("Date", "Time")) if not name.endswith("Time") else None
            both = f"{text} {at}"
            return both if isinstance(at, str) and read_when(both) else text
    return ""


def day_beside(scan: Path) -> str | None:
    """The real day, as "2019-03-01", that the JSON beside an image gives; None for none, or one that was shifted."""
    when = read_when(text_beside(scan))
    return None if when is None or stands_for_no_day(when.day) else str(when)
