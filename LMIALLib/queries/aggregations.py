"""Aggregations: from a map of uncertainty to one number a slice, inside the brain region only.

An aggregation first weights the map (by nothing, or by how much the two scans differ), then reduces it. The weighted
map is what a reader is shown: `Aggregation.weighted` gives the very array that `Aggregation.reduce` adds up. A few take
their number from elsewhere (`Aggregation.of_map` is False), and the map is shown for orientation only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.queries import reason_words
from LMIALLib.queries.measures import TARGET
from LMIALLib.queries.pool import CaseMaps

LARGEST_DIFFERENCE = 5.0
"""Differences, in robust spreads of the brain, weigh 1 from here on: motion and vessels weigh no more than lesions."""

TOP_PIXELS = 100
"""How many pixels `top_mean` averages: about 50 mm2 at 0.7 mm, the size of one small lesion."""

NEAR_HALF = 0.1
"""`boundary_mean` averages pixels whose p is at most so far from 1/2, as its authors' code does for entropy."""


@dataclass(frozen=True)
class Aggregation:
    """A named aggregation.

    Args:
        name: as in `AGGREGATIONS`.
        by_difference: whether the map is weighted by the difference of the scans.
        reduction: (weighted map, CaseMaps) to (n,) float64.
        needs: what of a case it reads beyond maps: "expected-dice", "loss-prediction", "discriminator", "seconds".
        of_map: whether the number is made from the map.
        words: from a slice's terms to words for a reader, on what the map does not show.
    """

    name: str
    by_difference: bool
    reduction: Callable[[np.ndarray, CaseMaps], np.ndarray]
    needs: frozenset[str] = frozenset()
    of_map: bool = True
    words: Callable[[Mapping[str, float]], str] | None = None

    def weighted(self, measured: np.ndarray, maps: CaseMaps) -> np.ndarray:
        """The map that is added up, new float32 (n, r, c), 0 outside the brain region."""
        weighted = np.zeros(measured.shape, dtype=np.float32)
        for k in range(maps.n_slices):
            weight = difference_weight(maps.difference[k]) if self.by_difference else 1.0
            weighted[k] = np.where(maps.mask[k], measured[k] * weight, 0.0)
        return weighted

    def reduce(self, weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
        """One number a slice, (n,) float64, from what `weighted` gave."""
        return self.reduction(weighted, maps)

    def __call__(self, measured: np.ndarray, maps: CaseMaps) -> np.ndarray:
        """One number a slice, (n,) float64, from a measure's map (n, r, c)."""
        return self.reduce(self.weighted(measured, maps), maps)


def difference_weight(difference: np.ndarray) -> np.ndarray:
    """w = min(abs(difference) / `LARGEST_DIFFERENCE`, 1), float64 in [0, 1], any shape.

    LMI-AL (arXiv 2511.18007) divides 8-bit difference maps by 255, which likewise gives 0 to 1 with a ceiling.
    """
    return np.minimum(np.abs(np.asarray(difference, dtype=np.float64)) / LARGEST_DIFFERENCE, 1.0)


def brain_pixels(maps: CaseMaps) -> np.ndarray:
    """Number of pixels of the brain region in each slice, (n,) float64."""
    return maps.mask.sum(axis=(1, 2)).astype(np.float64)


def difference_mass(maps: CaseMaps) -> np.ndarray:
    """Sum of the difference weights over the brain region of each slice, (n,) float64."""
    return np.array([difference_weight(d)[m].sum() for d, m in zip(maps.difference, maps.mask, strict=True)])


def _total(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Sum over the brain region."""
    return np.array([part[inside].sum(dtype=np.float64) for part, inside in zip(weighted, maps.mask, strict=True)])


def _mean_in_brain(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Mean over the brain region; 0 where there is none. Air and field of view do not enter."""
    return _total(weighted, maps) / np.maximum(brain_pixels(maps), 1.0)


def _top_mean(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Mean of the `TOP_PIXELS` highest values in the brain region, or of all where there are fewer; 0 without any."""
    result = np.zeros(maps.n_slices)
    for k, inside in enumerate(maps.mask):
        values = weighted[k][inside]
        if values.size > TOP_PIXELS:
            values = np.partition(values, -TOP_PIXELS)[-TOP_PIXELS:]
        if values.size:
            result[k] = values.mean(dtype=np.float64)
    return result


def _target_mean(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Mean over pixels of the brain with p of `TARGET` or more, 0 without any."""
    return _mean_where(weighted, [inside & (p >= TARGET) for p, inside in zip(maps.mean, maps.mask, strict=True)])


def _boundary_mean(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Mean over pixels of the brain with p at most `NEAR_HALF` from 1/2, 0 without any."""
    near = [inside & (np.abs(p - 0.5) <= NEAR_HALF) for p, inside in zip(maps.mean, maps.mask, strict=True)]
    return _mean_where(weighted, near)


def _mean_where(weighted: np.ndarray, chosen: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of each slice over the pixels chosen in it, 0 without any."""
    values = [part[where] for part, where in zip(weighted, chosen, strict=True)]
    return np.array([one.mean(dtype=np.float64) if one.size else 0.0 for one in values])


def _weighted_mean(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Sum of w H divided by the sum of w, so that bright or moved slices do not win by weight alone.

    The divisor is at least the case's median sum of weights. A mean over few pixels is high by chance alone, and the
    first and last slices of the brain have few: with a smaller least divisor they were asked for before slices with
    many times their expected error. A case without any difference gets 0 throughout.
    """
    mass = difference_mass(maps)
    if not mass.any():
        return np.zeros(maps.n_slices)
    return _total(weighted, maps) / np.maximum(mass, float(np.median(mass[mass > 0])))


def _weighted_total_per_second(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """Sum of w H divided by the seconds that reading the slice is predicted to take."""
    return _total(weighted, maps) / given(maps, "seconds")


def _unlike_passes(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """1 minus the expected Dice, so that the lowest expected Dice comes first."""
    return 1.0 - given(maps, "expected_dice")


def _learned(weighted: np.ndarray, maps: CaseMaps) -> np.ndarray:
    """What a learned scorer says."""
    return given(maps, "learned")


def given(maps: CaseMaps, name: str) -> np.ndarray:
    """Numbers a slice that came with the case, new float64 (n,). Raises WrongUse where they are missing."""
    array = getattr(maps, name)
    if array is None:
        raise WrongUse(
            f"The {name.replace('_', ' ')} of case {maps.case} is missing.", "This strategy needs it for every case."
        )
    return np.array(array, dtype=np.float64)


total = Aggregation("total", False, _total)
"""Sum of the measure over the brain region."""

mean_in_brain = Aggregation("mean-in-brain", False, _mean_in_brain)
"""Mean of the measure over the brain region."""

top_mean = Aggregation("top-mean", False, _top_mean)
"""Mean of the highest values, so that one small lesion is not diluted by a large sure brain."""

target_mean = Aggregation("target-mean", False, _target_mean)
"""Mean over pixels that may be change."""

boundary_mean = Aggregation("boundary-mean", False, _boundary_mean)
"""Mean over pixels near the border of predicted change."""

weighted_total = Aggregation("weighted-total", True, _total)
"""S = sum of w H: difference-weighted, LMI-AL (arXiv 2511.18007)."""

weighted_mean = Aggregation("weighted-mean", True, _weighted_mean)
"""S / sum of w: difference-weighted and normalised."""

weighted_total_per_second = Aggregation(
    "weighted-total-per-second",
    True,
    _weighted_total_per_second,
    needs=frozenset({"seconds"}),
    words=reason_words.seconds,
)
"""S / predicted seconds: what a second of reading brings."""

expected_dice = Aggregation(
    "expected-dice",
    False,
    _unlike_passes,
    needs=frozenset({"expected-dice"}),
    of_map=False,
    words=reason_words.expected_dice,
)
"""1 - expected Dice of the passes with their mean."""

predicted_loss = Aggregation(
    "predicted-loss",
    False,
    _learned,
    needs=frozenset({"loss-prediction"}),
    of_map=False,
    words=reason_words.predicted_loss,
)
"""The loss that a head trained for it predicts."""

unlabelled_probability = Aggregation(
    "unlabelled-probability",
    False,
    _learned,
    needs=frozenset({"discriminator"}),
    of_map=False,
    words=reason_words.unlike,
)
"""How sure a discriminator is that the slice is not among the labelled ones."""

AGGREGATIONS = MappingProxyType(
    {
        aggregation.name: aggregation
        for aggregation in (
            total,
            mean_in_brain,
            top_mean,
            target_mean,
            boundary_mean,
            weighted_total,
            weighted_mean,
            weighted_total_per_second,
            expected_dice,
            predicted_loss,
            unlabelled_probability,
        )
    }
)
"""Every aggregation by its name; cannot be changed."""
