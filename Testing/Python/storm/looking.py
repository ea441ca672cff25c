"""What is true after a run: the study opened again, its files and answers compared with what was acknowledged."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LMIALLib.files import sha256_of
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study
from LMIALLib.study.lesion_numbers import NUMBERS
from LMIALLib.study.store import Study
from Testing.Python.storm.faults import ERRORS, Fault
from Testing.Python.storm.operations import CASE, Operation, said_so_far

COLUMNS = "lost", "missing", "strays", "claims"
"""Acknowledged answers that are lost, rows without files, files without rows, and claims that are not true."""
TEMPORARY = ".tmp-", ".staging-", ".lmial-", ".new-", ".study-"
SAVED_NOW, SHOWS_LATER = "what was saved is there now", "whether this was saved shows"
NOT_SAVED = "nothing was saved", "not saved", "no backup was made", "nothing was written", "nothing was changed"
TABLES = {
    "cases": "name, subject, covered, created",
    "pairs": "*",
    "files": "*",
    "models": "*",
    "settings": "*",
    "annotations": "*",
    "slice_tests": "*",
    "viewed": "*",
    "drafts": "*",
    "sweeps": "*",
    "patients": "*",
    "lesion_answers": "*",
    "rankings": "number",
}


@dataclass
class Ended:
    """How a run ended: its exit code (negative: the signal), what it wrote, and whether it came to an end at all."""

    code: int
    out: str
    err: str
    hung: bool = False
    orphans: int = 0
    moment: str = ""


@dataclass
class Found:
    """What is wrong after a run, a list of sentences for each of ``COLUMNS``."""

    lost: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not any(getattr(self, column) for column in COLUMNS)


def state_of(study: Study) -> dict[str, list[Any]]:
    """Every row that counts, as plain values."""
    order = {table: "" if table == "rankings" else " ORDER BY 1, 2" for table in TABLES}
    return {
        table: [tuple(row) for row in study.database.rows(f"SELECT {columns} FROM {table}{order[table]}")]
        for table, columns in TABLES.items()
    }


def look(
    place: Path, log: Path, operation: Operation, fault: Fault, ended: Ended, before: dict[str, list[Any]]
) -> Found:
    """Open the study of ``place`` as the next session would, and compare."""
    found = Found()
    if ended.hung:
        found.claims.append("it did not end")
    with Study.open(place / "study", reader="looking") as study:
        if study.read_only:
            found.claims.append(f"the study cannot be opened for writing: {study.why_read_only}")
            return found
        after = state_of(study)
        removed = _removed(study, after, before, found)
        _files(study, removed, found)
        if operation.done is None:
            answers_of_session(after, before, said_so_far(log), found)
        else:
            done = operation.done(study)
            if operation.name == "backup":
                done = _backup(place, after, found)
                write_backup(study, place / "kept" / "next.zip")  # the next one clears what a killed one left
            _claims(operation, place, ended, done, after == before, found)
        for problem in check_study(study):
            found.missing.append(f"{problem.where}: {problem.sentence}")
    _temporary(place, found)
    _ending(operation, fault, ended, found)
    return found


def _removed(study: Study, after: dict[str, list[Any]], before: dict[str, list[Any]], found: Found) -> set[str]:
    """Answers that were acknowledged before are there, or kept with a case that was removed; folders of ``removed/``
    that the history knows."""
    known = {event.details["kept"] for event in study.log.events() if event.kind == "case removed"}
    there = {row[0]: row for row in after["annotations"]}
    kept: dict[int, Any] = {}
    for name in known:
        file = study.folder / "removed" / name / "annotations.json"
        if not file.is_file():
            found.missing.append(f"removed/{name}/annotations.json is missing")
            continue
        kept |= {one["id"]: one for one in json.loads(file.read_text(encoding="utf-8"))["annotations"]}
        if not list((study.folder / "removed").glob(f"{CASE}-*/case/pair-1/baseline.nrrd")):
            found.missing.append(f"the files of the case in removed/{name} are missing")
    for row in before["annotations"]:
        if there.get(row[0]) != row and row[0] not in kept:
            found.lost.append(f"answer {row[0]} that was there before")
    return known


def _files(study: Study, removed: set[str], found: Found) -> None:
    rows = {row["path"]: row["digest"] for row in study.database.rows("SELECT path, digest FROM files")}
    for path, digest in rows.items():
        file = study.folder / path
        if not file.is_file() or sha256_of(file) != digest:
            found.missing.append(f"{path} is missing or another file")
    for part in ("cases", "models"):
        for file in (study.folder / part).rglob("*"):
            path = file.relative_to(study.folder).as_posix()
            if file.is_file() and path not in rows and file.name != NUMBERS:
                found.strays.append(path)
    for folder in sorted((study.folder / "removed").glob("*")):
        swept = {one.name for one in folder.iterdir()}  # set aside when the study was opened: a person may look
        if folder.name not in removed and not (swept and swept <= {"case", "cases", "models"}):
            found.strays.append(f"removed/{folder.name}, which no event names")


def _backup(place: Path, after: dict[str, list[Any]], found: Found) -> bool:
    """Whether there is a backup; one that is there can be restored and holds everything."""
    file = place / "kept" / "backup.zip"
    if not file.exists():
        return False
    restored = place / "restored"
    with zipfile.ZipFile(file) as archive:
        archive.extractall(restored)
    with Study.open(restored, read_only=True) as study:
        if state_of(study) != after or check_study(study):
            found.lost.append("the backup does not hold everything")
    return True


def _claims(operation: Operation, place: Path, ended: Ended, done: bool, as_before: bool, found: Found) -> None:
    said = operation.said.replace("PLACE", str(place))
    if (ended.code == 0 or ended.out.startswith(said)) and not done:
        found.claims.append(f"it said that it was done, and it is not: {ended.out.strip()}")
    denied = [words for words in NOT_SAVED if words in ended.err]
    if denied and (not as_before or (operation.name == "backup" and done)):
        found.claims.append(f"it said {denied[0]!r}, and it is: {ended.err.strip()}")
    if not done and not as_before:
        found.claims.append("half of it is done")


def answers_of_session(
    after: dict[str, list[Any]], before: dict[str, list[Any]], log: list[dict[str, Any]], found: Found
) -> None:
    """Each answer that was acknowledged is there, in order; none that was said not to be saved is there. One of which
    the disk failed too late is there as its sentence says (``SAVED_NOW``), or may be (``SHOWS_LATER``)."""
    old = {row[0] for row in before["annotations"]}
    new = [row for row in after["annotations"] if row[0] not in old]
    stored = [(row[1], row[2], row[4]) for row in new]
    acknowledged: list[tuple[Any, ...]] = []
    perhaps: list[tuple[Any, ...]] = []
    open_: tuple[Any, ...] | None = None
    words = {"save": "mask", "nothing_here": "nothing", "equivocal": "equivocal", "skip": "skip"}
    for line in log:
        if "asked" in line:
            open_ = line["case"], line["slice"], words[line["asked"]]
        elif open_ is not None and line["told"] == "good" and line["sentence"].startswith(f"Slice {open_[1] + 1}: "):
            acknowledged.append(open_)
            open_ = None
        elif line["told"] == "error":
            if open_ is not None and SAVED_NOW in line["sentence"]:
                acknowledged.append(open_)
                open_ = None
            elif open_ is not None and SHOWS_LATER in line["sentence"]:
                perhaps.append(open_)
                open_ = None
            elif any(word in line["sentence"] for word in NOT_SAVED):
                open_ = None
            if "should not have happened" in line["sentence"]:
                found.claims.append(line["sentence"])
    if stored[: len(acknowledged)] == acknowledged and stored[len(acknowledged) :] in ([], [open_]):
        return
    rest = list(stored)
    for one in acknowledged:
        if one in rest:
            rest.remove(one)
        else:
            found.lost.append(f"the answer {one} of the session")
    for maybe in (open_, *perhaps):
        if maybe in rest:
            rest.remove(maybe)
    found.claims += [f"the answer {one} is saved, and the reader was told that it is not" for one in rest]


def _temporary(place: Path, found: Found) -> None:
    for file in place.rglob("*"):
        if file.name.startswith(TEMPORARY):
            found.strays.append(file.relative_to(place).as_posix())


def _ending(operation: Operation, fault: Fault, ended: Ended, found: Found) -> None:
    if "Traceback" in ended.err or "should not have happened" in ended.err:
        found.claims.append(f"a traceback: {ended.err[-1500:]}")
    if ended.orphans:
        found.claims.append(f"{ended.orphans} process(es) went on after it ended")
    if operation.in_worker and fault.kind in ("SIGKILL", "SIGTERM") and ended.code not in (0, 3, 4):
        found.claims.append(f"exit code {ended.code}")
    serves = operation.name == "browser" and "http://" in ended.out  # Ctrl+C is how that is ended
    if fault.kind == "SIGINT" and ended.moment and ended.code != 130 and not (serves and ended.code == 0):
        found.claims.append(f"exit code {ended.code} after Ctrl-C")
    if fault.kind in ERRORS and ended.code not in (0, 3, 4):
        found.claims.append(f"exit code {ended.code}")
