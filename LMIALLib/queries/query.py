"""A query, a slice put to the reader, and a ranking of queries; both to JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np

from LMIALLib.json_data import AnyFloat, Limits, Natural, shaped

Drawn = Literal["strategy", "random"]
_Index = Annotated[int, Limits(least=0, most=1_000_000)]


@dataclass(frozen=True)
class Query:
    """One slice put to the reader.

    Args:
        rank: 1 comes first.
        case: name of the case.
        slice: 0-based number on the stored grid.
        score: what the choice went by, also for a random query: the score, with its noise; for choices by diversity the
            distance or gain at its turn.
        drawn: "random" for a uniform draw, else "strategy".
        terms: the numbers behind the score, see `scoring.score_case`; with features also ``distance`` to the nearest
            labelled slice (for core-set: labelled or earlier in the queue) and ``typical_distance``, the pool's median;
            with noise also ``perturbed``, the score that was ordered by; and the choice's own terms.
        reason: one sentence made from the terms.
        centre: row and column of the place to look at first.
    """

    rank: Natural
    case: str
    slice: _Index
    score: AnyFloat
    drawn: Drawn
    terms: dict[str, AnyFloat]
    reason: str
    centre: tuple[_Index, _Index]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats survive unchanged."""
        return asdict(self) | {"centre": list(self.centre)}


@dataclass(frozen=True)
class Ranking:
    """The whole queue and how it came about.

    Args:
        strategy: name of the strategy.
        seed: seed of every chance in it.
        queries: best first.
        scores: (n,) float64 for each case, for every slice, also answered ones: the aggregated score, without noise;
            for core-set the distance to the nearest labelled slice, or to the pool's mean where none is.
        settings: everything else that shaped it, JSON-ready.

    Example:
        >>> [query.rank for query in ranking.queries[:3]]
        [1, 2, 3]
        >>> Ranking.from_dict(ranking.to_dict()).queries == ranking.queries
        True
    """

    strategy: str
    seed: int
    queries: tuple[Query, ...]
    scores: dict[str, np.ndarray]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats survive unchanged."""
        return {
            "strategy": self.strategy,
            "seed": self.seed,
            "queries": [query.to_dict() for query in self.queries],
            "scores": {case: score.tolist() for case, score in self.scores.items()},
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, values: object, where: str = "a ranking") -> Ranking:
        """The inverse of `to_dict`. Raises BadInput, naming ``where`` and the field, for what is no ranking."""
        stored = shaped(values, _Stored, where)
        return cls(
            strategy=stored.strategy,
            seed=stored.seed,
            queries=stored.queries,
            scores={case: np.array(score, dtype=np.float64) for case, score in stored.scores.items()},
            settings=stored.settings,
        )


@dataclass(frozen=True)
class _Stored:
    """A `Ranking` as JSON holds it."""

    strategy: str
    seed: Natural
    queries: tuple[Query, ...]
    scores: dict[str, list[AnyFloat]]
    settings: dict[str, Any]
