"""A CSV of paths: one row a pair, for data in folders of any layout."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from LMIALLib.datasets.layout import Layout, LayoutCase, Listing, Remark
from LMIALLib.datasets.text_table import LONGEST_PATH, checked_cell, existing_path, filled, read_rows
from LMIALLib.datasets.truths import OUTSIDE
from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers_text import shown
from LMIALLib.pairs.request import ALIGN
from LMIALLib.study.names import checked_file_name, checked_person

NEEDED = ("case", "subject", "baseline", "follow_up")
OPTIONAL = ("mask", "truth", "covers", "outside", "align", "baseline_date", "follow_up_date")
FILES = ("baseline", "follow_up", "mask", "truth")
_LONGEST = {"case": 200, "subject": 200, "covers": 1000, **dict.fromkeys(OPTIONAL[3:], 40)}
"""Characters of a cell; a path may have ``LONGEST_PATH``."""


def csv_cases(root: Path) -> Listing:
    """Every row of a CSV file, or of the only CSV file in a folder.

    UTF-8 with or without a byte order mark, commas or semicolons, a header line. Columns: case, subject, baseline,
    follow_up; optionally mask (brain region in the follow-up's space), truth (mask of change in the follow-up's space),
    covers (names of the classes that the truth covers, as "new enlarged"; empty: all), outside (what is known outside
    of a truth's box, "background" or "unknown"), align ("centres" where headers lost the position), baseline_date and
    follow_up_date (YYYY-MM-DD; a follow-up before its baseline is refused). A cell that is empty, NA, n/a, NaN, None or
    - holds nothing. Paths are relative to the folder of the CSV; a scan may be a DICOM folder. Other columns are not
    used, and named. Two pairs of one subject carry the same subject.

    Raises BadInput where the file cannot be read as such a table; a row that cannot be used is left out with a line.
    """
    path = _table_at(root)
    rows, columns = _rows(path)
    unused = [name for name in columns if name and name not in (*NEEDED, *OPTIONAL)]
    notes = [Remark("", "", f"{path}: not used: {', '.join(map(_plain, unused))}.")] if unused else []
    cases: list[LayoutCase] = []
    left_out = []
    taken: set[str] = set()
    for number, row in rows:
        try:
            case = _case(row, path.parent)
            if case.name.casefold() in taken:
                raise BadInput(f"the case {case.name} is named twice.")
        except BadInput as problem:
            sentence = f"{path.name}, line {number}: {problem.sentence}"
            left_out.append(Remark(_plain(row["case"]) or f"line {number}", _plain(row["subject"]), sentence))
            continue
        taken.add(case.name.casefold())
        cases.append(case)
    return Listing(tuple(cases), tuple(left_out), tuple(notes))


def _plain(text: str) -> str:
    """A cell as it may be shown: short, without characters that a terminal would obey."""
    return text if len(text) <= 60 and text.isprintable() else shown(text)


def _table_at(root: Path) -> Path:
    try:
        if root.is_dir():
            found = sorted(path for path in root.glob("*.csv") if path.is_file())
            if len(found) != 1:
                raise BadInput(f"{root}: it holds {len(found)} CSV files; name the one to import.")
            return found[0].absolute()
        if root.is_file():
            return root.absolute()
    except (OSError, ValueError) as error:
        raise BadInput(f"{root}: it cannot be looked at; its name may be too long.") from error
    raise BadInput(f"{root}: there is no such file.")


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Line number and cells of every row that is not blank, and the columns' names."""
    rows = read_rows(path)
    columns = [name.lower() for name in rows[0][1]] if rows else []
    known = [name for name in columns if name in (*NEEDED, *OPTIONAL)]
    missing = [name for name in NEEDED if name not in known]
    if missing:
        there = ", ".join(map(_plain, columns[:40])) or "none"
        raise BadInput(f"{path}: these columns are missing: {', '.join(missing)}; there are: {there}.")
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise BadInput(f"{path}: these columns are there twice: {', '.join(twice)}.")
    blank = dict.fromkeys((*NEEDED, *OPTIONAL), "")
    return [
        (number, blank | dict(zip(columns, map(filled, cells), strict=False))) for number, cells in rows[1:]
    ], columns


def _case(row: dict[str, str], folder: Path) -> LayoutCase:
    """The case of one row. Raises BadInput for a name, file or date that cannot be used."""
    empty = [name for name in NEEDED if not row[name]]
    if empty:
        raise BadInput(f"{', '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty.")
    for column in (*NEEDED, *OPTIONAL):
        checked_cell(column, row[column], _LONGEST.get(column, LONGEST_PATH))
    name, subject = checked_file_name(row["case"], "case name"), checked_person(row["subject"], "subject")
    files = {column: existing_path(column, row[column], folder) for column in FILES if row[column]}
    first, second = _day(row, "baseline_date"), _day(row, "follow_up_date")
    if first and second and second < first:
        raise BadInput(f"the follow-up ({second}) is dated before the baseline ({first}); are they swapped?")
    covers = tuple(word for word in re.split(r"[^\w-]+", row["covers"].lower()) if word)
    if covers and "truth" not in files:
        raise BadInput("it says what its truth covers, but names no truth.")
    outside, align = _one_of(row, "outside", OUTSIDE), _one_of(row, "align", ALIGN)
    mask, truth = files.get("mask"), files.get("truth")
    dates = (str(first) if first else None, str(second) if second else None)
    scans = files["baseline"], files["follow_up"]
    return LayoutCase(name, subject, *scans, mask, truth, covers=covers, outside=outside, align=align, dates=dates)


def _one_of(row: dict[str, str], column: str, words: tuple[str, ...]) -> str | None:
    """The word of a cell, None where it is empty. Raises BadInput for another word."""
    if row[column] and row[column].lower() not in words:
        raise BadInput(f"{column} is {shown(row[column])}; expected {' or '.join(words)}.")
    return row[column].lower() or None


def _day(row: dict[str, str], column: str) -> date | None:
    try:
        return date.fromisoformat(row[column]) if row[column] else None
    except ValueError as error:
        raise BadInput(f"{column} is {row[column]!r}; expected a day as 2014-03-02.") from error


CSV = Layout("csv", csv_cases)
