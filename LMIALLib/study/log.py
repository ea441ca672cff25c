"""The history of a study: what happened, when, by whom. Lines are added, never changed (table ``events``)."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from LMIALLib.json_data import parse_json
from LMIALLib.study.clock import now
from LMIALLib.study.database import StudyDatabase


@dataclass(frozen=True)
class Event:
    """One line of a study's history: when (UTC), what kind, by whom, and JSON-ready details."""

    id: int
    at: str
    kind: str
    reader: str
    details: dict[str, Any]


class Log:
    """``study.log``: adding to the history and reading it."""

    def __init__(self, database: StudyDatabase) -> None:
        self._database = database

    def record(self, kind: str, **details: Any) -> None:
        """Add a line to the history: what happened in JSON-ready details, without patient names."""
        with self._database.transaction() as connection:
            self.note(connection, kind, **details)

    def note(self, connection: sqlite3.Connection, kind: str, **details: Any) -> None:
        """Add a line of history to the running transaction; ``reader`` among the details says who did it."""
        connection.execute(
            "INSERT INTO events (at, kind, reader, details) VALUES (?, ?, ?, ?)",
            (now(), kind, details.pop("reader", None) or self._database.reader, json.dumps(details)),
        )

    def events(self) -> tuple[Event, ...]:
        """Everything that happened to the study, oldest first. Raises BadInput where the history is damaged."""
        rows = self._database.rows("SELECT id, at, kind, reader, details FROM events ORDER BY id")
        return tuple(Event(r["id"], r["at"], r["kind"], r["reader"], self._details(r)) for r in rows)

    def _details(self, row: sqlite3.Row) -> dict[str, Any]:
        where = f"{self._database.folder}: event {row['id']} of its history"
        return parse_json(row["details"], dict[str, Any], where)
