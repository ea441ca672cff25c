"""When the visits of a BIDS subject took place: scans.tsv, the JSON beside the image, sessions.tsv; and their order.

Dates that were shifted to hide the patient order visits as well, if all were shifted; times of day without a day and
days that stand for no day (1900-01-01 for all) do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from LMIALLib.cohorts.layouts.layout import NIFTI
from LMIALLib.cohorts.layouts.table import filled, read_rows
from LMIALLib.errors import BadInput
from LMIALLib.json_data import read_json

SHIFTED_UNTIL = 1925
"""BIDS asks to shift dates to this year or before it, so that nobody takes them for real ones."""
LARGEST_SIDECAR = 1 << 20
_DATE = r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})"
_TIME = r"(\d{1,2}):?(\d{2})(?::?(\d{2})(?:[.,]\d{1,9})?)?\s*(?:Z|[+-]\d{2}:?\d{2})?"
_COLUMNS = ("acq_time", "acq_date", "acquisition_date", "session_date", "scan_date", "visit_date", "date")
_FIELDS = ("AcquisitionDateTime", "AcquisitionDate", "SeriesDate", "ContentDate", "StudyDate")


@dataclass(frozen=True)
class When:
    """A day, and the time of it where that is known."""

    day: date
    time: time | None = None

    def __str__(self) -> str:
        return self.day.isoformat()


@dataclass(frozen=True)
class Dates:
    """What one source says of the visits of a subject.

    Args:
        source: for sentences.
        when: by session; those without a day are not in it.
        odd: texts that stand where a day is expected and are none (times of day, days written in another order).
    """

    source: str
    when: Mapping[str, When]
    odd: tuple[str, ...] = ()


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


def dates_of(folder: Path, scans: Mapping[str, Path]) -> tuple[Dates, ...]:
    """What is known of the visits of a subject, from the nearest source to the furthest.

    Args:
        folder: of the subject.
        scans: the scan that is taken of each session, by the session's name (ses-...).
    """
    subject = folder.name
    sources = (
        ("scans.tsv", {name: _of_scans(folder, name, scan) for name, scan in scans.items()}),
        ("the JSON beside the images", {name: _of_sidecar(scan) for name, scan in scans.items()}),
        (f"{subject}_sessions.tsv", _of_sessions(folder / f"{subject}_sessions.tsv", scans)),
    )
    found = []
    for source, texts in sources:
        read = {name: read_when(text) for name, text in texts.items() if text}
        odd = tuple(text for name, text in texts.items() if text and read[name] is None)
        found.append(Dates(source, {name: when for name, when in read.items() if when is not None}, odd))
    return tuple(found)


def order_of_dates(dates: Dates, names: Sequence[str]) -> tuple[tuple[str, ...] | None, str]:
    """The names in the order of their dates, or None and why they tell no order; without any date both are empty."""
    when = dates.when
    dated = [name for name in names if name in when]
    if not dated:
        told = f"{dates.source} holds no day but {dates.odd[0][:40]!r}" if dates.odd else ""
        return None, told
    days = {when[name].day for name in dated}
    if len({day.year <= SHIFTED_UNTIL for day in days}) > 1:
        return None, f"{dates.source} shifts some dates to {SHIFTED_UNTIL} and before, and others not"
    missing = [name for name in names if name not in when]
    if missing:
        return None, f"{dates.source} dates {', '.join(dated)} but not {', '.join(missing)}"
    if len(days) == 1 and stands_for_no_day(next(iter(days))):
        return None, f"{dates.source} has one day for all ({next(iter(days))}), which stands for no day"
    keys = {name: (when[name].day, when[name].time) for name in names}
    for day in days:
        times = [keys[name][1] for name in names if keys[name][0] == day]
        if len(times) > 1 and (None in times or len(set(times)) < len(times)):
            return None, f"{dates.source} has one time for several ({day})"
    return tuple(sorted(names, key=lambda name: (keys[name][0], keys[name][1] or time()))), ""


def stands_for_no_day(day: date) -> bool:
    """Whether a day that all visits share is one that tools write where they took the date away."""
    return day.year <= SHIFTED_UNTIL or (day.month, day.day) == (1, 1)


def _of_scans(folder: Path, session: str, scan: Path) -> str:
    """``acq_time`` of a scan; of another scan of its session, the earliest, where the scan itself has none."""
    subject = folder.name
    for table, start in (
        (folder / session / f"{subject}_{session}_scans.tsv", ""),
        (folder / f"{subject}_scans.tsv", f"{session}/"),
    ):
        rows = _cells(table, "filename", ("acq_time",))
        mine = {file: text for file, text in rows.items() if file.replace("\\", "/").startswith(start)}
        own = [text for file, text in mine.items() if Path(file).name == scan.name]
        others = sorted((text for text in mine.values() if read_when(text)), key=str)
        if own or others:
            return own[0] if own else others[0]
    return ""


def _of_sidecar(scan: Path) -> str:
    stem = next((scan.name.removesuffix(end) for end in NIFTI if scan.name.endswith(end)), scan.name)
    try:
        fields: dict[str, Any] = read_json(scan.with_name(f"{stem}.json"), dict[str, Any], most_bytes=LARGEST_SIDECAR)
    except (OSError, BadInput):  # then it dates nothing
        return ""
    for name in _FIELDS:
        text = filled(str(fields.get(name) or ""))
        if text and read_when(text) is not None:
            at = fields.get(name.replace("Date", "Time")) if not name.endswith("Time") else None
            both = f"{text} {at}"
            return both if isinstance(at, str) and read_when(both) else text
    return ""


def _of_sessions(table: Path, scans: Mapping[str, Path]) -> dict[str, str]:
    rows = _cells(table, "session_id", _COLUMNS)
    return {name: rows.get(name) or rows.get(name.removeprefix("ses-"), "") for name in scans}


def _cells(table: Path, key: str, columns: Sequence[str]) -> dict[str, str]:
    """Cells of the first of some columns that is there, by the cell of the column ``key``; none for no such table."""
    found: dict[str, str] = {}
    with suppress(BadInput, OSError, ValueError):  # what cannot be read dates nothing
        if not table.is_file():
            return {}
        (_, header), *rows = read_rows(table, delimiters="\t")
        place = header.index(key)
        wanted = next((header.index(name) for name in columns if name in header), None)
        if wanted is None:
            return {}
        for _, cells in rows:
            if len(cells) > max(place, wanted) and (text := filled(cells[wanted])):
                found.setdefault(cells[place], text)
    return found
