"""The cases of a study: staged in a temporary folder, put in place whole, moved aside but never deleted."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import TEMPORARY, flush_folder, rename, written_whole
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.registration_record import Alarm, alarms
from LMIALLib.study.case import SELECT, Case, case_of
from LMIALLib.study.clock import for_a_folder, now
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.kept import MAPS, PSEUDO_LABELS
from LMIALLib.study.log import Log
from LMIALLib.study.names import checked_file_name, checked_person
from LMIALLib.study.removal import REMOVED, finish_removal, said_of
from LMIALLib.study.staging import LONGEST_INSIDE, LONGEST_PATH, check_staged, flushed_files, new_staged
from LMIALLib.study.subject_split import split_of


class Cases:
    """``study.cases``: adding, finding and removing cases, and their pairs."""

    def __init__(self, database: StudyDatabase, log: Log) -> None:
        self._database, self._log = database, log
        self._folder = database.folder / "cases"

    def all(self) -> tuple[Case, ...]:
        """All cases in the order in which they were added."""
        return tuple(case_of(row) for row in self._database.rows(f"{SELECT} ORDER BY c.rowid"))

    def get(self, name: str) -> Case:
        """One case. Raises BadInput naming those there are."""
        row = self._database.row(f"{SELECT} WHERE c.name = ?", (name,))
        if row is None:
            there = ", ".join(c.name for c in self.all()) or "none yet"
            raise BadInput(f"the study {self._database.folder} has no case {name!r}; it has: {there}.")
        return case_of(row)

    def stage(self, name: str) -> Path:
        """A fresh folder inside ``cases/`` to prepare a case in. Raises BadInput for a name that cannot be used."""
        checked_file_name(name, "case name")
        if self._database.row("SELECT 1 FROM cases WHERE name = ?", (name,)) or (self._folder / name).exists():
            raise BadInput(f"the study already has a case {name!r}.", "Choose another name, or remove that case first.")
        length = len(str(self._database.folder)) + LONGEST_INSIDE + len(name)
        if length > LONGEST_PATH:
            raise BadInput(
                f"files of the case {name!r} in {self._database.folder} would have paths of {length} characters; "
                f"{LONGEST_PATH} is the most that every system opens.",
                "Move the study to a shorter path or choose a shorter case name.",
            )
        with self._database.transaction():  # refuses a read-only or taken-over session before any work is done
            pass
        return new_staged(self._folder)

    def drop_staged(self, staged: Path) -> None:
        """Remove a staged folder that will not become a case."""
        check_staged(self._folder, staged)
        shutil.rmtree(staged, ignore_errors=True)

    def add(
        self, name: str, staged: Path, *, subject: str | None = None, covered: Iterable[int | str] | None = None
    ) -> Case:
        """Put a staged case in place: files flushed and renamed, then its rows in one transaction.

        Args:
            name: as given to ``stage``.
            staged: holds ``source/`` and ``pair-1/``.
            subject: pseudonym; by default the case's name.
            covered: classes (values or names) that the truth of this case covers; by default all.

        Raises BadInput (name, pair that cannot be read, full disk, read-only); then the staged folder is as before.
        """
        from LMIALLib.pairs.storage import load_pair

        checked_file_name(name, "case name")
        check_staged(self._folder, staged)
        subject = checked_person(subject or name, "subject")
        values = self._database.label_schema.covering(covered)
        pair = load_pair(staged / "pair-1")
        home = self._folder / name
        files = flushed_files(staged, home)
        if home.exists():
            raise BadInput(f"the study already has a case {name!r}.", "Choose another name.")
        with (
            disk_errors(f"putting {name} in place"),
            self._database.transaction(undo=lambda: rename(home, staged)) as connection,
        ):
            rename(staged, home)
            flush_folder(home.parent)
            self._insert_case(connection, name, self._subject(connection, subject), values, pair)
            self._insert_files(connection, name, files)
            self._log.note(connection, "case added", case=name, subject=subject, pair=pair.digest())
        return self.get(name)

    def stage_pair(self, name: str) -> Path:
        """A fresh folder to register a case again in; for ``add_pair`` or ``drop_staged``."""
        self.get(name)
        with self._database.transaction():  # refuses a read-only or taken-over session before any work is done
            pass
        return new_staged(self._folder)

    def add_pair(self, name: str, staged: Path, *, what: str = "registered again") -> Case:
        """Give a case its next pair: ``staged`` holds the pair's files. The older ones stay, and so do all answers.

        ``what`` was done, for the history.

        Raises BadInput where the pair lies on another grid, or the disk refuses; then everything is as before.
        """
        from LMIALLib.pairs.storage import load_pair

        check_staged(self._folder, staged)
        case, pair = self.get(name), load_pair(staged)
        if pair.grid != case.grid or pair.axis != case.axis:
            raise BadInput(f"the new pair does not lie on the grid of {name}; its answers would not fit.")
        number = case.pair_number + 1
        home = self._folder / case.name / f"pair-{number}"
        files = flushed_files(staged, home)
        in_place = disk_errors(f"putting the pair of {name} in place")
        with in_place, self._database.transaction(undo=lambda: rename(home, staged)) as connection:
            if home.exists():  # left by a failure between the rename and the rows
                shutil.rmtree(home)
            rename(staged, home)
            flush_folder(home.parent)
            connection.execute(
                "INSERT INTO pairs VALUES (?, ?, ?, ?, ?)",
                (case.name, number, pair.axis, json.dumps(pair.grid.to_dict()), pair.digest()),
            )
            self._insert_files(connection, case.name, files)
            self._log.note(connection, what, case=name, pair=pair.digest(), number=number)
        return self.get(name)

    def remove(self, name: str) -> Path:
        """Move a case with files and answers to ``removed/``; its subject keeps its split. Returns the folder."""
        case = self.get(name)
        kept = f"{case.name}-{for_a_folder()}"
        folder = self._database.folder
        waiting = folder / REMOVED / f"{TEMPORARY}{kept}"
        with (
            disk_errors(f"removing {case.name}"),
            self._database.transaction(undo=lambda: shutil.rmtree(waiting, ignore_errors=True)) as connection,
        ):
            waiting.mkdir(parents=True)
            with written_whole(waiting / "annotations.json") as temporary:
                temporary.write_text(json.dumps(self._kept_of(case), indent=1), encoding="utf-8")
            flush_folder(waiting.parent)
            self._log.note(connection, "case removed", case=case.name, kept=kept)
            connection.execute("DELETE FROM cases WHERE name = ?", (case.name,))
        with suppress(OSError):  # the case is removed; what a disk refuses now is done when the study is next opened
            finish_removal(folder, case.name, kept)
        for maps in (*folder.glob(f"{MAPS}/*/{case.name}"), *folder.glob(f"{PSEUDO_LABELS}/*/{case.name}")):
            shutil.rmtree(maps, ignore_errors=True)  # derivable, and wrong for another case of this name
        return folder / REMOVED / kept

    def pair_folder(self, case_name: str, pair_number: int | None = None) -> Path:
        """Folder of a case's pair; by default the newest."""
        case = self.get(case_name)
        return self._folder / case.name / f"pair-{pair_number or case.pair_number}"

    def load_pair(self, case_name: str, pair_number: int | None = None) -> Pair:
        """A case's pair from its files. Raises BadInput when they are missing or damaged."""
        from LMIALLib.pairs.storage import load_pair

        case, folder = self.get(case_name), self.pair_folder(case_name, pair_number)
        pair = load_pair(folder)
        if pair.grid != case.grid or pair.axis != case.axis:
            raise BadInput(f"{folder}: its files do not lie on the grid of the case {case.name}.", RESTORE)
        return pair

    def alarms(self, case_name: str) -> tuple[Alarm, ...]:
        """What a reader must know of a case's pair before anything else; see ``pairs.registration_record``.

        Raises BadInput where the pair's record is missing or damaged.
        """
        from LMIALLib.pairs.storage import load_registration

        return alarms(load_registration(self.pair_folder(case_name)))

    def _kept_of(self, case: Case) -> dict[str, Any]:
        """What is written of a case that is removed, as plain values for JSON."""
        return {
            "case": case.name,
            "subject": case.subject,
            "covered": list(case.covered),
            "pair": case.digest,
            "label_schema": self._database.label_schema.to_dict(),
            **said_of(self._database, case.name),
        }

    def _subject(self, connection: sqlite3.Connection, name: str) -> str:
        known = connection.execute("SELECT 1 FROM subjects WHERE name = ?", (name,)).fetchone()
        if not known:
            number = connection.execute("SELECT count(*) FROM subjects").fetchone()[0]
            split = split_of(number, self._database.setting("split_seed"))
            connection.execute("INSERT INTO subjects VALUES (?, ?, ?)", (name, number, split))
        return name

    def _insert_case(
        self, connection: sqlite3.Connection, name: str, subject: str, covered: tuple[int, ...], pair: Pair
    ) -> None:
        connection.execute("INSERT INTO cases VALUES (?, ?, ?, ?)", (name, subject, json.dumps(covered), now()))
        connection.execute(
            "INSERT INTO pairs VALUES (?, 1, ?, ?, ?)",
            (name, pair.axis, json.dumps(pair.grid.to_dict()), pair.digest()),
        )

    def _insert_files(self, connection: sqlite3.Connection, case: str, files: list[tuple[Path, str, int]]) -> None:
        for path, digest, size in files:
            inside = path.relative_to(self._database.folder).as_posix()
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (inside, case, digest, size))
