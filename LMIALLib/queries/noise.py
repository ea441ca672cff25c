"""Noise: how aggregated scores are perturbed, so that the slices of a batch are not all of one kind.

All noise is Gumbel-distributed and made from the seeded uniform numbers that each slice has by its case's name and its
number, so that it is reproducible and does not depend on the order or the rest of the pool; once more slices are
answered it is drawn anew. Taking the highest of
(ln s + Gumbel(0, 1/beta)) one after another draws without replacement with chances in proportion to s ** beta
(Kirsch et al., Stochastic Batch Acquisition, arXiv 2106.12059).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NOTHING = -1000.0
"""Stands for ln 0: lower than the logarithm of any number with any noise, and still finite."""

LARGEST_BETA = 100.0
"""Where ClaSP's schedule ends, in the last round of the budget; it begins at 1 in the first."""


@dataclass(frozen=True)
class Noise:
    """A named perturbation of scores.

    Args:
        name: for records.
        function: (score (N,) float64 0 or more, chance (N,) in [0, 1), progress in [0, 1], 0 in the first round of
            the budget and 1 in its last) to (N,) float64, finite.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray, float], np.ndarray]

    def __call__(self, score: np.ndarray, chance: np.ndarray, progress: float) -> np.ndarray:
        return self.function(score, chance, progress)


def gumbel(chance: np.ndarray) -> np.ndarray:
    """Gumbel(0, 1) numbers -ln(-ln u), finite, from uniform u in [0, 1)."""
    u = np.clip(chance, np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg)
    return -np.log(-np.log(u))


def power(score: np.ndarray, chance: np.ndarray, beta: float) -> np.ndarray:
    """ln s + Gumbel(0, 1/beta) (PowerBALD, arXiv 2106.12059); scores of 0 come after all others, by chance."""
    known = np.log(np.maximum(score, np.finfo(float).smallest_subnormal))
    return np.where(score > 0, known, NOTHING) + gumbel(chance) / beta


def soft_rank(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """-ln rank + Gumbel(0, 1) (SoftRankBALD, arXiv 2106.12059); rank 1 is the highest, equal scores share the mean."""
    _, place, count = np.unique(-score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return -np.log((last - (count - 1) / 2.0)[place.reshape(-1)]) + gumbel(chance)


def beta_at(progress: float) -> float:
    """ClaSP's schedule 100 ** (k / (K - 1)) in round k of 0 to K - 1: much noise at first, hardly any at last.

    Args:
        progress: k / (K - 1), 0 in the first round that is chosen and 1 in the last.
    """
    return float(LARGEST_BETA**progress)


power_one = Noise("power, beta 1", lambda score, chance, progress: power(score, chance, 1.0))
"""PowerBALD with its default beta."""

power_growing = Noise("power, beta 1 to 100", lambda score, chance, progress: power(score, chance, beta_at(progress)))
"""ClaSP (arXiv 2601.13677)."""

soft_ranks = Noise("soft rank", lambda score, chance, progress: soft_rank(score, chance))
"""SoftRankBALD."""
