"""Choices that plan a whole batch at once: from clusters of feature vectors, or as the best of several drawn batches.

A batch is planned when its first slice is wanted. What a plan leaves, and the rest of the queue once `PLANNED_WORK`
is spent, follows by score.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from LMIALLib.queries.candidates import Candidates
from LMIALLib.queries.choosers import HighestFirst, Spacing
from LMIALLib.queries.diversity import required_features

PLANNED_WORK = 2_000_000
"""Slices gone over for plans in one ranking: every batch of a study, the first twenty of a pool of 100,000 slices."""

SAMPLE = 20_000
"""Clusters are fitted to at most so many slices, drawn at random; all others join the nearest."""

FIXED_CLUSTERS = 20
"""Clusters of the pool in cluster-margin."""

MOST_CLUSTERS = 500
"""Clusters in TypiClust, as published; also its most neighbours and least members."""
NEIGHBOURS = 20
LEAST_MEMBERS = 5

PER_GROUP = 50
"""Members of a cluster that a plan goes on to when the better ones are taken or too near."""


class Planned:
    """Hands out what `plan` gives, in its order; what is then left by score."""

    keeps_distance = True

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self.candidates = candidates
        self.open = ~candidates.reserved
        self.taken: list[int] = []
        self._rest = HighestFirst(candidates, spacing)
        self._spaced = Spacing(candidates, spacing)
        self._plan: list[int] = []
        self._work = 0
        self._terms: dict[int, dict[str, float]] = {}

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        """Candidates in the order in which they are wanted, each with its terms.

        Args:
            among: (M,) int, M of 1 or more: slices that may be chosen and were not skipped.
        """
        raise NotImplementedError

    def take(self, index: int) -> None:
        self.open[index] = False
        self.taken.append(index)
        self._rest.take(index)

    def following(self, batch: Sequence[int]) -> int | None:
        if not batch:
            among = np.flatnonzero(self.open & ~self.candidates.skipped)
            planned: dict[int, dict[str, float]] = {}
            if among.size and self._work < PLANNED_WORK:
                self._work += len(self.candidates)
                planned = self.plan(among)
            self._plan = list(planned)
            self._terms |= planned
        for index in self._plan:
            if self.open[index] and (not self.keeps_distance or self._spaced.free(index, batch)):
                return index
        left = self._rest.following(batch)
        if left is not None:
            self._terms.pop(left, None)  # it comes for its score, not for the plan
        return left

    def score(self, index: int) -> float:
        return self._rest.score(index)

    def terms(self, index: int) -> dict[str, float]:
        return self._terms.get(index, {})


class KMeansNearest(Planned):
    """As many k-means clusters as the batch has queries; of each, largest first, the slice nearest to its centre."""

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        features = required_features(self.candidates)[among]
        tie = self.candidates.tie[among]
        label, distance = clustered(features, tie, self.candidates.batch, self.candidates.seed)
        groups = [np.flatnonzero(label == number) for number in np.unique(label)]
        groups.sort(key=lambda group: (-group.size, float(tie[group].min())))
        ordered = [among[group[np.lexsort((tie[group], distance[group]))]] for group in groups]
        return dealt(ordered, [{"group": float(group.size)} for group in groups])


class KMeansBald(Planned):
    """KMeans BALD (nnActive): the batch's double of highest score, then farthest-first on scaled features.

    Features are divided by their standard deviation (of a sample) over those doubles, and not centred, as nnActive's
    ``kmeans_bald.py`` does. The first is the one of largest norm, each next the one farthest from those chosen with it.
    There the doubles are taken from each image, here from the whole pool.
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        self._features = required_features(candidates)

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        left = best(self.candidates, among, 2 * self.candidates.batch).tolist()
        points = _scaled(self._features[left])
        distance = np.sqrt(np.square(points).sum(axis=1))
        planned: dict[int, dict[str, float]] = {}
        for number in range(len(left)):
            place = max(range(len(left)), key=lambda k: (left[k] not in planned, distance[k], -k))
            planned[left[place]] = {"batch_distance": float(distance[place])}
            to_new = np.sqrt(np.square(points - points[place]).sum(axis=1))
            distance = np.minimum(distance, to_new) if number else to_new
        return planned


