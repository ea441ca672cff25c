"""The lease: at most one session writes to a study; the row says who, and a heartbeat that it lives."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
import uuid
from dataclasses import dataclass
from enum import Enum, StrEnum

from LMIALLib.errors import BadInput
from LMIALLib.study.clock import now
from LMIALLib.study.processes import process_started

HEARTBEAT_SECONDS = 120.0
"""A session of another machine whose last heartbeat is older than this is taken for dead."""


class HolderKind(StrEnum):
    """What holds a study: a session in which a person annotates, for hours, or a command, for a minute at most."""

    SESSION = "session"
    COMMAND = "command"


class SessionTakenOver(BadInput):
    """Another session took this study over: nothing more can be saved from here; what was acknowledged is kept."""


@dataclass(frozen=True)
class Lease:
    """Who holds a study for writing.

    Args:
        token: random, separates one session from every other; begins with "command-" where a command holds the study,
            so that the table stays as studies of past versions have it.
        host, process, process_started: the process that holds it (see ``processes.process_started``).
        reader: who works there, or an empty string.
        started: UTC time.
        heartbeat: seconds since 1970 of the last sign of life.
    """

    token: str
    host: str
    process: int
    process_started: str
    reader: str
    started: str
    heartbeat: float

    @classmethod
    def of_this_process(cls, reader: str, kind: HolderKind = HolderKind.SESSION) -> Lease:
        """A fresh lease for this process."""
        number = os.getpid()
        token = f"{kind}-{uuid.uuid4().hex}" if kind is not HolderKind.SESSION else uuid.uuid4().hex
        return cls(token, socket.gethostname(), number, process_started(number) or "", reader, now(), time.time())

    @property
    def kind(self) -> HolderKind:
        """What holds the study."""
        return HolderKind.COMMAND if self.token.startswith(f"{HolderKind.COMMAND}-") else HolderKind.SESSION

    @property
    def alive(self) -> bool:
        """Whether its holder lives: here the process is looked up, of another machine the heartbeat must be recent."""
        if self.host == socket.gethostname():
            started = process_started(self.process)
            if started is None:
                return False
            if started and self.process_started:
                return started == self.process_started
        return time.time() - self.heartbeat < HEARTBEAT_SECONDS

    @property
    def described(self) -> str:
        """Holder as a phrase: reader, machine, process and since when, to the minute."""
        who, since = self.reader or "a reader without a name", self.started[:16].replace("T", " ")
        return f"{who} on {self.host} (process {self.process}) since {since} UTC"


class Obstacle(Enum):
    """What keeps a session from writing."""

    ASKED = "it was opened for looking only."
    NOT_WRITABLE = "its folder may not be written to."
    DISK_FULL = "the disk is full. Make room, then open it."
    HELD = "it is being annotated by {}. Close that session first."


@dataclass(frozen=True)
class WhyReadOnly:
    """Why a session can only look, and who holds the study where that is why; ``str()`` gives a sentence."""

    obstacle: Obstacle
    holder: Lease | None = None

    def __str__(self) -> str:
        return self.obstacle.value.format(self.holder.described if self.holder else "another session")


def held_lease(connection: sqlite3.Connection) -> Lease | None:
    """The lease in the database, or None."""
    row = connection.execute(
        "SELECT token, host, process, process_started, reader, started, heartbeat FROM lease"
    ).fetchone()
    return Lease(*row) if row else None


def write_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    """Put ``lease`` in the place of any other; part of the running transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO lease (one, token, host, process, process_started, reader, started, heartbeat) "
        "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (lease.token, lease.host, lease.process, lease.process_started, lease.reader, lease.started, lease.heartbeat),
    )


def confirm_lease(connection: sqlite3.Connection, token: str, heartbeat: float) -> None:
    """Renew our own heartbeat (seconds since 1970) inside the running transaction.

    Raises SessionTakenOver when the lease is not ours.
    """
    renewed = connection.execute("UPDATE lease SET heartbeat = ? WHERE token = ?", (heartbeat, token)).rowcount
    if renewed != 1:
        holder = held_lease(connection)
        by = f"by {holder.described}" if holder else "and is closed again"
        raise SessionTakenOver(
            f"this session's study was taken over {by}; this answer was not saved.",
            "Everything acknowledged before is kept. Open the study again to go on.",
        )


def release_lease(connection: sqlite3.Connection, token: str) -> None:
    """Remove our own lease, if it still is ours."""
    connection.execute("DELETE FROM lease WHERE token = ?", (token,))
