"""What a new ranking changed for the reader, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from LMIALLib.queries.query import Query


def what_changed(before: Sequence[Query], after: Sequence[Query], first: int) -> str:
    """How the next ``first`` of two queues differ; slices are counted from 1, as a reader does."""
    old = [(query.case, query.slice) for query in before[:first]]
    new = [(query.case, query.slice) for query in after[:first]]
    if not new:
        return "Nothing is waiting."
    if old == new:
        return "The next queries stay the same."
    several = len({case for case, _ in new}) > 1

    def named(places: Sequence[tuple[str, int]]) -> str:
        return ", ".join(f"{case} {number + 1}" if several else str(number + 1) for case, number in places)

    came = [place for place in new if place not in old]
    if not came:
        return f"The same slices in another order: {named(new)}."
    return f"New among the next {len(new)}: {named(came)}."
