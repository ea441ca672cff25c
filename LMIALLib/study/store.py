"""`Study`: a study folder, made and opened. What it holds stands on its shelves, each in a file of its name."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from LMIALLib.errors import BadInput, Do, NeedsConfirmation, Step, disk_errors, written_in_utf8
from LMIALLib.files import flush_folder, rename
from LMIALLib.study.answers import Answers
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.connection import DATABASE, connect_to_write, readable_errors
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.drafts import Drafts
from LMIALLib.study.inside import check_no_links
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lease import HolderKind, Lease, Obstacle, WhyReadOnly, held_lease, release_lease, write_lease
from LMIALLib.study.leftovers import put_aside
from LMIALLib.study.lesion_answers import LesionAnswers
from LMIALLib.study.lesions import Lesions
from LMIALLib.study.log import Log
from LMIALLib.study.maps import Maps
from LMIALLib.study.models import Models
from LMIALLib.study.names import checked_person
from LMIALLib.study.patients import Patients
from LMIALLib.study.places import place_warning
from LMIALLib.study.rankings import Rankings
from LMIALLib.study.recovery import connect_to_look
from LMIALLib.study.schema import make_tables
from LMIALLib.study.sweeps import Sweeps
from LMIALLib.study.truths import Truths
from LMIALLib.study.versions import check_values, checked_version, upgrade
from LMIALLib.version import __version__

LONGEST_FOLDER = 110


class Study:
    """A study folder and its shelves: what is stored, each kind in a class of its own. Used from the thread that
    opened it.

    Attributes:
        cases, answers, drafts, models, rankings, maps, truths, lesions, lesion_answers, sweeps, patients, log: the
            shelves.
        database: what they stand on; for whoever adds a shelf.

    What needs several shelves is a function of a study: ``checks.check_study``, ``backup.write_backup``,
    ``status.status_of``, ``targets.training_examples``, ``exports.export``.

    Example:
        >>> from LMIALLib.study.answer import NewAnswer
        >>> with Study.open(Path("study")) as study:
        ...     saved = study.answers.save(NewAnswer("patient-1", 4, "nothing", reader="anna"))
        ...     [case.name for case in study.cases.all()], sorted(study.answers.current("patient-1"))
        (['patient-1'], [4])
    """

    def __init__(self, database: StudyDatabase) -> None:
        self.database = database
        self.log = Log(database)
        self.cases = Cases(database, self.log)
        self.answers = Answers(database, self.log, self.cases)
        self.drafts = Drafts(database, self.cases)
        self.models = Models(database, self.log)
        self.rankings = Rankings(database, self.log)
        self.maps = Maps(database, self.cases, self.rankings)
        self.truths = Truths(database, self.log, self.cases)
        self.lesion_answers = LesionAnswers(database, self.log, self.cases)
        self.lesions = Lesions(database, self.cases, self.answers, self.lesion_answers)
        self.sweeps = Sweeps(database, self.cases)
        self.patients = Patients(database, self.log, self.cases)

    @classmethod
    def create(cls, folder: Path, *, schema: LabelSchema | None = None, reader: str = "", force: bool = False) -> Study:
        """Make a new study in a folder that does not exist or is empty, and open it for writing.

        Raises BadInput (folder in use, path too long, no permission, full disk), NeedsConfirmation for a network or
        synced folder unless ``force``.
        """
        folder = Path(os.path.abspath(folder))
        check_new_place(folder, force)
        with disk_errors(f"making the study {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            for inside in ("cases", "models"):
                (folder / inside).mkdir(exist_ok=True)
            temporary = folder / f".study-{uuid.uuid4().hex[:8]}.sqlite"
            try:
                with readable_errors(folder):
                    _make_database(temporary, schema or LabelSchema.default())
                rename(temporary, folder / DATABASE)
            finally:
                for leftover in folder.glob(f"{temporary.name}*"):
                    leftover.unlink()
            flush_folder(folder)
            flush_folder(folder.parent)
        return cls.open(folder, reader=reader)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool = False,
        reader: str = "",
        take_over: bool = False,
        kind: HolderKind = HolderKind.SESSION,
    ) -> Study:
        """Open a study; for writing if it can be, else for reading, and ``why_read_only`` says why.

        Args:
            read_only: only look, whoever annotates.
            reader: who works here; shown to a second session.
            take_over: take the study from a living session; its next save fails with SessionTakenOver.

            kind: what opens it: a session that stays, or a command that others wait for.

        Raises BadInput when there is no study, it was made by a newer version, or it is damaged.
        """
        folder = Path(os.path.abspath(folder))
        reader = checked_person(reader, "reader") if reader else ""
        database = folder / DATABASE
        _check_name(folder)
        if not database.is_file():
            step = Step(Do.NEW, str(folder))
            raise BadInput(f"{folder} is not a LMIAL study: it has no {DATABASE}.", "Make one.", step)
        check_no_links(folder)
        with _of_no_format(folder), readable_errors(folder):
            if read_only:
                return cls._to_look(folder, WhyReadOnly(Obstacle.ASKED))
            if not (os.access(folder, os.W_OK) and os.access(database, os.W_OK)):
                return cls._to_look(folder, WhyReadOnly(Obstacle.NOT_WRITABLE))
            try:
                return cls._open_to_write(folder, Lease.of_this_process(reader, kind), take_over)
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_FULL:
                    raise
                return cls._to_look(folder, WhyReadOnly(Obstacle.DISK_FULL))

    @classmethod
    def _open_to_write(cls, folder: Path, mine: Lease, take_over: bool) -> Study:
        connection = connect_to_write(folder / DATABASE)
        try:
            version = checked_version(connection, folder)
            connection.execute("BEGIN IMMEDIATE")
            held = held_lease(connection)
            if held and held.alive and not take_over:
                connection.execute("ROLLBACK")
                connection.close()
                return cls._to_look(folder, WhyReadOnly(Obstacle.HELD, held))
            write_lease(connection, mine)
            connection.execute("COMMIT")
            upgrade(connection, folder, version)
            check_values(connection, folder)
            study = cls(StudyDatabase(folder, connection, lease=mine, why_read_only=None))
            if held and held.alive:
                study.log.record("taken over", earlier_reader=held.reader, earlier_started=held.started)
            put_aside(study.database, study.cases, study.log)
            return study
        except BaseException:
            with suppress(sqlite3.Error):  # the lease may stand there although its commit was called a failure
                release_lease(connection, mine.token)
            connection.close()
            raise

    @classmethod
    def _to_look(cls, folder: Path, why: WhyReadOnly) -> Study:
        return cls(StudyDatabase(folder, connect_to_look(folder / DATABASE), lease=None, why_read_only=why))

    @property
    def folder(self) -> Path:
        """Where the study lies, an absolute path."""
        return self.database.folder

    @property
    def study_id(self) -> str:
        """Random, given at creation; identifies the study without naming anyone."""
        return self.database.study_id

    @property
    def label_schema(self) -> LabelSchema:
        """Which values a mask may hold, and what they mean."""
        return self.database.label_schema

    @property
    def reader(self) -> str:
        """Who opened the study, or an empty string."""
        return self.database.reader

    @property
    def read_only(self) -> bool:
        """Whether this session can only look; ``why_read_only`` gives the reason."""
        return self.database.read_only

    @property
    def why_read_only(self) -> WhyReadOnly | None:
        """Why this session can only look, and who holds the study, as text a sentence; None where it can save."""
        return self.database.why_read_only

    def heartbeat(self) -> None:
        """Renew the lease, as every save does. Raises SessionTakenOver when another one took the study."""
        self.database.heartbeat()

    def still_ours(self) -> bool:
        """Whether no other session took this study over; changes nothing. False for one that can only look."""
        return self.database.still_ours()

    def lease(self) -> Lease | None:
        """Who holds the study for writing, dead or alive, or None."""
        return self.database.lease()

    def close(self) -> None:
        """Give the lease back and close; a closed study raises WrongUse."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _of_no_format(folder: Path) -> Iterator[None]:
    """Turn whatever else SQLite raises while a study is opened into one sentence: its file is of no format it knows."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{folder / DATABASE} is damaged or of another format.", "Restore a backup.") from error


def check_new_place(folder: Path, force: bool) -> None:
    """Whether a study can be made in an absolute ``folder``; raises as ``Study.create`` does, changes nothing."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; a study is a folder.", "Choose another name.")
    if (folder / DATABASE).exists():
        raise BadInput(f"{folder} is already a study.", "Add to it.", Step(Do.ADD, str(folder)))
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"the folder {folder} is not empty.", "Choose a new or an empty folder for the study.")
    _check_name(folder)
    if len(str(folder)) > LONGEST_FOLDER:
        raise BadInput(
            f"the study's path has {len(str(folder))} characters; {LONGEST_FOLDER} is the most, so that every system "
            f"can open the files inside: {folder}",
            "Choose a shorter path.",
        )
    warning = place_warning(folder)
    if warning and not force:
        raise NeedsConfirmation(warning, "Choose a folder on a local disk, or confirm it.")


def _check_name(folder: Path) -> None:
    if not written_in_utf8(folder):
        raise BadInput(
            f"{folder}: the name of this folder is not written in UTF-8, and a study's has to be.",
            "Rename it, or choose another folder.",
        )


def _make_database(file: Path, schema: LabelSchema) -> None:
    sqlite3.connect(file).close()
    file.touch()
    with closing(connect_to_write(file)) as connection:
        make_tables(connection)
        settings = {
            "study_id": uuid.uuid4().hex,
            "created": now(),
            "split_seed": uuid.uuid4().hex,
            "label_schema": json.dumps(schema.to_dict()),
            "model_in_use": "",
        }
        connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
        connection.execute(
            "INSERT INTO events (at, kind, reader, details) VALUES (?, 'created', '', ?)",
            (now(), json.dumps({"lmial": __version__})),
        )
        connection.execute("COMMIT")
