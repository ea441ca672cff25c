"""Choices by cover: next is the slice that represents most of what no labelled or chosen slice represents yet."""

from __future__ import annotations

import numpy as np

from LMIALLib.queries.candidates import Candidates
from LMIALLib.queries.distances import ROWS, nearest_squared
from LMIALLib.queries.diversity import GREEDY_PICKS, Greedy, by_direction, required_features

GREEDY_WORK = 2e10
"""After so many additions and comparisons the rest is ordered by the last gains computed."""

REFERENCES = 1000
"""Slices to be represented, in maximum cover and ProbCover; from a larger pool so many are drawn at random."""

BALL_SHARE = 0.05
"""ProbCover's delta at first: the distance below which this share of all pairs of slices lie."""


class MaxCover(Greedy):
    """Maximum cover (representative annotation, Yang et al., arXiv 1706.04737; survey arXiv 2310.14230).

    argmax over j of the sum over x of max over s in labelled, chosen and j of cos(f_x, f_s). Computed over the whole
    pool, without the clusters that the publication needs to make it affordable; in pools larger than `REFERENCES` x
    runs over a drawn part. Raises WrongUse without features.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        unit = by_direction(candidates)
        self._alike = 1.0 - _to_references(unit) ** 2 / 2.0
        self.most_picks = _affordable(self._alike)
        self._best = np.full(self._alike.shape[1], -1.0, dtype=np.float32)
        if unit.labelled is not None and len(unit.labelled):
            to_labelled = nearest_squared(required_features(unit)[references(unit)], unit.labelled)
            self._best = (1.0 - to_labelled / 2.0).astype(np.float32)
        self.gain = self._gains()

    def _gains(self) -> np.ndarray:
        gains = np.empty(len(self._alike))
        for start in range(0, len(gains), ROWS):
            more = np.maximum(self._alike[start : start + ROWS] - self._best, 0.0)
            gains[start : start + ROWS] = more.sum(axis=1, dtype=np.float64)
        return gains

    def after(self, index: int) -> np.ndarray:
        self._best = np.maximum(self._best, self._alike[index])
        return self._gains()

    def own_terms(self, index: int) -> dict[str, float]:
        return {"cover_gain": self.score(index)}


class ProbCover(Greedy):
    """ProbCover (Yehuda et al., arXiv 2205.11320): next is the slice whose ball holds most slices not covered so far.

    A slice is covered where a labelled or chosen one lies within delta, Euclidean. Delta is at first the distance below
    which `BALL_SHARE` of all pairs of slices lie, and is halved whenever everything is covered (the publication takes
    it from the purity of clusters, for which binary change has no classes). In pools larger than `REFERENCES` the
    covered slices are a drawn part. Raises WrongUse without features.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        self._distance = _to_references(candidates)
        self.most_picks = _affordable(self._distance)
        chosen = references(candidates)
        pairs = self._distance[chosen][np.triu_indices(chosen.size, 1)]
        self.delta = float(np.quantile(pairs, BALL_SHARE)) if pairs.size else 0.0
        self._nearest = np.full(chosen.size, np.inf)
        if candidates.labelled is not None and len(candidates.labelled):
            self._nearest = np.sqrt(nearest_squared(required_features(candidates)[chosen], candidates.labelled))
        self.gain = self._gains()

    def _gains(self) -> np.ndarray:
        uncovered = self._nearest > self.delta
        while not uncovered.any() and self._nearest.size and self._nearest.max() > 0.0:
            self.delta /= 2.0
            uncovered = self._nearest > self.delta
        gains = np.empty(len(self._distance))
        for start in range(0, len(gains), ROWS):
            within = self._distance[start : start + ROWS, uncovered] <= self.delta
            gains[start : start + ROWS] = np.count_nonzero(within, axis=1)
        return gains

    def after(self, index: int) -> np.ndarray:
        self._nearest = np.minimum(self._nearest, self._distance[index])
        return self._gains()

    def own_terms(self, index: int) -> dict[str, float]:
        return {"covered_share": self.score(index) / self._nearest.size, "delta": self.delta}


def references(candidates: Candidates) -> np.ndarray:
    """Indices of the slices to be represented, at most `REFERENCES`, drawn at random."""
    free = np.flatnonzero(~candidates.reserved)
    return np.sort(free[np.argsort(candidates.chance[0][free], kind="stable")[:REFERENCES]])


def _to_references(candidates: Candidates) -> np.ndarray:
    """Euclidean distance of every slice to every reference, float32 (N, R)."""
    from scipy.spatial.distance import cdist

    features = required_features(candidates)
    centres = features[references(candidates)]
    distance = np.empty((len(features), len(centres)), dtype=np.float32)
    for start in range(0, len(features), ROWS):
        distance[start : start + ROWS] = cdist(features[start : start + ROWS], centres)
    return distance


def _affordable(table: np.ndarray) -> int:
    """How many picks may go over the whole table."""
    return int(min(GREEDY_PICKS, GREEDY_WORK // max(table.size, 1)))
