"""Whether learning from a reader helps on slices of the same reader that were not learned from (two-fold, honest)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.fit import slice_probability
from LMIALLib.network.lessons import Example

FOLDS = 2


@dataclass
class HeldOut:
    """Voxel counts on read slices, each judged by a model that did not learn from it, and by the old model."""

    true: int = 0
    before: int = 0
    before_overlap: int = 0
    after: int = 0
    after_overlap: int = 0

    def add(self, old: ChangeNetwork, new: ChangeNetwork, examples: Sequence[Example]) -> None:
        """Judge both models on slices that ``new`` did not learn from."""
        for example in examples:
            marked = example.target[example.read] == 1
            called = [slice_probability(network, example)[example.read] >= 0.5 for network in (old, new)]
            self.true += int(marked.sum())
            self.before += int(called[0].sum())
            self.before_overlap += int((called[0] & marked).sum())
            self.after += int(called[1].sum())
            self.after_overlap += int((called[1] & marked).sum())

    def dice(self) -> tuple[float, float] | None:
        """Pooled Dice before and after; where nothing was marked, 1 for nothing called and less the more was called.

        None where nothing was marked and nothing called by either: there is nothing to compare.
        """
        if self.true + self.before + self.after == 0:
            return None
        if self.true == 0:
            return 1 / (1 + self.before), 1 / (1 + self.after)
        before = 2 * self.before_overlap / max(self.true + self.before, 1)
        return before, 2 * self.after_overlap / max(self.true + self.after, 1)


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
