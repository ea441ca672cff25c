"""What slices that nobody read add to a training of the laboratory: pseudo-labels, or a mean teacher.

Either is one more part of the loss, on crops of unread slices beside the same crops of labelled ones; the number of
optimiser steps stays. An opinion never counts as a label: it is weighted, and only by what the model itself is sure of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.network.architecture import ChangeNetwork

if TYPE_CHECKING:
    from LMIALLib.network.lab_training import Slices

SLICES_AT_ONCE = 32


@dataclass(frozen=True)
class Companion:
    """How unread slices take part.

    Args:
        kind: "pseudo" or "mean-teacher".
        crops: crops of unread slices in a step, beside the labelled ones.
        weight: of this part of the loss, once it has risen; see `share`.
        begin: share of the steps before it begins; pseudo-labels are given then, by what was learned so far.
        rise: share of the steps in which its weight rises.
        noise: standard deviation of what is added to both visits as the student sees them, robust spreads.
    """

    kind: str
    crops: int = 8
    weight: float = 1.0
    begin: float = 0.0
    rise: float = 0.4
    noise: float = 0.1

    def share(self, step: int, steps: int) -> float:
        """Share of the weight at a step, exp(-5 (1 - t)^2) with t from 0 to 1 while it rises (Tarvainen and Valpola,
        arXiv 1703.01780, after Laine and Aila, arXiv 1610.02242); 0 before it begins."""
        done = step / steps - self.begin
        return 0.0 if done < 0 else float(np.exp(-5.0 * (1.0 - min(1.0, done / self.rise)) ** 2))


COMPANIONS = {
    "pseudo": Companion("pseudo", weight=0.2, begin=0.5, rise=0.2, noise=0.0),
    "mean-teacher": Companion("mean-teacher", weight=5.0),
}


def pseudo_label_loss(logits: Tensor, probability: Tensor, brain: Tensor) -> Tensor:
    """Cross-entropy (times 5) and soft Dice (times 0.5) against a teacher's hard opinion, weighted by its confidence.

    A pixel counts as much as the margin |2p - 1| between both classes says; all (n, 1, rows, columns), the probability
    in [0, 1], brain bool. Pseudo-labels: Lee, "Pseudo-Label", ICML workshop 2013; both parts as in ``losses``.
    """
    target = (probability > 0.5).float()
    sure = (2.0 * probability - 1.0).abs() * brain
    cross = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    found = torch.sigmoid(logits)
    overlap = 2.0 * (sure * found * target).sum() + 1e-5
    dice = 1.0 - overlap / ((sure * found).sum() + (sure * target).sum() + 1e-5)
    return 5.0 * (cross * sure).sum() / brain.sum().clamp(min=1) + 0.5 * dice


def consistency_loss(logits: Tensor, probability: Tensor, brain: Tensor) -> Tensor:
    """Mean squared difference between both probabilities of change over brain (arXiv 1703.01780, section 2)."""
    return ((torch.sigmoid(logits) - probability).square() * brain).sum() / brain.sum().clamp(min=1)


@dataclass(frozen=True)
class UnreadLesson:
    """Crops of unread slices for one step: network input (n, 9, crop, crop), the teacher's probability and brain
    (n, 1, crop, crop), and how much this part of the loss counts."""

    inputs: Tensor
    probability: Tensor
    brain: Tensor
    kind: str
    weight: float

    def loss(self, logits: Tensor) -> Tensor:
        """What it adds to the loss of a step."""
        part = pseudo_label_loss if self.kind == "pseudo" else consistency_loss
        return self.weight * part(logits, self.probability, self.brain)


class UnreadSlices:
    """Crops of the slices that nobody read, and what the teacher thinks of them.

    Args:
        slices: of the pool.
        places: which of them were not read; with brain.
        companion: see there.
        crop: rows and columns of a crop.
        seed: of crops, flips and noise; a stream of its own, so that labelled crops are drawn as without a companion.
    """

    def __init__(
        self, slices: Slices, places: Sequence[int], companion: Companion, crop: int, seed: Sequence[int]
    ) -> None:
        self.slices, self.companion, self.crop = slices, companion, crop
        self.places = [place for place in places if slices.brain[place].any()]
        self.random = np.random.default_rng([*seed, 0x756E7265])
        self.opinions: Tensor | None = None
        self.change_at: dict[int, np.ndarray] = {}

    def lesson(self, step: int, steps: int, averaged: ChangeNetwork) -> UnreadLesson | None:
        """The crops of a step; None while they do not take part yet.

        Args:
            step, steps: which one, of how many.
            averaged: running average of the weights, evaluation mode: the teacher. Pseudo-labels are given by it once,
                when they begin; a mean teacher is asked in every step.
        """
        companion = self.companion
        share = companion.share(step, steps)
        if not share or not self.places:
            return None
        if companion.kind == "pseudo" and self.opinions is None:
            self._judged(averaged)
        visits, brain, opinion = self._batch()
        if opinion is None:
            with torch.no_grad():
                opinion = torch.sigmoid(averaged(stacked(visits)))
        if companion.noise:
            visits = self._noisy(visits)
        return UnreadLesson(stacked(visits), opinion, brain, companion.kind, share * companion.weight)

    def _judged(self, teacher: ChangeNetwork) -> None:
        """Let a teacher (evaluation mode) give its probabilities for good."""
        rows, columns = self.slices.shape
        multiple = teacher.architecture.multiple
        added = (0, -columns % multiple, 0, -rows % multiple)
        found = []
        with torch.no_grad():
            for first in range(0, len(self.places), SLICES_AT_ONCE):
                near = self.slices.near[self.places[first : first + SLICES_AT_ONCE]]
                inputs = functional.pad(stacked(self.slices.visits[near].float()), added)
                found.append(torch.sigmoid(teacher(inputs))[:, 0, :rows, :columns])
        self.opinions = torch.cat(found)
        for index, place in enumerate(self.places):
            called = np.argwhere((self.opinions[index].numpy() > 0.5) & self.slices.brain[place])
            if len(called):
                self.change_at[index] = called

    def _batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Both visits of neighbouring slices (n, 3, 2, crop, crop), brain and the opinions that were given for good
        (n, 1, crop, crop); every second crop is about called change, where any was called."""
        marked, size, random = list(self.change_at), self.crop, self.random
        visits, brain, opinions = [], [], []
        for position in range(self.companion.crops):
            about_change = bool(marked) and position % 2 == 0
            index = marked[random.integers(len(marked))] if about_change else int(random.integers(len(self.places)))
            place = self.places[index]
            near = self.change_at[index] if about_change else np.argwhere(self.slices.brain[place])
            corner = near[random.integers(len(near))] - size // 2 + random.integers(-size // 4, size // 4 + 1, 2)
            top, left = (int(np.clip(a, 0, whole - size)) for a, whole in zip(corner, self.slices.shape, strict=True))
            window = (slice(top, top + size), slice(left, left + size))
            flipped = [axis for axis in (-2, -1) if random.random() < 0.5]
            visits.append(self.slices.visits[self.slices.near[place]][:, :, window[0], window[1]].flip(flipped))
            brain.append(torch.from_numpy(self.slices.brain[place][window].copy()).flip(flipped))
            if self.opinions is not None:
                opinions.append(self.opinions[index][window].flip(flipped))
        return (
            torch.stack(visits).float(),
            torch.stack(brain)[:, None],
            torch.stack(opinions)[:, None] if opinions else None,
        )

    def _noisy(self, visits: Tensor) -> Tensor:
        """The visits with noise inside the brain (where they are not 0)."""
        noise = torch.from_numpy(self.random.standard_normal(tuple(visits.shape), dtype=np.float32))
        return visits + self.companion.noise * noise * (visits != 0)


def stacked(both: Tensor) -> Tensor:
    """Network input (n, 9, rows, columns) of both visits of neighbouring slices (n, 3, 2, rows, columns)."""
    baseline, follow_up = both[:, :, 0], both[:, :, 1]
    inputs = torch.cat((baseline, follow_up, follow_up - baseline), dim=1)
    return inputs.contiguous(memory_format=torch.channels_last)
