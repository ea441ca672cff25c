"""Rankings as they were: the queue, the scores bit for bit, and every condition under which they came about."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, parse_json, shaped
from LMIALLib.study.clock import now
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.log import Log
from LMIALLib.study.packing import pack_scores, unpack_scores

if TYPE_CHECKING:
    from LMIALLib.queries.query import Ranking

KEPT = 4
"""Rankings that a study keeps in memory: one of 6,000 queries takes some megabytes."""


def adapted_map(digest: str) -> str:
    """Name of the map that a head made, by the head's digest (64 hexadecimal digits)."""
    return f"adapted-{digest[:16]}"


@dataclass(frozen=True)
class StoredRanking:
    """A ranking with what is needed to make it again.

    Args:
        ranking: JSON-ready, see ``queries.Ranking.to_dict``; floats survive unchanged.
        conditions: JSON-ready; pairs with digests, model, strategy, seed, device, dtype, threads, batch, versions.
        scores: case -> (slices,) float64, kept bit for bit.
        annotations_upto: highest annotation id at the time, so that replay rebuilds the pool of then.
        number, created: given by the study when it is stored.
    """

    ranking: dict[str, Any]
    conditions: dict[str, Any]
    scores: dict[str, np.ndarray]
    annotations_upto: int
    number: int = 0
    created: str = ""

    @property
    def suggested_by(self) -> str:
        """Under which name the maps are stored that readers see: the model's, or that of a source of pseudo-labels
        where ``suggestions`` of the conditions names one."""
        return str(self.conditions.get("suggestions") or self.model)

    @property
    def finishes(self) -> bool:
        """Whether its purpose is to finish one patient after the other; False where no purpose is recorded."""
        return bool(self.ranking.get("settings", {}).get("purpose") == "finish")

    def map_of(self, case: str) -> str:
        """Name of the map of probability that a case was ranked with: the per-patient head's, or the model's mean."""
        head = self.conditions.get("heads", {}).get(case)
        return "mean" if head is None else adapted_map(head["digest"])

    def learnt_from(self, case: str) -> tuple[int, ...]:
        """Slices, 0-based, whose answers the head of a case had learnt; none where the network's own map stands."""
        return tuple(self.conditions.get("heads", {}).get(case, {}).get("slices", ()))

    @cached_property
    def whole(self) -> Ranking:
        """The ranking as it was made. Raises BadInput, naming the field, where it is none."""
        from LMIALLib.queries.query import Ranking

        return Ranking.from_dict(self.ranking, f"ranking {self.number}")

    @property
    def model(self) -> str:
        """Id of the model that ranked. Raises BadInput where the conditions, from elsewhere, name none."""
        return self._condition("model")

    @property
    def strategy(self) -> str:
        """Name of the strategy, and of the map of its measure. Raises BadInput where the conditions name none."""
        return self._condition("strategy")

    def _condition(self, name: str) -> str:
        if name not in self.conditions:
            raise BadInput(f"ranking {self.number} does not say by which {name} it was made.", RESTORE)
        return str(self.conditions[name])

    @property
    def is_core_set(self) -> bool:
        """Whether a core-set was chosen, which is read to its end before anything is ranked again."""
        return "core_set" in self.conditions

    def without_suggestion(self, case: str) -> frozenset[int]:
        """Slices of a case that have no suggestion at all, which is not the same as an empty one."""
        return frozenset(self.conditions.get("no_suggestion", {}).get(case, ()))


@dataclass(frozen=True)
class _Query:
    case: str = ""
    slice: Natural = 0


@dataclass(frozen=True)
class _Ranking:
    """The fields of a ranking that decisions rest on before it is read whole, see ``queries.Ranking.from_dict``."""

    strategy: str = ""
    seed: Natural = 0
    queries: tuple[_Query, ...] = ()


@dataclass(frozen=True)
class _Pair:
    number: Natural


_Digest = Annotated[str, Limits(pattern="[0-9a-f]{64}")]


@dataclass(frozen=True)
class _Head:
    digest: _Digest
    slices: tuple[Natural, ...] = ()


