"""Tables of text (CSV, TSV) that somebody else wrote, read within limits."""

from __future__ import annotations

import csv
import re
from io import StringIO
from pathlib import Path

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers_text import shown

LARGEST_TABLE = 1 << 24
"""Bytes; a row of paths takes some hundred of them."""
MOST_ROWS = 100_000
LONGEST_PATH = 4096
NOTHING = frozenset(
    ("na", "n/a", "n.a.", "#n/a", "<na>", "nan", "none", "null", "nil", "-", "--", "\u2013", "\u2014", "")
)
"""What stands in a cell that holds nothing, in small letters: as people, R, pandas, BIDS and spreadsheets write it."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, turns the direction of writing, or is half a character."""


def read_rows(path: Path, *, delimiters: str = ",;") -> list[tuple[int, list[str]]]:
    """Line number and cells (without blanks around them) of every row that holds anything, the header line first.

    UTF-8 with or without a byte order mark; the delimiter that the first line has most often. Raises BadInput naming
    the table, and the line where one is to blame.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_TABLE:
            raise BadInput(f"{path}: this table has {size / 1e6:,.0f} MB; LMIAL takes up to {LARGEST_TABLE >> 20} MB.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: it is not written in UTF-8.", "Save it as CSV (UTF-8).") from error
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(delimiters, key=first.count), strict=True)
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
            if len(rows) > MOST_ROWS:
                raise BadInput(f"{path}: this table has more than {MOST_ROWS:,} rows.")
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: it cannot be read as CSV ({error}).") from error
    return rows


def filled(cell: str) -> str:
    """A cell's text, or nothing where it says that it holds nothing (NA, n/a, NaN, None, -)."""
    return "" if cell.strip().casefold() in NOTHING else cell


def checked_cell(column: str, text: str, longest: int) -> str:
    """A cell if it is one line of at most ``longest`` characters. Raises BadInput naming the column."""
    if len(text) > longest:
        raise BadInput(f"the {column} has {len(text):,} characters; LMIAL takes up to {longest:,}.")
    if _CONTROL.search(text):
        raise BadInput(f"the {column} {shown(text)} holds a character that cannot be printed.")
    return text


def existing_path(column: str, text: str, folder: Path) -> Path:
    """The file or folder that a cell names, from ``folder`` on. Raises BadInput naming the column."""
    path = folder / checked_cell(column, text, LONGEST_PATH)
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a part that is too long, no right to look into a folder, a circle of links
        raise BadInput(f"the {column} {shown(text)} cannot be looked at; it may be too long or not allowed.") from error
    if not there:
        raise BadInput(f"the {column} {path} does not exist.")
    return path
