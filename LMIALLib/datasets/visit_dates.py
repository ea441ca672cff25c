"""When the visits of a BIDS subject took place: scans.tsv, the JSON beside the image, sessions.tsv; and their order.

Dates that were shifted to hide the patient order visits as well, if all were shifted; times of day without a day and
days that stand for no day (1900-01-01 for all) do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from LMIALLib.datasets.text_table import filled, read_rows
from LMIALLib.errors import BadInput
from LMIALLib.pairs.visit_date import SHIFTED_UNTIL, When, read_when, stands_for_no_day, text_beside

_COLUMNS = ("acq_time", "acq_date", "acquisition_date", "session_date", "scan_date", "visit_date", "date")


@dataclass(frozen=True)
class Dates:
    """The dates of a subject's visits in one source.

    Args:
        source: for sentences.
        when: by session; those without a day are not in it.
        odd: texts that stand where a day is expected and are none (times of day, days written in another order).
    """

    source: str
    when: Mapping[str, When]
    odd: tuple[str, ...] = ()


def dates_of(folder: Path, scans: Mapping[str, Path]) -> tuple[Dates, ...]:
    """What is known of the visits of a subject, from the nearest source to the furthest.

    Args:
        folder: of the subject.
        scans: the scan that is taken of each session, by the session's name (ses-...).
    """
    subject = folder.name
    sources = (
        ("scans.tsv", {name: _of_scans(folder, name, scan) for name, scan in scans.items()}),
        ("the JSON beside the images", {name: text_beside(scan) for name, scan in scans.items()}),
        (f"{subject}_sessions.tsv", _of_sessions(folder / f"{subject}_sessions.tsv", scans)),
    )
    found = []
    for source, texts in sources:
        read = {name: read_when(text) for name, text in texts.items() if text}
        odd = tuple(text for name, text in texts.items() if text and read[name] is None)
        found.append(Dates(source, {name: when for name, when in read.items() if when is not None}, odd))
    return tuple(found)


def order_of_dates(dates: Dates, names: Sequence[str]) -> tuple[tuple[str, ...] | None, str]:
    """The names in the order of their dates, or None and why they give no order; without any date both are empty."""
    when = dates.when
    dated = [name for name in names if name in when]
    if not dated:
        why = f"{dates.source} holds no day but {dates.odd[0][:40]!r}" if dates.odd else ""
        return None, why
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
