"""Greedy choices by diversity: after each pick, next is the slice that adds most to what is labelled or chosen.

Each pick costs one pass over the pool. After `GREEDY_PICKS`, or earlier where a pick costs more, the rest follows in
the order of the last gains computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.queries.candidates import Candidates
from LMIALLib.queries.choosers import HighestFirst, Spacing
from LMIALLib.queries.distances import NearestCentre, directions, nearest_squared

GREEDY_PICKS = 1024
"""After so many picks the rest is ordered by the last gains computed."""

SAME = 1e-6
"""Feature vectors closer than this, relative to the pool's size in feature space, count as duplicates."""

DOUBT_WEIGHT = 0.5
"""What a slice's mutual information counts beside its dissimilarity in the hybrid choice, both scaled to 0 to 1."""


class Greedy:
    """Next is the open slice of highest gain. A subclass fills ``gain`` and says in `after` what a pick makes of it.

    A slice whose gain is not above ``least`` comes only when no other is left, even if the others lie near the batch.
    """

    least = -np.inf

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self.candidates = candidates
        self.gain = np.zeros(len(candidates))
        self.open = ~candidates.reserved
        self.picks = 0
        self.most_picks = GREEDY_PICKS
        self._spacing, self._spaced = spacing, Spacing(candidates, spacing)
        self._rest: HighestFirst | None = None
        self._handed: int | None = None
        self._terms: dict[int, dict[str, float]] = {}

    def after(self, index: int) -> np.ndarray:
        """The gain of every candidate, float64 (N,), once this one is taken."""
        raise NotImplementedError

    def key(self, among: np.ndarray) -> np.ndarray:
        """What the next of these candidates is chosen by, highest first."""
        return self.gain[among]

    def own_terms(self, index: int) -> dict[str, float]:
        """The terms of a candidate that is being handed out."""
        return {}

    def take(self, index: int) -> None:
        if self._rest is not None:
            self._rest.take(index)
            return
        if index == self._handed:
            self._terms[index] = self.own_terms(index)
        self.open[index] = False
        self.picks += 1
        if self.picks > self.most_picks:
            last = replace(self.candidates, score=self.gain, reserved=~self.open)
            self._rest = HighestFirst(last, self._spacing)
        else:
            # Slices already handed out keep the gain that they had then: it is their score.
            self.gain = np.where(self.open, self.after(index), self.gain)

    def following(self, batch: Sequence[int]) -> int | None:
        if self._rest is not None:
            return self._rest.following(batch)
        among = np.flatnonzero(self.open & ~self.candidates.skipped)
        if not among.size:
            among = np.flatnonzero(self.open)
        if not among.size:
            return None
        worth = among[self.gain[among] > self.least]
        among = worth if worth.size else among
        spaced = among[self._spaced.free_among(among, batch)]
        among = spaced if spaced.size else among
        key = self.key(among)
        best = among[key == key.max()]
        self._handed = int(best[np.argmin(self.candidates.tie[best])])
        return self._handed

    def score(self, index: int) -> float:
        return float(self.gain[index])

    def terms(self, index: int) -> dict[str, float]:
        return self._terms.get(index, {})


class KCenterGreedy(Greedy):
    """Core-set: next is the slice farthest from all that is labelled or chosen (Sener and Savarese, arXiv 1708.00489).

    argmax over u of the minimum over l of d(f_u, f_l), Euclidean, starting from the answered slices; where none is
    answered, the first is the one farthest from the pool's mean. A duplicate of what is labelled or chosen comes only
    after all distinct slices. Raises WrongUse without features.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        self._features = required_features(candidates)
        self._nearest = NearestCentre(self._features)
        for centre in starting_centres(candidates):
            self._nearest.add(centre)
        self._from_mean = not candidates.n_answered
        self.gain = self._nearest.squared.copy()
        spread = np.square(self._features - self._features.mean(axis=0)).sum(axis=1) if len(candidates) else np.zeros(1)
        self.least = SAME**2 * float(spread.max())

    def after(self, index: int) -> np.ndarray:
        if self._from_mean:
            self._nearest.forget()
            self._from_mean = False
        self._nearest.add(self._features[index])
        return self._nearest.squared

    def score(self, index: int) -> float:
        return float(np.sqrt(self.gain[index]))


class CosineKCenter(KCenterGreedy):
    """Core-set with d = 1 - cos between feature vectors, 0 to 2; a vector of zeros is at 1/2 from every direction."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(by_direction(candidates), spacing)

    def score(self, index: int) -> float:
        return float(self.gain[index] / 2.0)


