"""Choices: from scores and features to an order of slices. Each is a small object that hands out one slice at a time.

All obey the same rules: a slice is handed out once; skipped slices come after all others; equal scores are decided by
the seeded tie of `Candidates`; a batch keeps its distance, so that neighbouring slices are not asked together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.queries.pool import Candidates

GREEDY_PICKS = 512
"""After so many centres k-center orders the rest by distance alone: each centre costs one pass over the pool."""

SAME = 1e-6
"""Feature vectors closer than this, relative to the pool's size in feature space, count as duplicates."""


class Chooser(Protocol):
    """Hands out candidates one by one."""

    def take(self, index: int) -> None:
        """Say that a candidate is used, whoever chose it."""

    def following(self, batch: Sequence[int]) -> int | None:
        """The next candidate, given the batch's own so far; None when none is left."""

    def score(self, index: int) -> float:
        """What the choice went by: the candidate's score, or its distance when it was handed out."""


@dataclass(frozen=True)
class Choice:
    """A named choice.

    Args:
        name: as in `CHOICES`.
        begin: (candidates, spacing in mm) to a fresh `Chooser`.
        uniform: whether every pick is a uniform draw, and may feed unbiased estimates.
        needs: "features" where slices need feature vectors.
    """

    name: str
    begin: Callable[[Candidates, float], Chooser]
    uniform: bool = False
    needs: frozenset[str] = frozenset()


class HighestFirst:
    """Highest score first; within a batch and a case at least ``spacing`` mm apart unless nothing else is left."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        order = np.lexsort((candidates.tie, -candidates.score, candidates.skipped))
        self._order: list[int] = order.tolist()
        self._spaced = _Spacing(candidates, spacing)
        self._skipped: list[bool] = candidates.skipped.tolist()
        self._scores = candidates.score
        self._taken = bytearray(len(candidates))
        self._first = 0

    def take(self, index: int) -> None:
        self._taken[index] = 1
        while self._first < len(self._order) and self._taken[self._order[self._first]]:
            self._first += 1

    def following(self, batch: Sequence[int]) -> int | None:
        too_near = None
        for place in range(self._first, len(self._order)):
            index = self._order[place]
            if self._taken[index]:
                continue
            if too_near is not None and self._skipped[index] and not self._skipped[too_near]:
                break
            if self._spaced.free(index, batch):
                return index
            too_near = index if too_near is None else too_near
        return too_near

    def score(self, index: int) -> float:
        return float(self._scores[index])


class ByLot:
    """A uniform draw without replacement, in the order of the seeded lots; keeping a distance would make it uneven."""

    def __init__(self, candidates: Candidates, spacing: float = 0.0) -> None:
        self._order: list[int] = np.lexsort((candidates.lot, candidates.skipped)).tolist()
        self._scores = candidates.score
        self._taken = bytearray(len(candidates))
        self._first = 0

    def take(self, index: int) -> None:
        self._taken[index] = 1
        while self._first < len(self._order) and self._taken[self._order[self._first]]:
            self._first += 1

    def following(self, batch: Sequence[int]) -> int | None:
        return self._order[self._first] if self._first < len(self._order) else None

    def score(self, index: int) -> float:
        return float(self._scores[index])


class KCenterGreedy:
    """Core-set: next is the slice farthest from all that is labelled or chosen (Sener and Savarese, arXiv 1708.00489).

    argmax over u of the minimum over l of d(f_u, f_l), Euclidean, starting from the answered slices; where none is
    answered, the first is the one farthest from the pool's mean. A duplicate of what is labelled or chosen comes only
    after all distinct slices. Raises WrongUse without features.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self._squared = nearest_squared(required_features(candidates), starting_centres(candidates))
        self._features, self._candidates = required_features(candidates), candidates
        self._spaced = _Spacing(candidates, spacing)
        self._open = np.ones(len(candidates), dtype=bool)
        self._picks = 0
        self._has_centre = candidates.n_answered > 0
        spread = np.square(self._features - self._features.mean(axis=0)).sum(axis=1) if len(candidates) else np.zeros(1)
        self._same = SAME**2 * float(spread.max())

    def take(self, index: int) -> None:
        self._open[index] = False
        self._picks += 1
        if self._picks > GREEDY_PICKS:
            return
        to_new = np.square(self._features - self._features[index]).sum(axis=1)
        nearer = np.minimum(self._squared, to_new) if self._has_centre else to_new
        # Slices already handed out keep the distance that they had then: it is their score.
        self._squared = np.where(self._open, nearer, self._squared)
        self._has_centre = True

    def following(self, batch: Sequence[int]) -> int | None:
        among = np.flatnonzero(self._open & ~self._candidates.skipped)
        if not among.size:
            among = np.flatnonzero(self._open)
        if not among.size:
            return None
        distinct = among[self._squared[among] > self._same]
        among = distinct if distinct.size else among
        spaced = among[self._spaced.free_among(among, batch)]
        among = spaced if spaced.size else among
        far = among[self._squared[among] == self._squared[among].max()]
        return int(far[np.argmin(self._candidates.tie[far])])

    def score(self, index: int) -> float:
        return float(np.sqrt(self._squared[index]))


def starting_centres(candidates: Candidates) -> np.ndarray:
    """What core-set measures its first distances to, float64 (A, d): the labelled slices, else the mean of the pool."""
    features = required_features(candidates)
    if candidates.labelled is not None and len(candidates.labelled):
        return candidates.labelled
    return features.mean(axis=0, keepdims=True) if len(features) else features


def required_features(candidates: Candidates) -> np.ndarray:
    """The features of the pool, float64 (N, d). Raises WrongUse where a case has none."""
    if candidates.features is None:
        raise WrongUse("The core-set choice needs a feature vector for every slice of every case.")
    return candidates.features


def nearest_squared(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of each point (N, d) to the nearest centre (A, d), float64 (N,), never negative.

    Differences are squared, not expanded: the expansion gives tiny negative numbers for near duplicates, whose root is
    NaN. Without centres every distance is infinite.
    """
    result = np.full(len(points), np.inf)
    for centre in np.asarray(centres, dtype=np.float64):
        np.minimum(result, np.square(points - centre).sum(axis=1), out=result)
    return result


class _Spacing:
    """Whether candidates keep their distance, in mm within a case."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self._case, self._position = candidates.case, candidates.position
        self._case_list, self._position_list = candidates.case.tolist(), candidates.position.tolist()
        # A hair less, so that 3 slices of 4 mm are 12 mm apart in floating point as well.
        self._spacing = spacing - 1e-6

    def free(self, index: int, batch: Sequence[int]) -> bool:
        """Whether a candidate is far enough from every member of the batch."""
        case, position = self._case_list[index], self._position_list[index]
        return all(
            self._case_list[other] != case or abs(self._position_list[other] - position) >= self._spacing
            for other in batch
        )

    def free_among(self, among: np.ndarray, batch: Sequence[int]) -> np.ndarray:
        """The same for many candidates, bool."""
        free = np.ones(among.size, dtype=bool)
        for other in batch:
            near = np.abs(self._position[among] - self._position[other]) < self._spacing
            free &= ~(near & (self._case[among] == self._case[other]))
        return free


highest_first = Choice("highest-first", HighestFirst)
random = Choice("random", ByLot, uniform=True)
k_center = Choice("k-center", KCenterGreedy, needs=frozenset({"features"}))

CHOICES = MappingProxyType({choice.name: choice for choice in (highest_first, random, k_center)})
"""Every choice by its name; cannot be changed."""
