"""One patient as answers come in: head after head, what each answer found, the order of what is left, the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from LMIALLib.adaptation.answers import SliceAnswer, digests, gathered
from LMIALLib.adaptation.estimate import (
    DOUBT_MISSED,
    DOUBT_RIGHT,
    Estimate,
    dice_with,
    estimate,
    expectations,
    factor,
)
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.found import Found, judged
from LMIALLib.adaptation.head import AdaptedMaps, Head, adapted, fit
from LMIALLib.adaptation.order import FinishScores, finish_scores
from LMIALLib.progress import Progress, ignore

THRESHOLD = 0.5
"""Probability from which a voxel is delivered as change."""


@dataclass(frozen=True)
class Learnt:
    """What is known once all answers are learnt.

    Args:
        head: None where the network's map stands.
        maps: under the head.
        found: of each answer that made a slice read, judged with the map of the answers before it.
        estimate: of the delivered label.

    Example:
        >>> learnt.head is None or 0 < learnt.head.share < 1
        True
        >>> learnt.estimate.read == len(learnt.found) == 1
        True
    """

    head: Head | None
    maps: AdaptedMaps
    found: tuple[Found, ...]
    estimate: Estimate


@dataclass
class Course:
    """The answers of a patient, learnt one after the other. A memory only: what it gives depends on the features and
    the answers in their order alone, never on what it was asked before.

    Args:
        features: of the case.

    Example:
        >>> course = Course(features)
        >>> course.learn([nothing_here(12, (256, 256))]).estimate.volume_mm3
    """

    features: Features
    _steps: list[tuple[str, Found | None]] = field(default_factory=list)
    _last: tuple[str, Head | None, AdaptedMaps] | None = None

    def learn(self, answers: Sequence[SliceAnswer], progress: Progress = ignore) -> Learnt:
        """Learn all answers of the patient, in their order; only those that are new cost time.

        Where earlier answers changed, what came after them is learnt anew. ``progress`` is called before each.
        """
        answers = list(answers)
        reached = digests(answers)
        known = 0
        while known < min(len(answers), len(self._steps)) and self._steps[known][0] == reached[known + 1]:
            known += 1
        del self._steps[known:]
        head, maps = self._at(reached[known], answers[:known])
        for count in range(known, len(answers)):
            progress("learn", count - known, len(answers) - known)
            answer = answers[count]
            found = judged(self.features, maps, answer.number, answer.target) if answer.read else None
            self._steps.append((reached[count + 1], found))
            head, maps = self._at(reached[count + 1], answers[: count + 1])
        of_slices = tuple(found for _, found in self._steps if found is not None)
        answered = gathered(answers)
        return Learnt(head, maps, of_slices, estimate(self.features, maps, answered, of_slices))

    def _at(self, digest: str, answers: Sequence[SliceAnswer]) -> tuple[Head | None, AdaptedMaps]:
        if self._last is None or self._last[0] != digest:
            head = fit(self.features, answers) if answers else None
            self._last = digest, head, adapted(self.features, head)
        return self._last[1], self._last[2]


def order_of(learnt: Learnt, features: Features, answers: Sequence[SliceAnswer], strategy: str) -> FinishScores:
    """Score the slices by a strategy of ``order.FINISH_STRATEGIES``."""
    read = sorted(gathered(answers).read)
    return finish_scores(features, learnt.maps, learnt.found, read=read, strategy=strategy)


def outlook(learnt: Learnt, features: Features, answers: Sequence[SliceAnswer], scores: np.ndarray) -> np.ndarray:
    """Expected Dice of the delivered label now and after each of the next slices, float64 (slices left + 1,).

    Args:
        scores: float64 (slices,), in whose order the slices are read, highest first; those that were read are left out.

    By the same expectations as the estimate; empty where no change is expected at all.
    """
    answered = gathered(answers)
    known, suggested, right, missed = expectations(features, learnt.maps, answered, THRESHOLD)
    of_right, of_missed = (factor(learnt.found, "right", DOUBT_RIGHT), factor(learnt.found, "missed", DOUBT_MISSED))
    if known + right + missed < 1.0:
        return np.zeros(0)
    probability = learnt.maps.probability
    p = probability.ravel()[features.voxels].astype(np.float64)
    by_slice = np.repeat(np.arange(features.inputs.n_slices), np.diff(features.starts))
    marked = p >= THRESHOLD
    rights = np.bincount(by_slice, p * marked, features.inputs.n_slices) * of_right
    misses = np.bincount(by_slice, p * ~marked, features.inputs.n_slices) * of_missed
    areas = (probability >= THRESHOLD).sum(axis=(1, 2))
    right, missed = min(right * of_right, suggested), missed * of_missed
    dices = [dice_with(known, suggested, suggested - right, missed)]
    left = [int(k) for k in np.argsort(-scores, kind="stable") if int(k) not in answered.read]
    for number in left:
        here = min(rights[number], float(areas[number]))
        known += here + misses[number]
        suggested = max(suggested - areas[number], 0.0)
        right, missed = max(right - here, 0.0), max(missed - misses[number], 0.0)
        dices.append(dice_with(known, suggested, max(suggested - right, 0.0), missed))
    return np.array(dices)


def suggested_lesions(maps: AdaptedMaps, answers: Sequence[SliceAnswer], *, threshold: float = 0.5) -> int:
    """How many suggested lesions (connected in all directions) lie on unread slices alone."""
    from scipy.ndimage import generate_binary_structure, label

    suggested = maps.probability >= threshold
    read = sorted(gathered(answers).read)
    labels, count = label(suggested, generate_binary_structure(3, 3))
    touched = np.unique(labels[read]) if read else np.zeros(0, int)
    return int(count - np.count_nonzero(touched))
