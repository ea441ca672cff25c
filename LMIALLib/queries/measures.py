"""Measures: from probabilities to a map of uncertainty, pixel by pixel. For a binary task, foreground probability p.

Every function takes `CaseMaps` and gives a new float32 array (n, r, c), 0 or more, finite even where p is 0 or 1. The
arithmetic is float64, one slice at a time: float32 cannot hold 1 - 1e-8, and T maps of passes are never in memory.
"Passes" are the several predictions of one slice: of stochastic passes, of members of a committee, or of views.
Formulas: Settles, Active Learning Literature Survey (2009), for least confidence, margin and entropy; Houlsby et al.,
arXiv 1112.5745, and Gal et al., arXiv 1703.02910, for mutual information (BALD).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.spots import box_smoothed

NOISE_FLOOR = 2e-6
"""Mutual information of fewer nats, made from two float32 maps, is their rounding and counts as 0, so that it cannot
rank slices. What the network made from its logits needs no such floor."""

FOREGROUND = 0.25
"""Foreground entropy counts pixels whose p is so high or higher: predicted change and what is near it."""

TARGET = 0.1
"""Selective entropy counts pixels whose p is so high or higher (the threshold in its authors' code for entropy)."""

DIFFERENCE_SAYS_CHANGE = 2.5
"""Robust spreads of the brain from which the smoothed difference of the scans counts as change. It is reached by one
slice in four and one in seven of two real pairs (open-ms), and by two thirds or more in phantoms, whose changes are
many; by each phantom slice that changes."""


@dataclass(frozen=True)
class Measure:
    """A named measure.

    Args:
        name: as in `MEASURES`.
        function: `CaseMaps` to a map (n, r, c) float32.
        word: what a reader calls the quantity, to begin a sentence with.
        needs: "passes" where several predictions are needed, of whatever kind; "members" where they must be a
            committee's.
    """

    name: str
    function: Callable[[CaseMaps], np.ndarray]
    word: str
    needs: frozenset[str] = frozenset()

    def __call__(self, maps: CaseMaps) -> np.ndarray:
        return self.function(maps)


def binary_entropy(p: np.ndarray) -> np.ndarray:
    """H(p) = -p ln p - (1-p) ln(1-p) in nats, float64, 0 to ln 2, any shape; exactly 0 where p is 0 or 1.

    No clamp: one at 1e-7 gave every sure pixel 1.7e-6 nats, so that sure slices were ranked by the area of their brain.
    """
    p = np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)
    sure = (p == 0.0) | (p == 1.0)
    p = np.where(sure, 0.5, p)
    return np.where(sure, 0.0, -p * np.log(p) - (1.0 - p) * np.log1p(-p))


def least_confidence(maps: CaseMaps) -> np.ndarray:
    """1 - max(p, 1-p): 0 where the network is sure of either class, 0.5 where both are equally likely."""
    return _by_slice(maps, lambda k: np.minimum(_double(maps.mean[k]), 1.0 - _double(maps.mean[k])))


def margin(maps: CaseMaps) -> np.ndarray:
    """1 - abs(2p-1): one minus the distance between the two class probabilities, 0 to 1.

    With two classes it is twice the least confidence, so that both put slices in the same order.
    """
    return _by_slice(maps, lambda k: 1.0 - np.abs(2.0 * _double(maps.mean[k]) - 1.0))


def entropy(maps: CaseMaps) -> np.ndarray:
    """H(p) of the (mean) probability, nats, 0 to ln 2; as the network made it from its logits, where it did."""
    return _by_slice(maps, lambda k: _entropy(maps, k))


def expected_entropy(maps: CaseMaps) -> np.ndarray:
    """(1/T) sum over passes of H(p_t), nats. Raises WrongUse where the case holds a single pass."""
    given = _of_passes(maps, "expected_entropy")
    return _by_slice(maps, lambda k: np.maximum(given[k], 0.0))


def mutual_information(maps: CaseMaps) -> np.ndarray:
    """BALD, H(mean p) - (1/T) sum over passes of H(p_t), nats; exactly 0 for equal passes, never negative.

    As the network made it at its own pixels, where it did: where slices are resampled, mean and expected entropy are
    resampled apart, and their difference is mostly that of the two resamplings.

    Raises WrongUse where the case holds a single pass.
    """
    given = _of_passes(maps, "expected_entropy")
    made = maps.mutual_information
    if made is not None:
        return _by_slice(maps, lambda k: np.maximum(made[k], 0.0))

    def of_slice(k: int) -> np.ndarray:
        gain = binary_entropy(maps.mean[k]) - _double(given[k])
        return np.where(gain > NOISE_FLOOR, gain, 0.0)

    return _by_slice(maps, of_slice)


