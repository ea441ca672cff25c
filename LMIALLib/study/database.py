"""The open database of a study: one flushed transaction a change, and the lease that lets one session write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.interrupts import held
from LMIALLib.study.connection import DATABASE, RESTORE, connect_to_write, readable_errors
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lease import Lease, WhyReadOnly, confirm_lease, held_lease, release_lease


class SaveNotConfirmed(BadInput):
    """The disk reported a fault at the very end of a save: it took effect, or that cannot be known."""


class Outcome(Enum):
    """What became of a transaction."""

    ABSENT = "absent"
    COMMITTED = "committed"
    UNKNOWN = "unknown"


_NOT_CONFIRMED = {
    Outcome.COMMITTED: (
        "the disk reported a fault while it saved in {0}: what was saved is there now, but a power cut could undo it."
    ),
    Outcome.UNKNOWN: (
        "the disk failed while it saved in {0}; whether this was saved shows when the study is next opened."
    ),
}
_CHECK_THE_DISK = "Check the disk, make a backup elsewhere, and look whether it is there."


class StudyDatabase:
    """What every shelf of a study shares: folder, connection, lease and label schema.

    Used from the thread that opened it. A closed one raises WrongUse.
    """

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, *, lease: Lease | None, why_read_only: WhyReadOnly | None
    ) -> None:
        self.folder = folder
        self.why_read_only = why_read_only
        self._connection = connection
        self._lease = lease
        self._closed = False
        self._outcome = Outcome.ABSENT
        self._beat = lease.heartbeat if lease else 0.0
        self.reader = lease.reader if lease else ""
        self.label_schema = LabelSchema.from_json(self.setting("label_schema"), f"{folder}: its label schema")

    @property
    def read_only(self) -> bool:
        """Whether this session can only look; ``why_read_only`` gives the reason."""
        return self._lease is None

    def heartbeat(self) -> None:
        """Renew the lease, as every save does. Raises SessionTakenOver when another one took the study."""
        with self.transaction():
            pass

    def still_ours(self) -> bool:
        """Whether no other session took this study over; changes nothing. False for one that can only look."""
        found = self.lease()
        return self._lease is not None and found is not None and found.token == self._lease.token

    def lease(self) -> Lease | None:
        """Who holds the study for writing, dead or alive, or None."""
        self._reconnect()
        with readable_errors(self.folder), self._open_only():
            return held_lease(self._connection)

    @property
    def study_id(self) -> str:
        """Random, given at creation: identifies the study without naming anyone."""
        return self.setting("study_id")

    def close(self) -> None:
        """Give the lease back and close; a closed study raises WrongUse."""
        if self._lease:
            with suppress(
                sqlite3.Error, BadInput
            ):  # a full disk must not keep anyone from leaving; the lease dies with the process
                self._reconnect()
                release_lease(self._connection, self._lease.token)
        self._closed = True
        self._connection.close()

    @contextmanager
    def transaction(self, *, undo: Callable[[], None] | None = None) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all, on the disk when this returns. BadInput when it cannot be saved.

        Ctrl-C waits until it is decided. ``undo`` takes back the files that the rows name, which are in place already;
        it runs only where the rows are certainly absent: once they may be committed, no file of theirs is removed.
        Raises SaveNotConfirmed where the disk failed at the very end and the change is there, or may be.
        """
        with held():
            self._reconnect()
            self._outcome = Outcome.ABSENT
            try:
                with self._running() as connection:
                    yield connection
            except BaseException:
                if undo is not None and self._outcome is Outcome.ABSENT:
                    with suppress(OSError):  # what has no row is swept when the study is next opened
                        undo()
                raise

    @contextmanager
    def _running(self) -> Iterator[sqlite3.Connection]:
        if self._lease is None:
            raise BadInput(f"the study {self.folder} is open for reading only: {self.why_read_only}")
        with readable_errors(self.folder), self._open_only():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._beat = max(time.time(), self._beat + 1e-3)  # every transaction has a heartbeat of its own
                confirm_lease(self._connection, self._lease.token, self._beat)
                yield self._connection
            except BaseException:
                self._roll_back()
                raise
            self._commit(self._lease.token)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may already have rolled back
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _commit(self, token: str) -> None:
        self._outcome = Outcome.UNKNOWN
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._outcome = self._looked_up(token)
            if self._outcome is Outcome.ABSENT:
                raise
            raise SaveNotConfirmed(_NOT_CONFIRMED[self._outcome].format(self.folder), _CHECK_THE_DISK) from error
        self._outcome = Outcome.COMMITTED

    def _reconnect(self) -> None:
        """Open the database again after a failure in which it could not be opened; else do nothing."""
        if self._outcome is Outcome.UNKNOWN:
            with readable_errors(self.folder):
                self._connection = connect_to_write(self.folder / DATABASE)
            self._outcome = Outcome.ABSENT

    def _looked_up(self, token: str) -> Outcome:
        """Open the database again after a failed commit and see whether the change is there, by its heartbeat."""
        self._roll_back()
        self._connection.close()
        try:
            self._connection = connect_to_write(self.folder / DATABASE)
            now_held = held_lease(self._connection)
        except (sqlite3.Error, OSError, BadInput):  # BadInput: beside the database lies a file that cannot be read
            return Outcome.UNKNOWN
        if now_held is None or now_held.token != token:
            return Outcome.UNKNOWN
        return Outcome.COMMITTED if now_held.heartbeat == self._beat else Outcome.ABSENT

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """All rows that a query finds. Raises BadInput where the database is damaged, locked or gone."""
        self._reconnect()
        with readable_errors(self.folder), self._open_only():
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if hasattr(error, "sqlite_errorcode"):
                    raise
                # Python's own: the bytes of a text are not UTF-8
                raise BadInput(f"{self.folder / DATABASE} is damaged: a text in it is none.", RESTORE) from error

    def row(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        """The first row that a query finds, or None; raises as ``rows``."""
        found = self.rows(query, values)
        return found[0] if found else None

    def setting(self, key: str) -> str:
        """A line of the table ``settings``, or an empty string."""
        row = self.row("SELECT value FROM settings WHERE key = ?", (key,))
        return row["value"] if row else ""

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the database, as it is at one moment, into another one that is open."""
        self._connection.backup(target)

    @contextmanager
    def _open_only(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError as error:
            if self._closed:
                raise WrongUse(f"the study {self.folder} is closed.", "Open it again.") from error
            raise
