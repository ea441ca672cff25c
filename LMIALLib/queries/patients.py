"""Rankings of single patients as one queue: a patient is read to the end before the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from LMIALLib.queries.query import Query, Ranking

_ADDED_UP = ("pool",)


def one_after_the_other(rankings: Sequence[Ranking]) -> Ranking:
    """Join rankings of one case each, in the order in which the patients are read; at least one.

    Queries keep their order within a case and are numbered anew from 1. Settings are those of the first, with the
    number of candidates added up.
    """
    queries: list[Query] = []
    for ranking in rankings:
        queries += [replace(query, rank=len(queries) + place) for place, query in enumerate(ranking.queries, start=1)]
    settings: dict[str, Any] = dict(rankings[0].settings)
    settings |= {name: sum(one.settings.get(name, 0) for one in rankings) for name in _ADDED_UP}
    scores = {case: score for ranking in rankings for case, score in ranking.scores.items()}
    return replace(rankings[0], queries=tuple(queries), scores=scores, settings=settings)


def part_of(ranking: Ranking, case: str) -> Ranking:
    """The part of a ranking for one case, numbered from 1. The inverse of ``one_after_the_other``."""
    queries = [query for query in ranking.queries if query.case == case]
    numbered = tuple(replace(query, rank=place) for place, query in enumerate(queries, start=1))
    settings = {**ranking.settings, "pool": len(numbered)}
    return replace(ranking, queries=numbered, scores={case: ranking.scores[case]}, settings=settings)
