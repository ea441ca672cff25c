"""Suggested lesions that readers accepted, rejected or outlined anew as a whole. It makes no slice read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.json_data import Natural, parse_json
from LMIALLib.study.case import Case
from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.log import Log
from LMIALLib.study.names import checked_person

VERDICTS = ("accepted", "rejected", "outlined")


@dataclass(frozen=True)
class LesionAnswer:
    """One lesion that was accepted, rejected or outlined anew.

    Args:
        id: counts up over the study.
        case, pair: on which pair of the case it was suggested.
        verdict: one of `VERDICTS`.
        voxels: bool (k, j, i), what the answer speaks for: the lesion as it was suggested, and its new outline.
        change: bool (k, j, i), which of them are change: all, none, or those within the new outline.
        shown: slices of it that were on the screen; only there does the answer speak for its voxels.
        reader, ranking, saved_at: who, by which ranking's map, when (UTC).
    """

    id: int
    case: str
    pair: int
    verdict: str
    voxels: np.ndarray
    change: np.ndarray
    shown: frozenset[int]
    reader: str
    ranking: int | None
    saved_at: str

    def of_slice(self, number: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """The voxels of a slice that the answer speaks for, and which are change, bool (rows, columns).

        None where that slice was not on the screen.
        """
        voxels, change = (np.moveaxis(volume, axis, 0)[number] for volume in (self.voxels, self.change))
        return (voxels, change) if number in self.shown else (np.zeros_like(voxels), np.zeros_like(change))


class LesionAnswers:
    """``study.lesion_answers``: saving and finding them. Table ``lesion_answers``; a change of mind is a new row."""

    def __init__(self, database: StudyDatabase, log: Log, cases: Cases) -> None:
        self._database, self._log, self._cases = database, log, cases

    def save(
        self,
        case: str,
        verdict: str,
        voxels: np.ndarray,
        shown: Iterable[int],
        reader: str,
        ranking: int | None = None,
        *,
        outline: np.ndarray | None = None,
    ) -> LesionAnswer:
        """Save a reader's answer to a lesion; it is on the disk when this returns.

        Args:
            verdict: one of `VERDICTS`.
            voxels: bool (k, j, i) on the case's grid, the lesion as it was suggested, at least one voxel.
            shown: slices of it that were on the screen, at least one that holds it.
            outline: for "outlined" alone: bool (k, j, i), the lesion as it is, at least one voxel.

        Raises BadInput, with nothing written, for another shape, no voxel, no slice, an unknown case or reader, and an
        outline that is missing or not wanted.
        """
        known, reader = self._cases.get(case), checked_person(reader, "reader")
        slices = sorted(set(shown))
        for number in slices:
            known.check_slice(number)
        if verdict not in VERDICTS:
            raise BadInput(f"the verdict {verdict!r} is unknown; expected {' or '.join(VERDICTS)}.")
        if voxels.shape != known.grid.shape or voxels.dtype != bool:
            raise BadInput(f"the lesion has shape {voxels.shape}; the pair of {known.name} has {known.grid.shape}.")
        if not np.moveaxis(voxels, known.axis, 0)[slices].any():
            raise BadInput(f"no slice of this lesion of {known.name} was on the screen.")
        if (outline is not None) != (verdict == "outlined"):
            raise BadInput("a lesion that is outlined anew needs its outline, and no other verdict takes one.")
        if outline is not None:
            if outline.shape != known.grid.shape or outline.dtype != bool or not outline.any():
                raise BadInput(f"the outline does not fit the pair of {known.name}, or it is empty.")
            voxels = voxels | outline
        raw = _places_of(voxels)
        changed = None if outline is None else _places_of(outline)
        row = {
            "case_name": known.name, "pair": known.pair_number, "verdict": verdict, "of": None,
            "voxels": zlib.compress(raw, 1), "digest": _digest(raw, changed), "shown": json.dumps(slices),
            "reader": reader, "ranking": ranking, "saved_at": now(),
            "outline": None if changed is None else zlib.compress(changed, 1),
        }  # fmt: skip
        number = self._insert(row)
        return next(one for one in self.all(known.name) if one.id == number)

    def withdraw(self, case: str, number: int, reader: str) -> None:
        """Take an answer back. Raises WrongUse where there is none of this id that counts."""
        known = self._cases.get(case)
        if number not in {one.id for one in self.current(known.name)}:
            raise WrongUse(f"{known.name} has no answer {number} about a lesion.")
        empty = b""
        self._insert(
            {
                "case_name": known.name, "pair": known.pair_number, "verdict": "withdrawn", "of": number,
                "voxels": zlib.compress(empty, 1), "digest": _digest(empty, None), "shown": "[]",
                "reader": checked_person(reader, "reader"), "ranking": None, "saved_at": now(),
            }
        )  # fmt: skip

    def all(self, case: str) -> tuple[LesionAnswer, ...]:
        """Every answer about a lesion of a case, oldest first, also those that were withdrawn."""
        known = self._cases.get(case)
        rows = self._database.rows(
            "SELECT * FROM lesion_answers WHERE case_name = ? AND verdict <> 'withdrawn' ORDER BY id", (known.name,)
        )
        return tuple(self._read(row, known) for row in rows)

    def current(self, case: str, *, upto: int | None = None) -> tuple[LesionAnswer, ...]:
        """The answers that count, oldest first: not withdrawn, of the newest pair; ``upto``: ids up to this one."""
        known = self._cases.get(case)
        rows = self._database.rows(
            "SELECT of FROM lesion_answers WHERE case_name = ?1 AND verdict = 'withdrawn' AND (?2 IS NULL OR id <= ?2)",
            (known.name, upto),
        )
        gone = {row["of"] for row in rows}
        found = (one for one in self.all(known.name) if one.pair == known.pair_number and one.id not in gone)
        return tuple(one for one in found if upto is None or one.id <= upto)

    def laid_over(self, case: str, probability: np.ndarray, *, reader: str | None = None) -> np.ndarray:
        """A map of probabilities (k, j, i) with 1 and 0 where a lesion answer of the case says what is change.

        ``reader``: only answers by this reader.
        """
        known, found = self._cases.get(case), probability
        for answer in self.current(case):
            if reader is not None and answer.reader != reader:
                continue
            found = found.copy() if found is probability else found
            stack = np.moveaxis(found, known.axis, 0)
            for number in answer.shown:
                voxels, change = answer.of_slice(number, known.axis)
                stack[number][voxels] = change[voxels]
        return found

    def on_slice(self, case: str, number: int, suggested: np.ndarray) -> np.ndarray:
        """A suggestion of one slice, bool (rows, columns), as these answers change it."""
        found, axis = suggested.copy(), self._cases.get(case).axis
        for answer in self.current(case):
            voxels, change = answer.of_slice(number, axis)
            found[voxels] = change[voxels]
        return found

    def accepted(self, case: str, *, reader: str | None = None) -> np.ndarray:
        """Change, bool (k, j, i), that readers, or one, accepted or outlined as whole lesions, where they saw it."""
        nothing = np.zeros(self._cases.get(case).grid.shape, np.float32)
        return self.laid_over(case, nothing, reader=reader) > 0

    def ids(self, case: str) -> list[int]:
        """Ids of all answers to a case's lesions, ascending, withdrawn ones included."""
        rows = self._database.rows("SELECT id FROM lesion_answers WHERE case_name = ? ORDER BY id", (case,))
        return [row["id"] for row in rows]

    def highest_id(self) -> int:
        """Id of the newest row, 0 where there is none."""
        row = self._database.row("SELECT max(id) AS newest FROM lesion_answers")
        return int(row["newest"] or 0) if row else 0

    def _insert(self, row: dict[str, object]) -> int:
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        with self._database.transaction() as connection:
            number = connection.execute(f"INSERT INTO lesion_answers ({names}) VALUES ({places})", row).lastrowid
            assert number is not None  # sqlite gives one for every insert
            details = {"id": number, "case": row["case_name"], "verdict": row["verdict"]}
            self._log.note(connection, "lesion answer", reader=row["reader"], **details)
        return number

    def _read(self, row: sqlite3.Row, case: Case) -> LesionAnswer:
        """An answer of a database that may come from elsewhere. Raises BadInput where it is damaged."""
        where = f"answer {row['id']} about a lesion of {case.name}"
        raw = _inflated(row["voxels"], case, where)
        outline = None if row["outline"] is None else _inflated(row["outline"], case, where)
        if _digest(raw, outline) != row["digest"]:
            raise BadInput(f"{where} is not what was saved.", RESTORE)
        of_now = row["pair"] == case.pair_number
        voxels = _volume_of(raw, case, where, of_now=of_now)
        if outline is not None:
            change = _volume_of(outline, case, where, of_now=of_now)
        else:
            change = voxels if row["verdict"] == "accepted" else np.zeros_like(voxels)
        shown = frozenset(parse_json(row["shown"], tuple[Natural, ...], where))
        return LesionAnswer(
            row["id"], case.name, row["pair"], row["verdict"], voxels, change, shown, row["reader"], row["ranking"],
            row["saved_at"],
        )  # fmt: skip


