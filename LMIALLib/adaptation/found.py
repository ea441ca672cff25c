"""What an answer found on a slice, beside what the map before it expected: the only thing that calibrates anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.adaptation.answers import UNKNOWN
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.head import AdaptedMaps


@dataclass(frozen=True)
class Found:
    """An answered slice judged with the map that it was asked with, made before the answer. All in voxels.

    Args:
        number: slice, 0-based.
        suggested: that the map suggested as change, of those the answer speaks for.
        right: of these, that are change.
        right_expected: of these, that were expected to be change: their probabilities added up.
        missed: that are change and were not suggested.
        missed_expected: that were expected to be: probabilities of the candidates that were not suggested, added up.
    """

    number: int
    suggested: float
    right: float
    right_expected: float
    missed: float
    missed_expected: float

    @property
    def wrong(self) -> float:
        """Voxels that the suggestion had wrong."""
        return self.suggested - self.right + self.missed

    @property
    def expected(self) -> float:
        """Voxels that it was expected to have wrong."""
        return self.suggested - self.right_expected + self.missed_expected


def judged(features: Features, maps: AdaptedMaps, number: int, target: np.ndarray, *, threshold: float = 0.5) -> Found:
    """Judge the map that a slice was asked with by its answer.

    Args:
        features: of the case.
        maps: adapted maps before the answer was learnt.
        number: slice, 0-based.
        target: uint8 (rows, columns), 0, 1, 255 not known.
        threshold: of the delivered label.
    """
    known, changed = target != UNKNOWN, target == 1
    suggested = (maps.probability[number] >= threshold) & known
    rows, plane = features.rows_of(number), features.plane_of(number)
    p = maps.probability.ravel()[features.voxels[rows]].astype(np.float64) * known.ravel()[plane]
    of_suggested = suggested.ravel()[plane]
    return Found(
        number=number,
        suggested=float(suggested.sum()),
        right=float((suggested & changed).sum()),
        right_expected=float(p[of_suggested].sum()),
        missed=float((changed & ~suggested).sum()),
        missed_expected=float(p[~of_suggested].sum()),
    )