def variance(maps: CaseMaps) -> np.ndarray:
    """Var over passes of p, summed over both classes: twice the variance of the foreground, 0 to 0.5.

    Raises WrongUse where the case holds a single pass.
    """
    given = _of_passes(maps, "variance")
    return _by_slice(maps, lambda k: 2.0 * np.maximum(_double(given[k]), 0.0))


def vote_entropy(maps: CaseMaps) -> np.ndarray:
    """Entropy of a committee's hard votes, nats, 0 to ln 2 (Dagan and Engelson, ICML 1995).

    Raises WrongUse where the case holds no committee.
    """
    given = _of_passes(maps, "vote_entropy")
    return _by_slice(maps, lambda k: np.maximum(given[k], 0.0))


def change_entropy(maps: CaseMaps) -> np.ndarray:
    """p H(p): the entropy as far as the pixel is change, nats (nnActive's class-stratified entropy)."""
    return _by_slice(maps, lambda k: _double(maps.mean[k]) * _entropy(maps, k))


def foreground_entropy(maps: CaseMaps) -> np.ndarray:
    """H(p) where p is `FOREGROUND` or more, else 0; nats."""
    return _by_slice(maps, lambda k: np.where(maps.mean[k] >= FOREGROUND, _entropy(maps, k), 0.0))


def selective_entropy(maps: CaseMaps) -> np.ndarray:
    """H(p) where p is `TARGET` or more, else 0; nats (Ma et al., arXiv 2401.16298)."""
    return _by_slice(maps, lambda k: np.where(maps.mean[k] >= TARGET, _entropy(maps, k), 0.0))


def predicted_change(maps: CaseMaps) -> np.ndarray:
    """1 where p is 0.5 or more, else 0."""
    return _by_slice(maps, lambda k: maps.mean[k] >= 0.5)


def visible_difference(maps: CaseMaps) -> np.ndarray:
    """1 where the difference, box-smoothed inside the brain, is `DIFFERENCE_SAYS_CHANGE` or more either way, else 0."""

    def of_slice(k: int) -> np.ndarray:
        smooth = box_smoothed(np.where(maps.mask[k], maps.difference[k], 0.0))
        return np.abs(smooth) >= DIFFERENCE_SAYS_CHANGE

    return _by_slice(maps, of_slice)


def _entropy(maps: CaseMaps, k: int) -> np.ndarray:
    """The entropy of the mean in slice k, float64 (r, c)."""
    return binary_entropy(maps.mean[k]) if maps.entropy is None else _double(maps.entropy[k])


def _double(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def _by_slice(maps: CaseMaps, of_slice: Callable[[int], np.ndarray]) -> np.ndarray:
    """A float32 stack filled one slice at a time; slices without brain stay 0."""
    result = np.zeros(maps.mean.shape, dtype=np.float32)
    for k in range(maps.n_slices):
        if maps.mask[k].any():
            result[k] = of_slice(k)
    return result


def _of_passes(maps: CaseMaps, name: str) -> np.ndarray:
    """An array that only several predictions give. Raises WrongUse where it is missing."""
    array = getattr(maps, name)
    if array is None:
        raise WrongUse(
            f"The {name.replace('_', ' ')} of case {maps.case} is missing.",
            "This measure needs a prediction with several stochastic passes, members or views.",
        )
    return array


_PASSES = frozenset({"passes"})

MEASURES = MappingProxyType(
    {
        measure.name: measure
        for measure in (
            Measure("least-confidence", least_confidence, "Uncertainty"),
            Measure("margin", margin, "Uncertainty"),
            Measure("entropy", entropy, "Uncertainty"),
            Measure("expected-entropy", expected_entropy, "Uncertainty within passes", _PASSES),
            Measure("mutual-information", mutual_information, "Disagreement between passes", _PASSES),
            Measure("variance", variance, "Variance between passes", _PASSES),
            Measure("vote-entropy", vote_entropy, "Disagreement of votes", frozenset({"members"})),
            Measure("change-entropy", change_entropy, "Uncertainty of change"),
            Measure("foreground-entropy", foreground_entropy, "Uncertainty in and near predicted change"),
            Measure("selective-entropy", selective_entropy, "Uncertainty in and around predicted change"),
            Measure("predicted-change", predicted_change, "Predicted change"),
            Measure("visible-difference", visible_difference, "Visible difference"),
        )
    }
)
"""Every measure by its name; cannot be changed, so that no name quietly changes its meaning."""