class Badge(Greedy):
    """BADGE (Ash et al., arXiv 1906.03671): k-means++ on gradients of the loss at the pseudo-label, seeded.

    The first is the slice with the largest gradient; each next one is drawn with a chance in proportion to its squared
    distance from the nearest one chosen: argmax of ln D^2 + Gumbel(0, 1). Raises WrongUse without gradients.
    """

    least = 0.0

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        if candidates.gradients is None:
            raise WrongUse("This strategy needs a gradient embedding for every slice of every case.")
        self._nearest = NearestCentre(candidates.gradients)
        self.gain = np.square(candidates.gradients).sum(axis=1)

    def after(self, index: int) -> np.ndarray:
        assert self.candidates.gradients is not None
        self._nearest.add(self.candidates.gradients[index])
        return self._nearest.squared

    def key(self, among: np.ndarray) -> np.ndarray:
        if not self.picks:
            return self.gain[among]
        draws = np.random.default_rng([self.candidates.seed, 21, self.candidates.n_answered + self.picks])
        return np.log(np.maximum(self.gain[among], np.finfo(float).tiny)) + draws.gumbel(size=len(self.gain))[among]

    def score(self, index: int) -> float:
        return float(np.sqrt(self.gain[index]))

    def own_terms(self, index: int) -> dict[str, float]:
        return {"gradient_distance": self.score(index)}


class Hybrid(Greedy):
    """Uncertain first, then least similar (after LMI-AL's code, with the sign of similarity right).

    Among the 10 batches' worth of open slices with the highest score, and at most half of them, argmax of
    -norm(mean cos to labelled and chosen) + `DOUBT_WEIGHT` norm(score), norm scaling the shortlist to 0 to 1; both are
    computed again after each pick. Raises WrongUse without features.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        unit = by_direction(candidates)
        self._unit = required_features(unit)
        self._order = np.lexsort((candidates.tie, -candidates.score, candidates.skipped))
        self._known, self._sum = 0, np.zeros(self._unit.shape[1])
        if unit.labelled is not None and len(unit.labelled):
            self._known, self._sum = len(unit.labelled), unit.labelled.sum(axis=0)
        self._similarity = np.zeros(len(candidates))
        self.gain = self._gains()

    def _gains(self) -> np.ndarray:
        left = self._order[self.open[self._order]]
        first = left[: min(10 * self.candidates.batch, -(-left.size // 2))]
        gains = _scaled(self.candidates.score) - 10.0  # below every gain of the shortlist
        self._similarity[first] = self._unit[first] @ self._sum / max(self._known, 1)
        gains[first] = DOUBT_WEIGHT * _scaled(self.candidates.score[first]) - _scaled(self._similarity[first])
        return gains

    def after(self, index: int) -> np.ndarray:
        self._known += 1
        self._sum = self._sum + self._unit[index]
        return self._gains()

    def own_terms(self, index: int) -> dict[str, float]:
        return {"similarity": float(self._similarity[index])}


def required_features(candidates: Candidates) -> np.ndarray:
    """The features of the pool, float64 (N, d). Raises WrongUse where a case has none."""
    if candidates.features is None:
        raise WrongUse("This strategy needs a feature vector for every slice of every case.")
    return candidates.features


def starting_centres(candidates: Candidates) -> np.ndarray:
    """What core-set measures its first distances to, float64 (A, d): the labelled slices, else the mean of the pool."""
    features = required_features(candidates)
    if candidates.labelled is not None and len(candidates.labelled):
        return candidates.labelled
    return features.mean(axis=0, keepdims=True) if len(features) else features


def starting_distances(candidates: Candidates) -> Callable[[np.ndarray], np.ndarray]:
    """A function from any slices' features (n, d) to their distance from what core-set starts from, float64 (n,)."""
    centres = starting_centres(candidates)

    def measure(features: np.ndarray) -> np.ndarray:
        return np.sqrt(nearest_squared(features, centres)) if len(centres) else np.zeros(len(features))

    return measure


def starting_angles(candidates: Candidates) -> Callable[[np.ndarray], np.ndarray]:
    """The same as 1 - cos, for `CosineKCenter`."""
    measure = starting_distances(by_direction(candidates))
    return lambda features: measure(directions(features)) ** 2 / 2.0


def by_direction(candidates: Candidates) -> Candidates:
    """The same pool with all feature vectors scaled to length 1."""
    labelled = None if candidates.labelled is None else directions(candidates.labelled)
    return replace(candidates, features=directions(required_features(candidates)), labelled=labelled)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values brought to 0 to 1; equal ones to 0."""
    if not values.size or np.ptp(values) == 0:
        return np.zeros(values.shape)
    return (values - values.min()) / np.ptp(values)
