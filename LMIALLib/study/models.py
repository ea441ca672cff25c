"""The models of a study: files that are never overwritten, and which one is in use."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import sha256_of, written_whole
from LMIALLib.json_data import AnyFloat, parse_json, shaped
from LMIALLib.study.clock import now
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.log import Log
from LMIALLib.study.names import LONGEST_MODEL_ID, checked_file_name


@dataclass(frozen=True)
class Model:
    """A model file of the study.

    Args:
        id: name of the model and of its file.
        parent: id of the model that it was trained from, or None.
        round: 0 for the first model, one more for each that followed.
        adopted: whether it was ever taken into use; a refused one is kept and marked by its report.
        digest: SHA-256 of the file.
        created: UTC time.
        report: JSON-ready; how it was trained and why it was adopted or refused.
    """

    id: str
    parent: str | None
    round: int
    adopted: bool
    digest: str
    created: str
    report: dict[str, Any]


class Models:
    """``study.models``: adding, finding and adopting models. Table ``models``, setting ``model_in_use``."""

    def __init__(self, database: StudyDatabase, log: Log) -> None:
        self._database, self._log = database, log

    def add(
        self,
        file: Path,
        *,
        id: str,  # noqa: A002 - the word of the house
        parent: str | None = None,
        round: int = 0,  # noqa: A002
        adopted: bool = False,
        report: dict[str, Any] | None = None,
    ) -> Model:
        """Copy a weights file into ``models/`` whole and flushed, then its row; ``adopted`` puts it in use at once.

        Raises BadInput for an id that is taken or no file name, an unknown parent, a missing file, a full disk.
        """
        checked_file_name(id, "model id", longest=LONGEST_MODEL_ID)
        if self._database.row("SELECT 1 FROM models WHERE id = ?", (id,)):
            raise BadInput(f"the study already has a model {id!r}.")
        if parent is not None:
            self.get(parent)
        if not Path(file).is_file():
            raise BadInput(f"the weights file {file} does not exist.")
        target = self.path(id)
        with self._database.transaction():  # refuses a read-only or taken-over session before anything is written
            pass
        brought = Path(file).resolve() != target.resolve()
        with disk_errors(f"saving the model {id}"):
            target.parent.mkdir(exist_ok=True)
            if brought:
                with written_whole(target) as temporary:
                    shutil.copyfile(file, temporary)
        noted = {"model": id, "parent": parent, "round": round, "adopted": adopted, "digest": sha256_of(target)}
        inside = target.relative_to(self._database.folder).as_posix()
        with self._database.transaction(undo=lambda: target.unlink(missing_ok=True) if brought else None) as connection:
            file_row = (inside, noted["digest"], target.stat().st_size)
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, NULL, ?, ?)", file_row)
            connection.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id, parent, round, adopted, now(), inside, json.dumps(report or {})),
            )
            self._log.note(connection, "model added", **noted)
            if adopted:
                self._use(connection, id)
        return self.get(id)

    def all(self) -> tuple[Model, ...]:
        """All models in the order in which they were added."""
        return tuple(_model_of(row) for row in self._database.rows(f"{_SELECT} ORDER BY m.rowid"))

    def ids(self) -> frozenset[str]:
        """Ids of all models."""
        return frozenset(row["id"] for row in self._database.rows("SELECT id FROM models"))

    def get(self, id: str) -> Model:  # noqa: A002
        """One model. Raises BadInput naming those there are."""
        row = self._database.row(f"{_SELECT} WHERE m.id = ?", (id,))
        if row is None:
            there = ", ".join(m.id for m in self.all()) or "none yet"
            raise BadInput(f"the study {self._database.folder} has no model {id!r}; it has: {there}.")
        return _model_of(row)

    def path(self, id: str) -> Path:  # noqa: A002
        """Where the file of a model lies, or will lie."""
        return self._database.folder / "models" / f"{id}.safetensors"

    def in_use(self) -> Model | None:
        """The model adopted last, or None."""
        chosen = self._database.setting("model_in_use")
        return self.get(chosen) if chosen else None

    def adopt(self, id: str) -> Model:  # noqa: A002
        """Put a model in use, also an earlier one again."""
        model = self.get(id)
        with self._database.transaction() as connection:
            self._use(connection, model.id)
            self._log.note(connection, "model adopted", model=model.id)
        return self.get(model.id)

    def _use(self, connection: sqlite3.Connection, id: str) -> None:  # noqa: A002
        connection.execute("UPDATE models SET adopted = 1 WHERE id = ?", (id,))
        connection.execute("INSERT OR REPLACE INTO settings VALUES ('model_in_use', ?)", (id,))


_SELECT = "SELECT m.*, f.digest FROM models m JOIN files f ON f.path = m.path"


@dataclass(frozen=True)
class _Report:
    """The part of a model's report that is shown, where it is there."""

    dice_held_out: AnyFloat | None = None
    held_out_after: AnyFloat | None = None
    reasons: tuple[str, ...] = ()


def _model_of(row: sqlite3.Row) -> Model:
    id_ = checked_file_name(row["id"], "model id", longest=LONGEST_MODEL_ID)
    report = parse_json(row["report"], dict[str, Any], f"the report of the model {id_}")
    shaped(report, _Report, f"the report of the model {id_}")
    if row["path"] != f"models/{id_}.safetensors":
        raise BadInput(f"the study names another place than its own for the file of the model {id_}.", RESTORE)
    return Model(
        id_,
        row["parent"],
        row["round"],
        bool(row["adopted"]),
        row["digest"],
        row["created"],
        report,
    )
