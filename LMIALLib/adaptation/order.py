"""The finish order: which unread slice brings the delivered label most, under the adapted maps.

Terms of a slice, all in voxels:

* ``expected_error``: sum of min(p, 1 - p) over the candidates: voxels that the delivered label probably has wrong.
* ``expected_gain``: the same voxels, each by what its correction brings to the Dice coefficient. At a Dice of D, one
  missed voxel found is worth 2 - D and one false voxel taken out is worth D, in units of one voxel over the sum of both
  volumes.
* ``nearby``: factor of more or fewer wrong voxels than expected on the slices that were read nearby.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.found import Found
from LMIALLib.adaptation.head import AdaptedMaps

NEARBY_MM = 9.0
"""Standard deviation of the Gaussian over the distance of slices that were read."""

NEARBY_DOUBT = 40.0
"""Expected wrong voxels that stand for no news: the factor moves only as far as the answers outweigh them."""

FINISH_STRATEGIES = ("expected-gain", "expected-error", "expected-gain-nearby", "expected-error-nearby")
"""Strategies of the purpose "finish", the default first."""


@dataclass(frozen=True)
class FinishScores:
    """Score of every slice and what it is made of.

    Args:
        score: float64 (slices,), higher is asked earlier; 0 for slices that were read.
        terms: float64 (slices,) each, see above.
        strategy: by which the score was made.
    """

    score: np.ndarray
    terms: dict[str, np.ndarray]
    strategy: str

    def next_slice(self, eligible: np.ndarray, read: Collection[int], skipped: Collection[int] = ()) -> int | None:
        """The slice to ask for, 0-based; skipped ones last; the lower number of equals; None where all were read.

        Args:
            eligible: bool (slices,), see `queries.pool.eligible_slices`.
            read: slices that were read.
            skipped: slices that were skipped.
        """
        free = np.array(eligible, dtype=bool)
        free[list(read)] = False
        first = free.copy()
        first[list(skipped)] = False
        left = np.flatnonzero(first if first.any() else free)
        return int(left[np.argmax(self.score[left])]) if left.size else None


def finish_scores(
    features: Features,
    maps: AdaptedMaps,
    found: Sequence[Found] = (),
    *,
    read: Collection[int] = (),
    strategy: str = FINISH_STRATEGIES[0],
    threshold: float = 0.5,
) -> FinishScores:
    """Score every slice by what reading it is expected to bring to the delivered label.

    Args:
        features: of the case.
        maps: adapted maps as they are now.
        found: what earlier answers found, each judged with the map before it, see `found.judged`.
        read: slices that were read.
        strategy: one of `FINISH_STRATEGIES`.
        threshold: of the delivered label.

    Raises ValueError for another strategy.
    """
    if strategy not in FINISH_STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; expected one of {', '.join(FINISH_STRATEGIES)}")
    p = maps.probability.ravel()[features.voxels].astype(np.float64)
    marked = p >= threshold
    error = np.where(marked, 1.0 - p, p)
    sizes = p[marked].sum(), marked.sum() + p.sum()
    dice = 2.0 * sizes[0] / sizes[1] if sizes[1] > 0 else 0.0
    gain = np.where(marked, (1.0 - p) * dice, p * (2.0 - dice))
    terms = {
        "expected_error": _by_slice(features, error),
        "expected_gain": _by_slice(features, gain),
        "nearby": nearby(found, features.inputs.n_slices, features.inputs.spacing[0]),
    }
    score = terms["expected_gain" if strategy.startswith("expected-gain") else "expected_error"].copy()
    if strategy.endswith("nearby"):
        score *= terms["nearby"]
    score[list(read)] = 0.0
    return FinishScores(score, terms, strategy)


def nearby(found: Sequence[Found], slices: int, spacing_mm: float) -> np.ndarray:
    """Factor of each slice, float64 (slices,): wrong voxels found nearby over those expected there, 1 without any.

    Both sums are weighted by a Gaussian over the distance, and begin with `NEARBY_DOUBT`, so that one slice with a few
    voxels more or less moves little. A factor keeps the order among slices of one neighbourhood, and cannot lift a
    slice of which nothing is expected over one of which much is.
    """
    numbers = np.arange(slices)
    wrong = np.full(slices, NEARBY_DOUBT)
    expected = np.full(slices, NEARBY_DOUBT)
    for one in found:
        weight = np.exp(-0.5 * ((numbers - one.number) * spacing_mm / NEARBY_MM) ** 2)
        wrong += weight * one.wrong
        expected += weight * one.expected
    return wrong / expected


def _by_slice(features: Features, values: np.ndarray) -> np.ndarray:
    """Sums over the candidates of each slice, float64 (slices,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[features.starts[1:]] - total[features.starts[:-1]]
