"""Which patients are finished: declared by readers after a look at what was not read, and reopened at will."""

from __future__ import annotations

from dataclasses import dataclass

from LMIALLib.errors import WrongUse
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.log import Log
from LMIALLib.study.names import checked_person


@dataclass(frozen=True)
class Finished:
    """A reader's statement that a patient is finished: by whom, when (UTC), on which ranking's delivered label."""

    case: str
    reader: str
    ranking: int | None
    stated_at: str


class Patients:
    """``study.patients``: finishing and reopening. Table ``patients``; nothing is ever overwritten."""

    def __init__(self, database: StudyDatabase, log: Log, cases: Cases) -> None:
        self._database, self._log, self._cases = database, log, cases

    def finish(self, case: str, reader: str, ranking: int | None = None) -> Finished:
        """Store that a patient is finished. Raises WrongUse where it is already."""
        if self.finished(case) is not None:
            raise WrongUse(f"{case} is finished already.", "Reopen it first.")
        self._say(case, "finished", reader, ranking)
        found = self.finished(case)
        assert found is not None  # just stored
        return found

    def reopen(self, case: str, reader: str) -> None:
        """Store that a patient is not finished after all. Raises WrongUse where it is not."""
        if self.finished(case) is None:
            raise WrongUse(f"{case} is not finished.")
        self._say(case, "reopened", reader, None)

    def finished(self, case: str) -> Finished | None:
        """The statement that a patient is finished, or None."""
        name = self._cases.get(case).name
        row = self._database.row("SELECT * FROM patients WHERE case_name = ? ORDER BY id DESC LIMIT 1", (name,))
        if row is None or row["state"] != "finished":
            return None
        return Finished(name, row["reader"], row["ranking"], row["said_at"])

    def all(self) -> dict[str, Finished]:
        """Every finished patient by the name of its case."""
        found = {case.name: self.finished(case.name) for case in self._cases.all()}
        return {name: one for name, one in found.items() if one is not None}

    def _say(self, case: str, state: str, reader: str, ranking: int | None) -> None:
        name, reader = self._cases.get(case).name, checked_person(reader, "reader")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO patients (case_name, state, reader, ranking, said_at) VALUES (?, ?, ?, ?, ?)",
                (name, state, reader, ranking, now()),
            )
            self._log.note(connection, f"patient {state}", reader=reader, case=name)
