"""One pipeline a study: two trainings must not write into one work folder, while a person may well annotate."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.study.connection import readable_errors
from LMIALLib.study.inside import inside
from LMIALLib.study.lease import Lease

LOCK, HOLDER = "lock.sqlite", "lock.json"
"""In the work folder: an empty database whose lock is held, and who holds it."""


@contextmanager
def alone(study_folder: Path) -> Iterator[None]:
    """Keep every other pipeline out of ``<study>/nnunet/``; the system lets go of it however this process ends.

    The lock is the exclusive one of SQLite, which every system has. Raises BadInput while another pipeline works there,
    or where the folder may not be written to.
    """
    root = inside(study_folder, WorkFolder.pretraining(study_folder).root.name)
    with disk_errors("making the work folder of nnU-Net"):
        root.mkdir(exist_ok=True)
    _check_lock(root)
    with readable_errors(root):
        lock = sqlite3.connect(root / LOCK, timeout=0, isolation_level=None)
    with closing(lock):
        with readable_errors(root):
            _take(lock, study_folder, root)
        with disk_errors("beginning the pipeline"), written_whole(root / HOLDER) as temporary:
            temporary.write_text(json.dumps({"held by": Lease.of_this_process("lmial").described}), encoding="utf-8")
        yield


def _check_lock(root: Path) -> None:
    """Raise BadInput for a lock with something in it. LMIAL never writes into it, and beside an empty database SQLite
    follows no journal; one that came with a study could name files elsewhere."""
    lock = inside(root, LOCK)
    if lock.exists() and lock.stat().st_size > 0:
        raise BadInput(f"{lock} is not a file of LMIAL.", "Remove it.")


def _take(lock: sqlite3.Connection, study_folder: Path, root: Path) -> None:
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise BadInput(
            f"another pipeline works on {study_folder}: {_holder(root)}.",
            "Wait for its end, or stop it; what it did is kept.",
        ) from error


def _holder(root: Path) -> str:
    try:
        return read_json(root / HOLDER, dict[str, str])["held by"][:200]
    except (OSError, BadInput, KeyError):
        return "it has just begun"  # the lock comes before the note
