"""Clearing what a crash left, when a study is opened for annotating: nobody else writes to it then.

What has a row keeps its file. A file without a row was never acknowledged: temporary ones go, all others move to
``removed/``, where a person can look for them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from LMIALLib.errors import BadInput
from LMIALLib.files import TEMPORARY, flush_folder, rename
from LMIALLib.study.clock import for_a_folder
from LMIALLib.study.inside import inside
from LMIALLib.study.lesion_numbers import LOCK, NUMBERS

if TYPE_CHECKING:
    from LMIALLib.study.store import Study

STAGING = ".staging-"
REMOVED = "removed"
UNSAVED = "unsaved-"
CASE = "case"
"""Name of a case's folder below ``removed/<case>-<time>/``."""


def sweep(study: Study) -> None:
    """Clear ``cases/``, ``models/`` and ``removed/``. What the disk refuses stays until the next opening."""
    folder = study.folder
    for place in ("cases", "models"):
        (folder / place).mkdir(exist_ok=True)
    with suppress(OSError):
        _finish_removals(study)
        kept = f"{UNSAVED}{for_a_folder()}"
        _sweep_cases(study, kept)
        for file in strays(study, "models"):
            _set_aside(folder, file, kept)


def strays(study: Study, place: str) -> list[str]:
    """Files below a folder of the study that have no row, as paths relative to the study with '/'."""
    known = {row["path"] for row in study._rows("SELECT path FROM files")}
    files = (file for file in (study.folder / place).rglob("*") if not file.is_dir())
    found = (file.relative_to(study.folder).as_posix() for file in files)
    return [one for one in sorted(found) if one not in known and PurePosixPath(one).name != NUMBERS]


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


def _finish_removals(study: Study) -> None:
    removed = study.folder / REMOVED
    if not removed.is_dir():
        return
    known = {case.name for case in study.cases()}
    waiting = {one.name.removeprefix(TEMPORARY): one for one in removed.iterdir() if one.name.startswith(TEMPORARY)}
    for event in study.history() if waiting or _without_row(study.folder, known) else ():
        case, kept = str(event.details.get("case", "")), str(event.details.get("kept", ""))
        if event.kind == "case removed" and case not in known and (kept in waiting or (removed / kept).is_dir()):
            with suppress(BadInput):  # a name that LMIAL never gives
                finish_removal(study.folder, inside(study.folder / "cases", case).name, kept)
    for one in removed.rglob(f"{TEMPORARY}*"):
        _remove(one)


def _without_row(folder: Path, known: set[str]) -> bool:
    return any(one.name not in known for one in (folder / "cases").iterdir())


def _sweep_cases(study: Study, kept: str) -> None:
    known = {case.name for case in study.cases()}
    for home in sorted((study.folder / "cases").iterdir()):
        if home.name.startswith((STAGING, TEMPORARY)):
            _remove(home)
        elif home.name not in known:
            place = study.folder / REMOVED / f"{home.name}-{for_a_folder()}"
            place.mkdir(parents=True, exist_ok=True)
            rename(home, place / CASE)
    for file in strays(study, "cases"):
        _set_aside(study.folder, file, kept)


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
