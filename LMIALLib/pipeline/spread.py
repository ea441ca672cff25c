"""k-center that is spread over subjects: none of them takes more than its share of the budget, and one slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from LMIALLib.queries.choices import Choice
from LMIALLib.queries.choosers import Chooser
from LMIALLib.queries.diversity import Greedy
from LMIALLib.queries.pool import Candidates


def most_a_subject(budget: int, subjects: int) -> int:
    """ceil(budget / subjects) + 1: an equal share, and one more for a subject that is unlike the others."""
    return -(-budget // max(1, subjects)) + 1


def spread(choice: Choice, subject_of: Mapping[str, str], most: int) -> Choice:
    """The same choice, of which no subject gets more than ``most`` slices while another has an open one.

    Args:
        choice: one whose chooser is a `Greedy`, as k-center.
        subject_of: case to subject.
        most: slices a subject; those drawn by lot count, but a lot is never held back, so that it stays fair; those
            annotated earlier do not count.
    """

    def begin(candidates: Candidates, spacing: float) -> Chooser:
        inner = choice.begin(candidates, spacing)
        assert isinstance(inner, Greedy)
        inner.most_picks = max(inner.most_picks, most * len(set(subject_of.values())))  # distances to the last pick
        names = sorted(set(subject_of.values()))
        of_case = np.array([names.index(subject_of[case]) for case in candidates.cases], dtype=int)
        return _Spread(inner, of_case[candidates.case], len(names), most)

    return replace(choice, begin=begin)


class _Spread:
    """A greedy chooser whose candidates of a subject are shut once the subject has enough."""

    def __init__(self, inner: Greedy, subject: np.ndarray, subjects: int, most: int) -> None:
        self._inner, self._subject, self._most = inner, subject, most
        self._given = np.zeros(subjects, dtype=int)

    def take(self, index: int) -> None:
        self._inner.take(index)
        self._given[self._subject[index]] += 1

    def following(self, batch: Sequence[int]) -> int | None:
        everything = self._inner.open
        allowed = everything & (self._given[self._subject] < self._most)
        self._inner.open = allowed if allowed.any() else everything
        try:
            return self._inner.following(batch)
        finally:
            self._inner.open = everything

    def score(self, index: int) -> float:
        return self._inner.score(index)

    def terms(self, index: int) -> dict[str, float]:
        return self._inner.terms(index)
