"""k-center among slices with signs of change, spread over subjects.

No subject takes more than its share of the budget, and one slice. Slices without a sign wait until the others are
chosen: k-center alone chooses what is unlike everything else, which in heads is the rim of the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from LMIALLib.queries.candidates import Candidates
from LMIALLib.queries.choices import Choice
from LMIALLib.queries.choosers import Chooser
from LMIALLib.queries.diversity import Greedy

SIGN = 0.1
"""Probability of change that is a sign of it."""


def most_a_subject(budget: int, subjects: int) -> int:
    """ceil(budget / subjects) + 1: an equal share, and one more for a subject that is unlike the others."""
    return -(-budget // max(1, subjects)) + 1


def signs_of_change(probability: np.ndarray) -> np.ndarray:
    """Which slices hold a pixel whose probability of change, (n, rows, columns), is ``SIGN`` or more; (n,) bool."""
    return np.asarray((probability >= SIGN).any(axis=(1, 2)))


def spread(choice: Choice, subject_of: Mapping[str, str], most: int, signs: Mapping[str, np.ndarray]) -> Choice:
    """The same choice among slices with signs of change, then among the others; no subject gets more than ``most``
    slices while another has an open one.

    Args:
        choice: one whose chooser is a `Greedy`, as k-center.
        subject_of: case to subject.
        most: slices a subject; random ones count, but are never held back, so that they stay a fair sample; those
            annotated earlier do not count.
        signs: case to (n,) bool, slices with signs of change.
    """

    def begin(candidates: Candidates, spacing: float) -> Chooser:
        inner = choice.begin(candidates, spacing)
        assert isinstance(inner, Greedy)
        inner.most_picks = max(inner.most_picks, most * len(set(subject_of.values())))  # distances to the last pick
        names = sorted(set(subject_of.values()))
        of_case = np.array([names.index(subject_of[case]) for case in candidates.cases], dtype=int)
        at = zip(candidates.case.tolist(), candidates.slice.tolist(), strict=True)
        signed = np.array([signs[candidates.cases[case]][number] for case, number in at], dtype=bool)
        return _Spread(inner, of_case[candidates.case], len(names), most, signed)

    return replace(choice, begin=begin)


class _Spread:
    """A greedy chooser whose candidates are shut without signs of change, and once their subject has enough."""

    def __init__(self, inner: Greedy, subject: np.ndarray, subjects: int, most: int, signed: np.ndarray) -> None:
        self._inner, self._subject, self._most, self._signed = inner, subject, most, signed
        self._given = np.zeros(subjects, dtype=int)

    def take(self, index: int) -> None:
        self._inner.take(index)
        self._given[self._subject[index]] += 1

    def following(self, batch: Sequence[int]) -> int | None:
        everything = self._inner.open
        fresh = everything & ~self._inner.candidates.skipped
        hungry = fresh & (self._given[self._subject] < self._most)
        tiers = (hungry & self._signed, hungry, fresh)
        self._inner.open = next((tier for tier in tiers if tier.any()), everything)
        try:
            return self._inner.following(batch)
        finally:
            self._inner.open = everything

    def score(self, index: int) -> float:
        return self._inner.score(index)

    def terms(self, index: int) -> dict[str, float]:
        return self._inner.terms(index)