@dataclass(frozen=True)
class _Conditions:
    """The conditions of a ranking that decisions rest on, where they are there."""

    model: str = ""
    suggestions: str | None = None
    strategy: str = ""
    seed: Natural = 0
    pairs: dict[str, _Pair] | None = None
    no_suggestion: dict[str, tuple[int, ...]] | None = None
    committee: tuple[str, ...] | None = None
    heads: dict[str, _Head] | None = None


class Rankings:
    """``study.rankings``: storing and finding rankings. Tables ``rankings``, ``ranking_scores``.

    They are never changed, so those that were read last are kept in memory.
    """

    def __init__(self, database: StudyDatabase, log: Log) -> None:
        self._database, self._log = database, log
        self._read_last: dict[int, StoredRanking] = {}

    def store(self, new: StoredRanking) -> int:
        """Store a ranking in one flushed transaction. Returns its number, counted from 1."""
        ranking, conditions = json.dumps(new.ranking), json.dumps(new.conditions)
        with self._database.transaction() as connection:
            number = connection.execute(
                "INSERT INTO rankings (created, ranking, conditions, annotations_upto) VALUES (?, ?, ?, ?)",
                (now(), ranking, conditions, new.annotations_upto),
            ).lastrowid
            assert number is not None  # sqlite gives one for every insert
            for case, scores in new.scores.items():
                blob = pack_scores(scores)
                values = (number, case, blob, hashlib.sha256(blob).hexdigest())
                connection.execute("INSERT INTO ranking_scores VALUES (?, ?, ?, ?)", values)
            noted = {key: new.ranking.get(key) for key in ("strategy", "seed") if key in new.ranking}
            self._log.note(connection, "ranking", number=number, **noted)
        return number

    def get(self, number: int) -> StoredRanking:
        """One ranking. Raises BadInput when there is none with this number, or when it is damaged."""
        if number not in self._read_last:
            row = self._database.row("SELECT * FROM rankings WHERE number = ?", (number,))
            if row is None:
                raise BadInput(
                    f"the study {self._database.folder} has no ranking {number}; it has {len(self.numbers())}."
                )
            if len(self._read_last) >= KEPT:
                self._read_last.pop(next(iter(self._read_last)))
            self._read_last[number] = self._stored(row)
        return self._read_last[number]

    def all(self) -> tuple[StoredRanking, ...]:
        """All rankings, oldest first."""
        return tuple(self.get(number) for number in self.numbers())

    def latest(self) -> StoredRanking | None:
        """The newest ranking, or None."""
        numbers = self.numbers()
        return self.get(numbers[-1]) if numbers else None

    def estimates(self, case: str) -> list[tuple[int, Any]]:
        """What each ranking expected of the delivered label of a case, by the ranking's number, oldest first."""
        path = f'$.estimates."{case}"'
        rows = self._database.rows(
            "SELECT number, json_extract(conditions, ?1) AS estimate FROM rankings"
            " WHERE json_extract(conditions, ?1) IS NOT NULL ORDER BY number",
            (path,),
        )
        where = f"{self._database.folder}: estimates"
        return [(row["number"], parse_json(str(row["estimate"]), dict[str, Any], where)) for row in rows]

    def numbers(self) -> list[int]:
        """The numbers of all rankings, ascending."""
        return [row["number"] for row in self._database.rows("SELECT number FROM rankings ORDER BY number")]

    def _stored(self, row: sqlite3.Row) -> StoredRanking:
        number = row["number"]
        found = self._database.rows("SELECT * FROM ranking_scores WHERE ranking = ? ORDER BY rowid", (number,))
        scores = {
            r["case_name"]: unpack_scores(r["scores"], r["digest"], f"ranking {number}, case {r['case_name']}")
            for r in found
        }
        where = f"{self._database.folder}: ranking {number}"
        ranking = parse_json(row["ranking"], dict[str, Any], where)
        conditions = parse_json(row["conditions"], dict[str, Any], f"{where}: conditions")
        shaped(ranking, _Ranking, where)
        shaped(conditions, _Conditions, f"{where}: conditions")
        return StoredRanking(
            ranking,
            conditions,
            scores,
            row["annotations_upto"],
            number,
            row["created"],
        )
