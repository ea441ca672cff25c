"""What a core-set is: the slices that were chosen, and what shaped the choice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from LMIALLib.queries.query import Query


@dataclass(frozen=True)
class CoreSet:
    """What was chosen.

    Args:
        ranking: number of the ranking in the study; its queries are the readers' queue.
        queries: in the order in which they were chosen.
        budget: slices that might be chosen; slices: of the study.
        subjects: among which they are spread; most_a_subject: slices chosen of one of them at most, random ones apart.
        embedding, distance: how slices were compared.
        teacher: whose pseudo-labels are the suggestions; None for the model in use.
        report: the page with map and thumbnails.
        notes: sentences for a person.
    """

    ranking: int
    queries: tuple[Query, ...]
    budget: int
    slices: int
    subjects: int
    most_a_subject: int
    embedding: str
    distance: str
    teacher: str | None
    report: Path
    notes: tuple[str, ...]


def describe(found: CoreSet) -> dict[str, Any]:
    """The same, JSON-ready."""
    return {**asdict(found), "queries": [query.to_dict() for query in found.queries], "report": str(found.report)}