def _places_of(volume: np.ndarray) -> bytes:
    return np.flatnonzero(volume).astype("<i4").tobytes()


def _digest(voxels: bytes, outline: bytes | None) -> str:
    return hashlib.sha256(voxels if outline is None else voxels + b"outline" + outline).hexdigest()


def _inflated(packed: bytes, case: Case, where: str) -> bytes:
    most = 4 * int(np.prod(case.grid.shape))
    try:
        raw = zlib.decompressobj().decompress(packed, most + 1)
    except zlib.error as error:
        raise BadInput(f"{where} is damaged ({error}).", RESTORE) from error
    if len(raw) > most or len(raw) % 4:
        raise BadInput(f"{where} is not what was saved.", RESTORE)
    return raw


def _volume_of(raw: bytes, case: Case, where: str, *, of_now: bool) -> np.ndarray:
    """Voxels (k, j, i) bool from their places; none of an earlier pair (``of_now`` false) that do not fit today's."""
    places = np.frombuffer(raw, "<i4")
    volume = np.zeros(case.grid.shape, bool)
    if places.size and not (places.min() >= 0 and places.max() < volume.size):
        if of_now:
            raise BadInput(f"{where} lies outside of its pair.", RESTORE)
        places = places[:0]  # of an earlier pair, whose grid may have been another one
    volume.ravel()[places] = True
    return volume
