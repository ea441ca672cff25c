"""Means over seeds with their intervals, paired comparisons and their corrections. Seeds are repeats, not patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

LEVEL = 0.95
"""Of every interval."""
SEEDS_FOR_P = 8
"""With fewer seeds no p value is given: a screening looks, it does not test."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval; the bounds are NaN for one seed, all three without any.

    Args:
        mean, low, high: in the units of the values.
        seeds: how many values there were.
    """

    mean: float
    low: float
    high: float
    seeds: int


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean and 95 % interval by Student's t, mean +- t(n - 1) s / sqrt(n).

    Not a bootstrap: over four seeds a bootstrap's interval is far too narrow. Values that are not finite are left out.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size < 2:
        mean = float(known[0]) if known.size else float("nan")
        return Interval(mean, float("nan"), float("nan"), int(known.size))
    mean = float(known.mean())
    reach = _t_quantile(int(known.size)) * float(known.std(ddof=1)) / float(np.sqrt(known.size))
    return Interval(mean, mean - reach, mean + reach, int(known.size))


@cache
def _t_quantile(seeds: int) -> float:
    """Of Student's t, for an interval over so many values."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, seeds - 1))


@dataclass(frozen=True)
class Comparison:
    """One strategy against another on the same seeds.

    Args:
        first, second: names of the strategies.
        effect: of first minus second, paired by seed.
        p: of the paired t-test, two-sided; None with fewer than 8 seeds.
        p_holm: p after Holm's correction over all comparisons that were not planned; None where it was, or p is None.
        planned: whether it is the one comparison named beforehand.
    """

    first: str
    second: str
    effect: Interval
    p: float | None
    p_holm: float | None = None
    planned: bool = False

    @property
    def tied(self) -> bool:
        """Whether no difference is shown: the interval contains 0, or the corrected p is 0.05 or more.

        Also with one seed, which shows nothing.
        """
        if not (self.effect.low > 0 or self.effect.high < 0):
            return True
        return self.p_holm is not None and self.p_holm >= 1 - LEVEL

    @property
    def verdict(self) -> str:
        """In words: better, worse, a tie, or why neither can be shown."""
        if self.effect.seeds < 2:
            return "unknown" if self.effect.seeds == 0 else "unknown with one seed"
        if self.tied:
            separated = self.effect.low > 0 or self.effect.high < 0
            return "a tie after Holm's correction" if separated else "a tie"
        return "better" if self.effect.mean > 0 else "worse"


def compared(
    first: str, second: str, values: Mapping[str, Mapping[int, float]], *, planned: bool = False
) -> Comparison:
    """Compare two strategies on the seeds that both have.

    Args:
        values: strategy to seed to the value that is compared; higher is better.
    """
    from scipy.stats import ttest_1samp

    differences = _differences(first, second, values)
    p = None
    if differences.size >= SEEDS_FOR_P:
        p = float(ttest_1samp(differences, 0.0).pvalue) if np.ptp(differences) > 0 else float(not differences.any())
    return Comparison(first, second, interval(differences), p, planned=planned)


def _differences(first: str, second: str, values: Mapping[str, Mapping[int, float]]) -> np.ndarray:
    """First minus second on the seeds that both have and whose values are known, (seeds,) float64."""
    ours, theirs = values.get(first, {}), values.get(second, {})
    found = np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())], dtype=np.float64)
    return found[np.isfinite(found)]


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p, each the largest (m - k) p_(k) up to its place, at most 1, k from 0.

    Holm, Scandinavian Journal of Statistics 6, 1979. In the order given.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def mean_ranks(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Mean rank of each strategy over the seeds that all of them have; 1 is best, equal values share their mean rank.

    Args:
        values: strategy to seed to a value; higher is better.

    Returns NaN for all where they share no seed.
    """
    from scipy.stats import rankdata

    if not values:
        return {}
    seeds = sorted(set.intersection(*(set(of_seed) for of_seed in values.values())))
    if not seeds:
        return dict.fromkeys(values, float("nan"))
    table = np.array([[of_seed[seed] for seed in seeds] for of_seed in values.values()])
    ranks = rankdata(-table, axis=0, method="average").mean(axis=1)
    return {name: float(rank) for name, rank in zip(values, ranks, strict=True)}


def penalty_matrix(rounds: Sequence[Mapping[str, Mapping[int, float]]], names: Sequence[str]) -> np.ndarray:
    """Pairwise penalty matrix: the share of rounds in which strategy i beats strategy j, (strategies, strategies).

    It beats it in a round where the mean difference over the seeds that both have is positive and its 95 % interval
    (paired, Student's t, no correction) lies above 0; two seeds at least. Rounds in which every seed has one value for
    all strategies (before the first query) do not count. After Ash et al. (BADGE), ICLR 2020, p. 8, and nnActive, TMLR
    2025. Row means say how often a strategy beats the others, column means how often it is beaten.

    Args:
        rounds: for each round, strategy to seed to Dice.
        names: the order of rows and columns.
    """
    counting = [values for values in rounds if _differ(values)]
    matrix = np.zeros((len(names), len(names)))
    for values in counting:
        for (i, first), (j, second) in combinations(enumerate(names), 2):
            effect = interval(_differences(first, second, values))
            matrix[i, j] += effect.low > 0
            matrix[j, i] += effect.high < 0
    return matrix / max(len(counting), 1)


def _differ(values: Mapping[str, Mapping[int, float]]) -> bool:
    """Whether any seed has two values."""
    seeds: dict[int, set[float]] = {}
    for of_seed in values.values():
        for seed, value in of_seed.items():
            seeds.setdefault(seed, set()).add(value)
    return any(len(found) > 1 for found in seeds.values())
