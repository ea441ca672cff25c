"""What is kept of a removed case: its folder and all its answers, below ``removed/``."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path
from typing import Any

from LMIALLib.files import TEMPORARY, flush_folder, rename
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.inside import inside

REMOVED = "removed"
CASE = "case"
"""Name of a case's folder below ``removed/<case>-<time>/``."""


def finish_removal(folder: Path, case: str, kept: str) -> None:
    """Give a removed case, whose rows are gone, its place below ``removed/``; what is done already stays done."""
    home = inside(folder, f"{REMOVED}/{kept}")
    waiting = home.with_name(f"{TEMPORARY}{kept}")
    if waiting.is_dir() and not home.exists():
        rename(waiting, home)
    source = folder / "cases" / case
    if source.is_dir() and not (home / CASE).exists():
        home.mkdir(parents=True, exist_ok=True)
        rename(source, home / CASE)
        flush_folder(home)
    flush_folder(home.parent)


def said_of(database: StudyDatabase, case: str) -> dict[str, list[dict[str, Any]]]:
    """Answers and drafts of a case, row by row, as plain values for JSON; masks as base64 of their packed bytes."""
    of_its_answers = "JOIN annotations a ON a.id = x.annotation WHERE a.case_name = ?"
    queries = {
        "annotations": "SELECT * FROM annotations WHERE case_name = ? ORDER BY id",
        "slice_tests": f"SELECT x.* FROM slice_tests x {of_its_answers}",
        "viewed": f"SELECT x.* FROM viewed x {of_its_answers}",
        **{
            table: f"SELECT * FROM {table} WHERE case_name = ?"
            for table in ("drafts", "sweeps", "patients", "lesion_answers")
        },
    }
    return {name: [_plain(row) for row in database.rows(query, (case,))] for name, query in queries.items()}


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {
        key: base64.b64encode(row[key]).decode() if isinstance(row[key], bytes) else row[key]
        for key in row.keys()  # noqa: SIM118 - iterating a Row gives values, not names
    }
