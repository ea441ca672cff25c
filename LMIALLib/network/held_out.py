"""A model judged on read slices that it did not learn from: whether learning helps, and where the reader draws the line
between change and no change (two-fold, honest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.metrics.voxels import dice
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.example_metrics import slice_probability
from LMIALLib.network.finetuning_batches import Example

FOLDS = 2
DOUBT = 30.0
"""How many pixels' worth of doubt a shift must overcome: precision of the normal prior on it, mean 0."""
COST = 0.005
"""Dice that a shift by 1 must gain."""
SHIFTS = np.linspace(-3.0, 3.0, 61)
SMOOTHED = 0.4
"""Standard deviation, in units of the logit, by which Dice is smoothed over shifts before the best is taken."""


@dataclass(frozen=True)
class _Half:
    """The read pixels of slices, each (n,): what the old model calls change, the new one's logits, what was marked."""

    called_before: np.ndarray
    logits: np.ndarray
    marked: np.ndarray


class HeldOut:
    """Read slices, each judged by a model that did not learn from it, and by the old model."""

    def __init__(self) -> None:
        self.halves: list[_Half] = []

    def add(self, old: ChangeNetwork, new: ChangeNetwork, examples: Sequence[Example]) -> None:
        """Judge both models on slices that ``new`` did not learn from."""
        before, after = (
            np.concatenate([slice_probability(network, example)[example.read] for example in examples])
            for network in (old, new)
        )
        after = np.clip(after.astype(np.float64), 1e-6, 1 - 1e-6)
        marked = np.concatenate([example.target[example.read] == 1 for example in examples])
        self.halves.append(_Half(before >= 0.5, np.log(after / (1 - after)), marked))

    def shift(self) -> float:
        """What to add to the new model's logits, see `agreed_shift`; 0 unless each half gains by the other's estimate.

        Judged together: Dice over all pixels must be higher with the other half's shift than without. A half in which
        nothing was marked can only say that less is better, so then there is no shift.
        """
        if not self._crossed() > self._unshifted():
            return 0.0
        logits, marked = (np.concatenate([getattr(h, name) for h in self.halves]) for name in ("logits", "marked"))
        return agreed_shift(logits, marked)

    def dice(self) -> tuple[float, float] | None:
        """Pooled Dice before and after, each half shifted by the other's estimate where shifting helps at all.

        Where nothing was marked 1 for nothing called and less the more was called. None where nothing was marked and
        nothing called by either: there is nothing to compare.
        """
        if not self.halves:
            return None
        marked = np.concatenate([half.marked for half in self.halves])
        before = np.concatenate([half.called_before for half in self.halves])
        after = np.concatenate([half.logits >= 0 for half in self.halves])
        if not marked.any():
            if not before.any() and not after.any():
                return None
            return 1 / (1 + int(before.sum())), 1 / (1 + int(after.sum()))
        return dice(before, marked, empty=1.0), max(self._unshifted(), self._crossed())

    def _unshifted(self) -> float:
        """Dice of the new models as they are; 0 without any."""
        return self._dice([0.0] * len(self.halves)) if self.halves else 0.0

    def _crossed(self) -> float:
        """Dice with each half shifted by the other half's estimate; unshifted where a half has no estimate."""
        if not self.halves or not all(half.marked.any() for half in self.halves):
            return self._unshifted()
        return self._dice([agreed_shift(half.logits, half.marked) for half in reversed(self.halves)])

    def _dice(self, shifts: Sequence[float]) -> float:
        """Pooled Dice of the new models after a shift for each half."""
        called = [half.logits + shift >= 0 for half, shift in zip(self.halves, shifts, strict=True)]
        marked = np.concatenate([half.marked for half in self.halves])
        return dice(np.concatenate(called), marked, empty=1.0)


def agreed_shift(logits: np.ndarray, marked: np.ndarray) -> float:
    """What to add to logits so that 0.5 lies where a reader draws the line: the smaller of two estimates, or 0.

    One makes the probabilities likely (Platt 1999 with the slope held at 1, and a prior of `DOUBT`), the other makes
    Dice high (smoothed, less `COST` for the square of the shift); with opposite signs they say nothing.

    Args:
        logits: (n,) float, of a model that did not learn from these pixels.
        marked: (n,) bool, what the reader called change; with none the answer is 0.

    Returns a value in [-3, 3].
    """
    if not marked.any():
        return 0.0
    likely, overlapping = _likely_shift(logits, marked), _overlapping_shift(logits, marked)
    return min(likely, overlapping, key=abs) if likely * overlapping > 0 else 0.0


def _likely_shift(logits: np.ndarray, marked: np.ndarray) -> float:
    """The shift of highest posterior probability, by damped Newton steps on the cross-entropy."""
    shift = 0.0
    for _ in range(25):
        probability = 1 / (1 + np.exp(-(logits + shift)))
        slope = float((probability - marked).sum()) + DOUBT * shift
        shift -= float(np.clip(slope / (float((probability * (1 - probability)).sum()) + DOUBT), -0.5, 0.5))
    return float(np.clip(shift, SHIFTS[0], SHIFTS[-1]))


def _overlapping_shift(logits: np.ndarray, marked: np.ndarray) -> float:
    """The shift of highest Dice, less its cost."""
    from scipy.ndimage import gaussian_filter1d

    called, hit = (len(v) - np.searchsorted(np.sort(v), -SHIFTS) for v in (logits, logits[marked]))
    dice = 2 * hit / (called + marked.sum())
    smooth = gaussian_filter1d(dice, SMOOTHED / (SHIFTS[1] - SHIFTS[0]), mode="nearest")
    return float(SHIFTS[np.argmax(smooth - COST * SHIFTS**2)])


def folds(examples: Sequence[Example]) -> list[tuple[list[Example], list[Example]]]:
    """(learned from, held out) twice; slices with much change are dealt out first, so that both halves have some.

    Empty for fewer than three slices: half of two is one, and says nothing.
    """
    if len(examples) < 3:
        return []
    amount = np.array([int((example.target == 1).sum()) for example in examples])
    dealt = np.argsort(-amount, kind="stable")
    halves = [[examples[i] for i in dealt[part::FOLDS]] for part in range(FOLDS)]
    return [(halves[1 - part], halves[part]) for part in range(FOLDS)]
