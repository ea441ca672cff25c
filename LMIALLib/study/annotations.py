"""What readers said of slices: saved in one flushed transaction, versioned, never overwritten."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study.cases import Case, Cases
from LMIALLib.study.clock import now
from LMIALLib.study.database import RESTORE
from LMIALLib.study.names import checked_person
from LMIALLib.study.packing import PackedMask, pack_mask, unpack_mask

ANSWERS = ("mask", "nothing", "equivocal", "skip")
DRAWN = ("strategy", "random", "reader")


@dataclass(frozen=True)
class SliceTest:
    """How the model in use did on a slice before it learned from it, as voxel counts.

    Args:
        model: id of the model.
        overlap, predicted, marked: voxels in both, in the model's change, in the reader's change.
    """

    model: str
    overlap: int
    predicted: int
    marked: int


@dataclass(frozen=True)
class Viewed:
    """What of a slice was on the screen before it was answered.

    Args:
        mask: (rows, columns) bool, the voxels that were shown at one or more screen pixels each for long enough.
        share: of the searched region of the slice, 0 to 1; 1 where the region has no voxel there.
    """

    mask: np.ndarray
    share: float


@dataclass(frozen=True)
class NewAnnotation:
    """What a reader says of a slice, about to be saved.

    Args:
        case, slice: which slice, 0-based.
        answer: "mask", "nothing", "equivocal" or "skip".
        mask: (rows, columns), values of the label schema; needed for "mask", the doubtful spot or None for "equivocal",
            None for the others.
        reader: who answers.
        seconds: active reading time.
        suggestion_seen, suggestion_seconds: whether the suggestion was shown, and how long after the slice was opened.
        accepted_unchanged: whether the mask is the suggestion as it was.
        model: id of the model, or name of the teacher's maps, that the suggestion came from.
        ranking, query_rank: the ranking and the place in it that brought the reader here.
        drawn: "strategy", "random", or "reader" for a slice that the reader chose.
        test: how the model in use did on this slice before training on it.
        viewed: what was on the screen; None where no screen was looked at (the command line).
    """

    case: str
    slice: int
    answer: str
    mask: np.ndarray | None = None
    reader: str = ""
    seconds: float | None = None
    suggestion_seen: bool = False
    suggestion_seconds: float | None = None
    accepted_unchanged: bool = False
    model: str | None = None
    ranking: int | None = None
    query_rank: int | None = None
    drawn: str = "reader"
    test: SliceTest | None = None
    viewed: Viewed | None = None


@dataclass(frozen=True)
class Annotation:
    """One saved version of what was said of a slice; the fields of ``NewAnnotation`` and what saving added.

    ``answer`` may also be "withdrawn": the slice is back in the pool. ``version`` counts from 1 for each slice.
    ``viewed_share`` is the part of the searched region that was on the screen, None where that is not known; which part
    says ``viewed_of``.
    """

    id: int
    version: int
    saved_at: str
    case: str
    slice: int
    answer: str
    mask: np.ndarray | None
    reader: str
    seconds: float | None
    suggestion_seen: bool
    suggestion_seconds: float | None
    accepted_unchanged: bool
    model: str | None
    ranking: int | None
    query_rank: int | None
    drawn: str
    test: SliceTest | None
    viewed_share: float | None = None


class Annotations(Cases):
    """Saving and finding annotations."""

    def save_annotation(self, new: NewAnnotation) -> Annotation:
        """Save one answer as a new version and drop the slice's draft (a skip keeps it).

        When this returns, the answer is on the disk: only then may anyone be told that it is saved.
        Raises BadInput, with nothing written, for an unknown case, slice, answer or reader, a mask of another shape or
        with other values, an empty mask, a full disk, a read-only study, or a session that was taken over.
        """
        case = self.case(new.case)
        packed = self._checked(new, case)
        reader = checked_person(new.reader, "reader")
        with self._transaction() as connection:
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
            if new.answer != "skip":
                connection.execute("DELETE FROM drafts WHERE case_name = ? AND slice = ?", (case.name, new.slice))
            self._record(
                connection, "annotation", reader=reader, id=number, case=case.name, slice=new.slice, answer=new.answer
            )
        return self._annotation(number, case)

    def viewed_of(self, annotation: Annotation) -> np.ndarray | None:
        """What of the slice was on the screen when it was answered, bool (rows, columns), or None where nobody knows.

        Raises BadInput where the stored mask is damaged.
        """
        row = self._row("SELECT * FROM viewed WHERE annotation = ?", (annotation.id,))
        if row is None:
            return None
        packed = PackedMask(row["mask"], row["rows"], row["columns"], row["mask_digest"])
        where = f"slice {annotation.slice} of {annotation.case}, what was on the screen,"
        return unpack_mask(packed, self.case(annotation.case).slice_shape, where) != 0

    def take_back(self, case: str, slice: int, reader: str) -> Annotation:  # noqa: A002 - the word of the house
        """Withdraw the answer of a slice, as a new version: it is in the pool again. WrongUse when there is none."""
        known = self.case(case)
        check_slice(known, slice)
        newest = self._row(
            "SELECT answer FROM annotations WHERE case_name = ? AND slice = ? ORDER BY id DESC LIMIT 1",
            (known.name, slice),
        )
        if newest is None or newest["answer"] == "withdrawn":
            raise WrongUse(f"slice {slice} of {known.name} has no answer to take back.")
        reader = checked_person(reader, "reader")
        with self._transaction() as connection:
            number = self._insert(connection, NewAnnotation(known.name, slice, "withdrawn"), known.name, reader, None)
            self._record(connection, "taken back", reader=reader, id=number, case=known.name, slice=slice)
        return self._annotation(number)

    def annotations(self, case: str | None = None) -> tuple[Annotation, ...]:
        """Every version ever saved, oldest first, of one case or of all."""
        name = self.case(case).name if case is not None else None
        return self._found("WHERE ?1 IS NULL OR a.case_name = ?1", (name,))

    def current(self, case: str, *, upto: int | None = None, reader: str | None = None) -> dict[int, Annotation]:
        """The answer that counts for each answered slice: the newest version by any reader; a skip is no answer.

        Args:
            upto: only annotations with an id up to this one (the state of the study at that moment).
            reader: only versions by this reader.
        """
        newest = self._newest("answer <> 'skip'", case, upto, reader)
        return {a.slice: a for a in newest if a.answer != "withdrawn"}

    def skipped(self, case: str, *, upto: int | None = None) -> frozenset[int]:
        """Slices whose newest version is a skip and that have no answer: they return when the queue is empty."""
        newest = self._newest("1", case, upto, None)
        return frozenset(a.slice for a in newest if a.answer == "skip") - self.current(case, upto=upto).keys()

    def slice_tests(self) -> tuple[Annotation, ...]:
        """Annotations on slices that were first scored by the model in use, oldest first: the live learning curve."""
        return self._found("WHERE t.annotation IS NOT NULL", ())

    def _newest(self, condition: str, case: str, upto: int | None, reader: str | None) -> tuple[Annotation, ...]:
        known = self.case(case)
        return self._found(
            f"WHERE a.id IN (SELECT max(id) FROM annotations WHERE case_name = ?1 AND {condition} "
            "AND (?2 IS NULL OR id <= ?2) AND (?3 IS NULL OR reader = ?3) GROUP BY slice)",
            (known.name, upto, reader),
            known,
        )

    def _found(self, condition: str, values: tuple[object, ...], known: Case | None = None) -> tuple[Annotation, ...]:
        """Annotations, all of the case ``known`` where it is given."""
        rows = self._rows(f"{_SELECT} {condition} ORDER BY a.id", values)
        if known is not None:
            return tuple(self._read(row, known) for row in rows)
        cases = {name: self.case(name) for name in {row["case_name"] for row in rows}}
        return tuple(self._read(row, cases[row["case_name"]]) for row in rows)

    def _read(self, row: sqlite3.Row, case: Case) -> Annotation:
        """An annotation of a database that may come from elsewhere. Raises BadInput where it does not fit its case."""
        check_slice(case, row["slice"])
        if row["answer"] == "mask" and row["mask"] is None:
            raise BadInput(
                f"slice {row['slice']} of {case.name}: the answer is a mask, but no mask is stored.", RESTORE
            )
        return _annotation_of(row, self.stored_mask(row, case, f"version {row['version']}"))

    def stored_mask(self, row: sqlite3.Row, case: Case, what: str) -> np.ndarray | None:
        """The mask of a row of ``annotations`` or ``drafts``, uint8 (rows, columns), or None; BadInput if damaged."""
        if row["mask"] is None:
            return None
        where = f"slice {row['slice']} of {case.name}, {what}"
        packed = PackedMask(row["mask"], row["rows"], row["columns"], row["mask_digest"])
        mask = unpack_mask(packed, case.slice_shape, where)
        if not self.label_schema.admits(mask):
            raise BadInput(f"the stored mask of {where} holds values that are no class of this study.", RESTORE)
        return mask

    def _annotation(self, number: int, known: Case | None = None) -> Annotation:
        return self._found("WHERE a.id = ?", (number,), known)[0]

    def _checked(self, new: NewAnnotation, case: Case) -> PackedMask | None:
        """Everything about a new annotation that can be wrong, as BadInput; its packed mask."""
        where = f"slice {new.slice} of {case.name}"
        check_slice(case, new.slice)
        if new.answer not in ANSWERS:
            raise BadInput(f"the answer {new.answer!r} for {where} is unknown; expected one of {', '.join(ANSWERS)}.")
        if new.drawn not in DRAWN:
            raise BadInput(f"{where} was drawn by {new.drawn!r}; expected one of {', '.join(DRAWN)}.")
        for name, seconds in (("seconds", new.seconds), ("suggestion_seconds", new.suggestion_seconds)):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise BadInput(f"{name} for {where} is {seconds}; expected zero or more.")
        if new.ranking is not None and self._row("SELECT 1 FROM rankings WHERE number = ?", (new.ranking,)) is None:
            raise BadInput(f"{where} names ranking {new.ranking}, which the study does not have.")
        if new.viewed is not None and new.viewed.mask.shape != case.slice_shape:
            raise BadInput(
                f"what was on the screen of {where} has shape {new.viewed.mask.shape}, the slice {case.slice_shape}."
            )
        mask = None if new.mask is None else self.label_schema.checked_mask(new.mask, case.slice_shape, where)
        marked = mask is not None and bool(mask.any())
        if new.answer == "mask" and not marked:
            raise BadInput(f"the mask for {where} is empty.", "To say that nothing changed there, answer 'nothing'.")
        if new.answer in ("nothing", "skip") and marked:
            raise BadInput(
                f"the answer for {where} is {new.answer!r}, but its mask marks voxels.",
                "Answer 'mask' to save them, or clear them first.",
            )
        return pack_mask(mask) if marked and mask is not None else None

    def _insert(
        self, connection: sqlite3.Connection, new: NewAnnotation, case: str, reader: str, packed: PackedMask | None
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


def check_slice(case: Case, number: int) -> None:
    """Raise BadInput where a case has no slice with this number."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < case.n_slices:
        raise BadInput(f"{case.name} has no slice {number}; its slices are 0 to {case.n_slices - 1}.")


def _annotation_of(row: sqlite3.Row, mask: np.ndarray | None) -> Annotation:
    return Annotation(
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
