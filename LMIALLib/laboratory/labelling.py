"""One pool as it is being labelled: what was read, the network, the maps that are shown, the time that was spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.adaptation.answers import SliceAnswer
from LMIALLib.adaptation.patient import THRESHOLD
from LMIALLib.laboratory.delivered import overlap
from LMIALLib.laboratory.readers import SECONDS_A_CASE, TimeSpent, correcting_seconds
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.laboratory.tracks import Track

if TYPE_CHECKING:
    from LMIALLib.network.architecture import ChangeNetwork


@dataclass
class Labelling:
    """A track while it is being labelled.

    Args:
        track: which slices may be queried.
        labels: what was read, (case, slice) to uint8 (rows, columns) of 0, 1 and 255.
        order: the same slices in the order in which they were read.
        models: the network in use and those before it, the newest first.
        learned: whether the network in use learned from labels and goes on from there.
        probability: the network's map of each case, float32 (slices, rows, columns).
        shown: the map that suggestions are made of: the network's, under the head where there is one.
        suggested: suggestion on slices queried one after the other, bool (rows, columns).
        time: of a reader who draws every outline.
        correcting: seconds of a reader who corrects the suggestion; NaN where it is not known.
    """

    track: Track
    labels: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    order: list[tuple[str, int]] = field(default_factory=list)
    models: list[ChangeNetwork] = field(default_factory=list)
    learned: bool = False
    probability: dict[str, np.ndarray] = field(default_factory=dict)
    shown: dict[str, np.ndarray] = field(default_factory=dict)
    suggested: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    time: TimeSpent = field(default_factory=TimeSpent)
    correcting: float = 0.0

    def answered(self, answers: Sequence[tuple[Subject, int, np.ndarray]]) -> None:
        """Take the answers of a round in their order: case, slice (0-based), target as `readers.answer` gives it."""
        for subject, number, target in answers:
            if not self.order or self.order[-1][0] != subject.name:
                self.correcting += SECONDS_A_CASE
            suggested = self._suggested(subject.name, number, target.shape)
            self.correcting += correcting_seconds(suggested, target, subject.pair.in_plane_spacing)
            self.labels[subject.name, number] = target
            self.order.append((subject.name, number))
        self.suggested.clear()
        if answers:
            self.time = self.time.after([(subject, target) for subject, _, target in answers])

    def _suggested(self, case: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
        if (case, number) in self.suggested:
            return self.suggested[case, number]
        return self.shown[case][number] >= THRESHOLD if case in self.shown else np.zeros(shape, dtype=bool)

    def answers_of(self, case: str) -> list[SliceAnswer]:
        """What was read of a case, in its order."""
        return [SliceAnswer(k, self.labels[name, k]) for name, k in self.order if name == case]

    def delivered_dice(self, subjects: Sequence[Subject]) -> float:
        """Dice of the delivered label over the whole grid, voxels of all cases pooled; NaN where nothing is marked."""
        both = size = 0
        for subject in subjects:
            read = {k: target == 1 for (case, k), target in self.labels.items() if case == subject.name}
            one = overlap(self.shown[subject.name] >= THRESHOLD, subject.truth, read)
            both, size = both + one[0], size + one[1]
        return 2.0 * both / size if size else float("nan")
