"""Readers' answers to slices: saved in one flushed transaction, versioned, never overwritten."""

from __future__ import annotations

import math
import sqlite3

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study.answer import ANSWERS, DRAWN, KINDS, Answer, NewAnswer, SliceTest
from LMIALLib.study.case import Case
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.log import Log
from LMIALLib.study.names import checked_person
from LMIALLib.study.packing import PackedMask, pack_mask, stored_mask, unpack_mask


class Answers:
    """``study.answers``: saving and finding readers' answers. Tables ``annotations``, ``slice_tests``, ``viewed``."""

    def __init__(self, database: StudyDatabase, log: Log, cases: Cases) -> None:
        self._database, self._log, self._cases = database, log, cases

    def save(self, new: NewAnswer) -> Answer:
        """Save one answer as a new version and drop the slice's draft (a skip keeps it).

        When this returns, the answer is on the disk: only then may a face report it as saved.
        Raises BadInput, with nothing written, for an unknown case, slice, answer or reader, a mask of another shape or
        with other values, an empty mask, a full disk, a read-only study, or a session that was taken over.
        """
        case = self._cases.get(new.case)
        packed = self._checked(new, case)
        reader = checked_person(new.reader, "reader")
        with self._database.transaction() as connection:
            number = self._insert(connection, new, case.name, reader, packed)
            if new.test:
                connection.execute(
                    "INSERT INTO slice_tests VALUES (?, ?, ?, ?, ?)",
                    (number, new.test.model, new.test.overlap, new.test.predicted, new.test.marked),
                )
            if new.viewed is not None:
                seen = pack_mask(new.viewed.mask)
                connection.execute(
                    "INSERT INTO viewed VALUES (?, ?, ?, ?, ?, ?)",
                    (number, new.viewed.share, seen.blob, seen.rows, seen.columns, seen.digest),
                )
            if KINDS[new.answer].settles:
                connection.execute("DELETE FROM drafts WHERE case_name = ? AND slice = ?", (case.name, new.slice))
            self._log.note(
                connection, "annotation", reader=reader, id=number, case=case.name, slice=new.slice, answer=new.answer
            )
        return self._saved(number, case)

    def viewed_of(self, answer: Answer) -> np.ndarray | None:
        """What of the slice was on the screen when it was answered, bool (rows, columns), or None if unknown.

        Raises BadInput where the stored mask is damaged.
        """
        row = self._database.row("SELECT * FROM viewed WHERE annotation = ?", (answer.id,))
        if row is None:
            return None
        packed = PackedMask(row["mask"], row["rows"], row["columns"], row["mask_digest"])
        where = f"slice {answer.slice} of {answer.case}, what was on the screen,"
        return unpack_mask(packed, self._cases.get(answer.case).slice_shape, where) != 0

    def take_back(self, case: str, slice: int, reader: str) -> Answer:  # noqa: A002 - the word of the house
        """Withdraw the answer of a slice, as a new version: it is in the pool again. WrongUse when there is none."""
        known = self._cases.get(case)
        known.check_slice(slice)
        newest = self._database.row(
            "SELECT answer FROM annotations WHERE case_name = ? AND slice = ? ORDER BY id DESC LIMIT 1",
            (known.name, slice),
        )
        if newest is None or newest["answer"] == "withdrawn":
            raise WrongUse(f"slice {slice} of {known.name} has no answer to take back.")
        reader = checked_person(reader, "reader")
        with self._database.transaction() as connection:
            number = self._insert(connection, NewAnswer(known.name, slice, "withdrawn"), known.name, reader, None)
            self._log.note(connection, "taken back", reader=reader, id=number, case=known.name, slice=slice)
        return self._saved(number, known)

    def get(self, number: int) -> Answer:
        """One version by its id. Raises BadInput where there is none, or where it is damaged."""
        found = self._found("WHERE a.id = ?", (number,))
        if not found:
            raise BadInput(f"the study {self._database.folder} has no answer {number}.")
        return found[0]

    def all(self, case: str | None = None) -> tuple[Answer, ...]:
        """Every version ever saved, oldest first, of one case or of all."""
        name = self._cases.get(case).name if case is not None else None
        return self._found("WHERE ?1 IS NULL OR a.case_name = ?1", (name,))

    def current(self, case: str, *, upto: int | None = None, reader: str | None = None) -> dict[int, Answer]:
        """The answer that counts for each answered slice: the newest version by any reader; a skip is no answer.

        Args:
            upto: only answers with an id up to this one (the state of the study at that moment).
            reader: only versions by this reader.
        """
        newest = self._newest("answer <> 'skip'", case, upto, reader)
        return {a.slice: a for a in newest if a.answer != "withdrawn"}

    def skipped(self, case: str, *, upto: int | None = None) -> frozenset[int]:
        """Slices whose newest version is a skip and that have no answer: they return when the queue is empty."""
        newest = self._newest("1", case, upto, None)
        return frozenset(a.slice for a in newest if a.answer == "skip") - self.current(case, upto=upto).keys()

    def slice_tests(self) -> tuple[Answer, ...]:
        """Answers on slices that were first scored by the model in use, oldest first: the live learning curve."""
        return self._found("WHERE t.annotation IS NOT NULL", ())

    def highest_id(self) -> int:
        """Id of the newest answer, 0 when there is none: what ``upto`` and a ranking's ``annotations_upto`` take."""
        row = self._database.row("SELECT max(id) AS newest FROM annotations")
        return int(row["newest"] or 0) if row else 0

    def seconds_spent(self) -> float:
        """Active reading time of all versions together."""
        row = self._database.row("SELECT total(seconds) AS spent FROM annotations")
        return float(row["spent"]) if row else 0.0

    def readers(self) -> tuple[str, ...]:
        """Who ever answered here, sorted."""
        rows = self._database.rows("SELECT DISTINCT reader FROM annotations WHERE answer <> 'withdrawn'")
        return tuple(sorted(row["reader"] for row in rows))

    def ids(self, case: str) -> list[int]:
        """Ids of every version of a case's answers, ascending, also of those that cannot be read."""
        rows = self._database.rows("SELECT id FROM annotations WHERE case_name = ? ORDER BY id", (case,))
        return [row["id"] for row in rows]

    def _newest(self, condition: str, case: str, upto: int | None, reader: str | None) -> tuple[Answer, ...]:
        known = self._cases.get(case)
        return self._found(
            f"WHERE a.id IN (SELECT max(id) FROM annotations WHERE case_name = ?1 AND {condition} "
            "AND (?2 IS NULL OR id <= ?2) AND (?3 IS NULL OR reader = ?3) GROUP BY slice)",
            (known.name, upto, reader),
            known,
        )

    def _found(self, condition: str, values: tuple[object, ...], known: Case | None = None) -> tuple[Answer, ...]:
        """Answers, all of the case ``known`` where it is given."""
        rows = self._database.rows(f"{_SELECT} {condition} ORDER BY a.id", values)
        if known is not None:
            return tuple(self._read(row, known) for row in rows)
        cases = {name: self._cases.get(name) for name in {row["case_name"] for row in rows}}
        return tuple(self._read(row, cases[row["case_name"]]) for row in rows)

    def _read(self, row: sqlite3.Row, case: Case) -> Answer:
        """An answer of a database that may come from elsewhere. Raises BadInput where it does not fit its case."""
        case.check_slice(row["slice"])
        if row["answer"] == "mask" and row["mask"] is None:
            raise BadInput(
                f"slice {row['slice']} of {case.name}: the answer is a mask, but no mask is stored.", RESTORE
            )
        where = f"slice {row['slice']} of {case.name}, version {row['version']}"
        return _answer_of(row, stored_mask(row, case.slice_shape, self._database.label_schema, where))

    def _saved(self, number: int, case: Case) -> Answer:
        return self._found("WHERE a.id = ?", (number,), case)[0]

    def _checked(self, new: NewAnswer, case: Case) -> PackedMask | None:
        """Everything about a new answer that can be wrong, as BadInput; its packed mask."""
        where = f"slice {new.slice} of {case.name}"
        case.check_slice(new.slice)
        if new.answer not in ANSWERS:
            raise BadInput(f"the answer {new.answer!r} for {where} is unknown; expected one of {', '.join(ANSWERS)}.")
        if new.drawn not in DRAWN:
            raise BadInput(f"{where} was drawn by {new.drawn!r}; expected one of {', '.join(DRAWN)}.")
        for name, seconds in (("seconds", new.seconds), ("suggestion_seconds", new.suggestion_seconds)):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise BadInput(f"{name} for {where} is {seconds}; expected zero or more.")
        if (
            new.ranking is not None
            and self._database.row("SELECT 1 FROM rankings WHERE number = ?", (new.ranking,)) is None
        ):
            raise BadInput(f"{where} names ranking {new.ranking}, which the study does not have.")
        if new.viewed is not None and new.viewed.mask.shape != case.slice_shape:
            raise BadInput(
                f"what was on the screen of {where} has shape {new.viewed.mask.shape}, the slice {case.slice_shape}."
            )
        mask = None if new.mask is None else self._database.label_schema.checked_mask(new.mask, case.slice_shape, where)
        marked = mask is not None and bool(mask.any())
        kind = KINDS[new.answer]
        if kind.mask == "needed" and not marked:
            raise BadInput(f"the mask for {where} is empty.", "To say that nothing changed there, answer 'nothing'.")
        if kind.mask == "none" and marked:
            raise BadInput(
                f"the answer for {where} is {new.answer!r}, but its mask marks voxels.",
                "Answer 'mask' to save them, or clear them first.",
            )
        return pack_mask(mask) if marked and mask is not None else None

    def _insert(
        self, connection: sqlite3.Connection, new: NewAnswer, case: str, reader: str, packed: PackedMask | None
    ) -> int:
        version = connection.execute(
            "SELECT 1 + count(*) FROM annotations WHERE case_name = ? AND slice = ?", (case, new.slice)
        ).fetchone()[0]
        row = {
            "case_name": case,
            "slice": int(new.slice),
            "version": version,
            "answer": new.answer,
            "mask": packed and packed.blob,
            "rows": packed and packed.rows,
            "columns": packed and packed.columns,
            "mask_digest": packed and packed.digest,
            "reader": reader,
            "seconds": new.seconds,
            "suggestion_seen": new.suggestion_seen,
            "suggestion_seconds": new.suggestion_seconds,
            "accepted_unchanged": new.accepted_unchanged,
            "model": new.model,
            "ranking": new.ranking,
            "query_rank": new.query_rank,
            "drawn": new.drawn,
            "saved_at": now(),
        }
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        number = connection.execute(f"INSERT INTO annotations ({names}) VALUES ({places})", row).lastrowid
        assert number is not None  # sqlite gives one for every insert
        return number


_SELECT = """
SELECT a.*, t.model AS tested, t.overlap, t.predicted, t.marked, v.share AS viewed_share
FROM annotations a LEFT JOIN slice_tests t ON t.annotation = a.id LEFT JOIN viewed v ON v.annotation = a.id
"""


def _answer_of(row: sqlite3.Row, mask: np.ndarray | None) -> Answer:
    return Answer(
        id=row["id"],
        version=row["version"],
        saved_at=row["saved_at"],
        case=row["case_name"],
        slice=row["slice"],
        answer=row["answer"],
        mask=mask,
        reader=row["reader"],
        seconds=row["seconds"],
        suggestion_seen=bool(row["suggestion_seen"]),
        suggestion_seconds=row["suggestion_seconds"],
        accepted_unchanged=bool(row["accepted_unchanged"]),
        model=row["model"],
        ranking=row["ranking"],
        query_rank=row["query_rank"],
        drawn=row["drawn"],
        test=SliceTest(row["tested"], row["overlap"], row["predicted"], row["marked"]) if row["tested"] else None,
        viewed_share=row["viewed_share"],
    )
