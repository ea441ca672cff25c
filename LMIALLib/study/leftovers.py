"""Clearing what a crash left, when a study is opened for annotating: nobody else writes to it then.

What has a row keeps its file. A file without a row was never acknowledged: temporary ones go, all others move to
``removed/``, where a person can look for them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from LMIALLib.errors import BadInput
from LMIALLib.files import TEMPORARY, rename
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import for_a_folder
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.inside import inside
from LMIALLib.study.lesion_numbers import LOCK, NUMBERS
from LMIALLib.study.log import Log
from LMIALLib.study.removal import CASE, REMOVED, finish_removal
from LMIALLib.study.staging import STAGING

UNSAVED = "unsaved-"


def put_aside(database: StudyDatabase, cases: Cases, log: Log) -> None:
    """Clear ``cases/``, ``models/`` and ``removed/``. What the disk refuses stays until the next opening."""
    folder = database.folder
    for place in ("cases", "models"):
        (folder / place).mkdir(exist_ok=True)
    with suppress(OSError):
        known = {case.name for case in cases.all()}
        _finish_removals(folder, known, log)
        kept = f"{UNSAVED}{for_a_folder()}"
        _sweep_cases(database, known, kept)
        for file in strays(database, "models"):
            _set_aside(folder, file, kept)


def strays(database: StudyDatabase, place: str) -> list[str]:
    """Files below a folder of the study that have no row, as paths relative to the study with '/'."""
    known = {row["path"] for row in database.rows("SELECT path FROM files")}
    files = (file for file in (database.folder / place).rglob("*") if not file.is_dir())
    found = (file.relative_to(database.folder).as_posix() for file in files)
    return [one for one in sorted(found) if one not in known and PurePosixPath(one).name != NUMBERS]


def _finish_removals(folder: Path, known: set[str], log: Log) -> None:
    removed = folder / REMOVED
    if not removed.is_dir():
        return
    waiting = {one.name.removeprefix(TEMPORARY): one for one in removed.iterdir() if one.name.startswith(TEMPORARY)}
    for event in log.events() if waiting or _without_row(folder, known) else ():
        case, kept = str(event.details.get("case", "")), str(event.details.get("kept", ""))
        if event.kind == "case removed" and case not in known and (kept in waiting or (removed / kept).is_dir()):
            with suppress(BadInput):  # a name that LMIAL never gives
                finish_removal(folder, inside(folder / "cases", case).name, kept)
    for one in removed.rglob(f"{TEMPORARY}*"):
        _remove(one)


def _without_row(folder: Path, known: set[str]) -> bool:
    return any(one.name not in known for one in (folder / "cases").iterdir())


def _sweep_cases(database: StudyDatabase, known: set[str], kept: str) -> None:
    folder = database.folder
    for home in sorted((folder / "cases").iterdir()):
        if home.name.startswith((STAGING, TEMPORARY)):
            _remove(home)
        elif home.name not in known:
            place = folder / REMOVED / f"{home.name}-{for_a_folder()}"
            place.mkdir(parents=True, exist_ok=True)
            rename(home, place / CASE)
    for file in strays(database, "cases"):
        _set_aside(folder, file, kept)


def _set_aside(folder: Path, file: str, kept: str) -> None:
    """Move a file without a row to ``removed/``, or remove it where its name says that it was never whole."""
    source, parts = folder / file, PurePosixPath(file).parts
    if any(part.startswith(TEMPORARY) for part in parts) or source.name == LOCK:
        _remove(source)
        return
    target = folder / REMOVED / kept / PurePosixPath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    rename(source, target)
    with suppress(OSError):  # not where something else is in the folder
        source.parent.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)
