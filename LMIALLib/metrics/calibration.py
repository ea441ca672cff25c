"""Whether a probability means what it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15
SURELY_UNCHANGED = 0.01
"""Voxels with a probability no higher are not counted: they are nearly all of a brain."""


@dataclass(frozen=True)
class Reliability:
    """A reliability table: bins of equal width over [0, 1], the last one closed.

    Args:
        count: (n,) int, voxels in a bin.
        expected: (n,) float, mean probability of the bin's voxels; NaN where there are none.
        seen: (n,) float, share of them that changed; NaN where there are none.
    """

    count: np.ndarray
    expected: np.ndarray
    seen: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, sum over bins of (count / all) |seen - expected|, in [0, 1]; NaN without voxels.

        Naeini et al., AAAI 2015; Guo et al., arXiv 1706.04599.
        """
        if not self.count.any():
            return float("nan")
        return float(np.nansum(self.count * np.abs(self.seen - self.expected)) / self.count.sum())


def reliability(probability: np.ndarray, true: np.ndarray, bins: int = BINS) -> Reliability:
    """The reliability table of brain voxels with a probability over 0.01.

    Voxels are chosen by their probability alone. Were they chosen by what happened as well, the first bin would hold
    changed voxels only, and a network that is right in saying 0.3 % would be 0.997 wrong. Change that was missed
    altogether is no matter of calibration: sensitivity and Dice show it.

    Args:
        probability: float in [0, 1], the brain's voxels, any shape.
        true: bool, same shape.
    """
    counted = probability > SURELY_UNCHANGED
    values, changed = probability[counted].astype(np.float64), true[counted]
    place = np.minimum((values * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        expected, seen = (np.bincount(place, weights, minlength=bins) / count for weights in (values, changed))
    return Reliability(count, expected, seen)