class ClusterMargin(Planned):
    """Cluster-margin (Citovsky et al., arXiv 2107.14263): clustered once, chosen by margin, dealt.

    Of the 10 batches' worth of lowest margin (highest score) one slice after another is dealt from the clusters, the
    smallest first, in each at random. The publication's pools are far larger than 10 batches; in a study of one patient
    they are not, and a shortlist of everything would ignore the margin: it is half of what is open at most.
    Clusters: k-means, `FIXED_CLUSTERS`, computed in every ranking, over all its slices (the publication's hierarchical
    clustering needs all pairs).
    """

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        super().__init__(candidates, spacing)
        features = required_features(candidates)
        self._label = np.zeros(len(candidates), dtype=int)
        if len(candidates):
            self._label, _ = clustered(features, candidates.tie, FIXED_CLUSTERS, candidates.seed)

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        batch = self.candidates.batch
        shortlist = best(self.candidates, among, max(batch, min(10 * batch, -(-among.size // 2))))
        label, draw = self._label[shortlist], self.candidates.chance[0]
        groups = [shortlist[label == number] for number in np.unique(label)]
        groups.sort(key=lambda group: (group.size, float(draw[group].min())))
        ordered = [group[np.argsort(draw[group], kind="stable")] for group in groups]
        return dealt(ordered, [{"group": float(group.size)} for group in groups])


class TypiClust(Planned):
    """TypiClust (Hacohen et al., arXiv 2202.02794): of the largest clusters without a label the most typical slices.

    K-means into as many clusters as there are labelled and chosen slices and queries of the batch, at most
    `MOST_CLUSTERS`; clusters with fewest labelled first, among them the largest; those with fewer than `LEAST_MEMBERS`
    open slices come last. Typical is the smallest mean distance to the min(`NEIGHBOURS`, n // 2) nearest of the n open
    slices of the cluster (as its authors' code has it), which in clusters of more than 2,000 are sought among 2,000
    drawn at random.
    """

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        features, tie, batch = required_features(self.candidates), self.candidates.tie, self.candidates.batch
        known = [features[self.taken]]
        if self.candidates.labelled is not None:
            known.append(self.candidates.labelled)
        points = np.concatenate([features[among], *known])
        n_known = len(points) - among.size
        ties = np.concatenate([tie[among], np.linspace(0.0, 1.0, n_known, endpoint=False)])
        label, _ = clustered(points, ties, min(n_known + batch, MOST_CLUSTERS), self.candidates.seed)
        open_label, known_label = label[: among.size], label[among.size :]
        groups = [(number, among[open_label == number]) for number in np.unique(open_label)]
        read = {number: int((known_label == number).sum()) for number, _ in groups}
        groups.sort(key=lambda g: (g[1].size < LEAST_MEMBERS, read[g[0]], -g[1].size, float(tie[g[1]].min())))
        groups = groups[: 2 * batch]
        terms = [{"group": float(g.size), "labelled_in_group": float(read[number])} for number, g in groups]
        return dealt([g[np.lexsort((tie[g], _sparseness(features[g], tie[g])))] for _, g in groups], terms)


class StochasticBatches(Planned):
    """Stochastic batches (Gaillochet et al., arXiv 2301.07670): the most uncertain of many random batches.

    The pool is shuffled and cut into batches that do not overlap, as its authors' code does; what is left over at
    the end and fills no batch is left out. Next is the batch of highest mean score, its slices highest first. It
    keeps no distance, or it would be no random batch. Each batch is drawn again.
    """

    keeps_distance = False

    def plan(self, among: np.ndarray) -> dict[int, dict[str, float]]:
        draws = np.random.default_rng([self.candidates.seed, 32, self.candidates.n_answered + len(self.taken)])
        size = min(self.candidates.batch, among.size)
        batches = draws.permutation(among)[: among.size // size * size].reshape(-1, size)
        means = self.candidates.score[batches].mean(axis=1)
        chosen = best(self.candidates, batches[int(np.argmax(means))], size)
        return {int(index): {"batch_score": float(means.max())} for index in chosen}


def best(candidates: Candidates, among: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` candidates of highest score among some, highest first, equal ones by their tie."""
    if among.size > count:
        least = np.partition(candidates.score[among], among.size - count)[among.size - count]
        among = among[candidates.score[among] >= least]
    return among[np.lexsort((candidates.tie[among], -candidates.score[among]))][:count]


def dealt(groups: Sequence[np.ndarray], terms: Sequence[dict[str, float]]) -> dict[int, dict[str, float]]:
    """Candidates dealt from groups one after another, group by group, each with its group's terms."""
    rounds = zip_longest(*(group[:PER_GROUP].tolist() for group in groups))
    return {index: own for one in rounds for index, own in zip(one, terms, strict=True) if index is not None}


def clustered(points: np.ndarray, draw: np.ndarray, clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """K-means (k-means++ start, Lloyd) of points (N, d), N of 1 or more: label (N,) int and distance to the own centre.

    On one thread, so that sums come out the same bit for bit; fitted to the `SAMPLE` points of lowest ``draw``
    (random numbers, (N,)). Fewer distinct points than clusters give fewer clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    sample = points if len(points) <= SAMPLE else points[np.sort(np.argsort(draw, kind="stable")[:SAMPLE])]
    state = int(np.random.default_rng([seed, 18]).integers(2**31))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # duplicates among the points
        fitted = KMeans(min(clusters, len(sample)), n_init=1, random_state=state).fit(sample)
        label = fitted.predict(points)
    return label, np.sqrt(np.square(points - fitted.cluster_centers_[label]).sum(axis=1))


def _scaled(points: np.ndarray) -> np.ndarray:
    """Points (N, d) divided by the standard deviation of each feature; one that does not vary is 0."""
    if len(points) < 2:
        return points
    deviation = points.std(axis=0, ddof=1)
    varies = deviation > 1e-12 * np.abs(points).max(axis=0)
    return np.divide(points, deviation + 1e-6, out=np.zeros(points.shape), where=varies)


def _sparseness(points: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Mean distance of each point (N, d) to its min(`NEIGHBOURS`, N // 2) nearest, float64 (N,); 0 for one point."""
    from scipy.spatial.distance import cdist

    chosen = np.sort(np.argsort(draw, kind="stable")[:2000])
    count = min(NEIGHBOURS, chosen.size // 2)
    result = np.zeros(len(points))
    if count:
        for start in range(0, len(points), 1000):
            distance = cdist(points[start : start + 1000], points[chosen])
            own = (chosen >= start) & (chosen < start + 1000)
            distance[chosen[own] - start, np.flatnonzero(own)] = np.inf
            result[start : start + 1000] = np.sort(distance, axis=1)[:, :count].mean(axis=1)
    return result
