"""A CSV of paths: one row a pair, for data that lie as they lie."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

from LMIALLib.cohorts.layouts.layout import LayoutCase, Listing, Remark
from LMIALLib.errors import BadInput
from LMIALLib.study.names import checked_file_name, checked_person

NEEDED = ("case", "subject", "baseline", "follow_up")
OPTIONAL = ("mask", "truth", "covers", "baseline_date", "follow_up_date")


def csv_cases(root: Path) -> Listing:
    """Every row of a CSV file, or of the only CSV file in a folder.

    UTF-8 with or without a byte order mark, commas or semicolons, a header line. Columns: case, subject, baseline,
    follow_up; optionally mask (brain region on the follow-up's grid), truth (mask of change in the follow-up's space),
    covers (names of the classes that the truth covers, as "new enlarged"; empty: all), baseline_date and follow_up_date
    (YYYY-MM-DD; a follow-up before its baseline is refused). Paths are relative to the folder of the CSV; a scan may be
    a DICOM folder. Other columns are not used, and named. Two pairs of one subject carry the same subject.

    Raises BadInput where the file cannot be read as such a table; a row that cannot be used is left out with a line.
    """
    path = _table_at(root)
    rows, columns = _rows(path)
    unused = [name for name in columns if name and name not in (*NEEDED, *OPTIONAL)]
    notes = [Remark("", "", f"{path}: not used: {', '.join(unused)}.")] if unused else []
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
            left_out.append(Remark(row["case"] or f"line {number}", row["subject"], sentence))
            continue
        taken.add(case.name.casefold())
        cases.append(case)
    return Listing(tuple(cases), tuple(left_out), tuple(notes))


def _table_at(root: Path) -> Path:
    if root.is_dir():
        found = sorted(root.glob("*.csv"))
        if len(found) != 1:
            raise BadInput(f"{root}: it holds {len(found)} CSV files; name the one to import.")
        return found[0].absolute()
    if not root.is_file():
        raise BadInput(f"{root}: there is no such file.")
    return root.absolute()


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Line number and cells of every row that is not blank, and the columns' names."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: it cannot be read as CSV in UTF-8 ({error}).", "Save it as CSV (UTF-8).") from error
    columns = [name.lower() for name in lines[0][1]] if lines else []
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        there = ", ".join(columns) or "none"
        raise BadInput(f"{path}: these columns are missing: {', '.join(missing)}; there are: {there}.")
    blank = dict.fromkeys((*NEEDED, *OPTIONAL), "")
    filled = [(number, line) for number, line in lines[1:] if any(line)]
    return [(number, blank | dict(zip(columns, line, strict=False))) for number, line in filled], columns


def _case(row: dict[str, str], folder: Path) -> LayoutCase:
    """The case of one row. Raises BadInput for a name, file or date that cannot be used."""
    empty = [name for name in NEEDED if not row[name]]
    if empty:
        raise BadInput(f"{', '.join(empty)} is empty.")
    name, subject = checked_file_name(row["case"], "case name"), checked_person(row["subject"], "subject")
    files = {column: folder / row[column] for column in ("baseline", "follow_up", "mask", "truth") if row[column]}
    for column, file in files.items():
        if not file.exists():
            raise BadInput(f"the {column} {file} does not exist.")
    first, second = _day(row, "baseline_date"), _day(row, "follow_up_date")
    if first and second and second < first:
        raise BadInput(f"the follow-up ({second}) is dated before the baseline ({first}); are they swapped?")
    covers = tuple(word for word in re.split(r"[^\w-]+", row["covers"].lower()) if word)
    if covers and "truth" not in files:
        raise BadInput("it says what its truth covers, but names no truth.")
    mask, truth = files.get("mask"), files.get("truth")
    return LayoutCase(name, subject, files["baseline"], files["follow_up"], mask, truth, covers=covers)


def _day(row: dict[str, str], column: str) -> date | None:
    try:
        return date.fromisoformat(row[column]) if row[column] else None
    except ValueError as error:
        raise BadInput(f"{column} is {row[column]!r}; expected a day as 2014-03-02.") from error
