"""Slices that were looked at in a sweep and not answered: *viewed*, a state between read and unread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from LMIALLib.errors import BadInput
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.names import checked_person


@dataclass(frozen=True)
class Swept:
    """A slice that a reader looked at without answering it.

    Args:
        case, slice: which slice, 0-based.
        reader: who looked.
        ranking: the ranking whose delivered label it was, or None.
        label_shown: whether the delivered label was on the screen too.
        seconds: how long the slice stood there.
        seen_at: when, UTC.
    """

    case: str
    slice: int
    reader: str
    ranking: int | None
    label_shown: bool
    seconds: float
    seen_at: str


class Sweeps:
    """``study.sweeps``: storing and finding what was viewed. Table ``sweeps``."""

    def __init__(self, database: StudyDatabase, cases: Cases) -> None:
        self._database, self._cases = database, cases

    def save(
        self,
        case: str,
        seen: Collection[tuple[int, float]],
        reader: str,
        *,
        label_shown: bool,
        ranking: int | None = None,
    ) -> None:
        """Store slices that were looked at, each with its seconds, in one flushed transaction.

        Raises BadInput for an unknown case, slice or reader, and for seconds below 0.
        """
        known = self._cases.get(case)
        reader = checked_person(reader, "reader")
        for number, seconds in seen:
            known.check_slice(number)
            if not 0 <= seconds < 1e6:
                raise BadInput(f"slice {number} of {known.name} was looked at for {seconds} s; expected 0 or more.")
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO sweeps (case_name, slice, reader, ranking, label_shown, seconds, seen_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(known.name, number, reader, ranking, label_shown, seconds, now()) for number, seconds in seen],
            )

    def all(self, case: str) -> tuple[Swept, ...]:
        """Every look at a slice of a case, oldest first."""
        known = self._cases.get(case)
        found = []
        for row in self._database.rows("SELECT * FROM sweeps WHERE case_name = ? ORDER BY id", (known.name,)):
            known.check_slice(row["slice"])
            found.append(
                Swept(
                    known.name, row["slice"], row["reader"], row["ranking"], bool(row["label_shown"]), row["seconds"],
                    row["seen_at"],
                )
            )  # fmt: skip
        return tuple(found)

    def viewed(self, case: str) -> frozenset[int]:
        """Slices of a case that were looked at in a sweep, also those that were answered since."""
        return frozenset(one.slice for one in self.all(case))
