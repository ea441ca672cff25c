"""How finished a patient is: the Dice coefficient of the delivered label and the changed volume, with an interval.

What was read is known. Of the unread slices two numbers are not: how many suggested voxels are change, and how many
changed voxels are not suggested. Both are expected from the adapted maps, times a factor that says how such
expectations came out on the slices that were answered, each judged with the map *before* its answer (`found.Found`):
an answered slice never calibrates its own map. The interval is conformal: it reaches as far as the wrong voxels were
found to lie from their expectation on other patients (`SPREAD`, `SLACK_MM3`; Docs/finish.md has the coverage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.adaptation.answers import UNKNOWN, Answered
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.found import Found
from LMIALLib.adaptation.head import AdaptedMaps

DOUBT_RIGHT, DOUBT_MISSED = 60.0, 40.0
"""Expected voxels, right and missed, that weigh as much as the answers do: with none, what is expected stands.

On synthetic pairs the expectations came out nearly as they were (found over expected: 0.97 and 0.95), on two real ones
2.2 times as much was missed as expected, so that answers must be able to say so."""

SPREAD, VOLUME_SPREAD = (0.5, 2.3), (0.4, 2.7)
"""The least and the most that the wrong voxels are over what is expected, in 90 of 100 cases: in their sum, which moves
the Dice coefficient, and in their balance, which moves the volume."""

SLACK_MM3, VOLUME_SLACK_MM3 = 20.0, 30.0
"""And that they may be besides, cubic millimetres: one lesion of 3 mm more or less, about."""

LESION_MM = 3.0
"""A changed lesion of this length or longer matters."""

MISSED_MM3_A_LESION = 400.0
"""So much expected missed volume stands for one such lesion that is left; the rest are borders and single voxels.
Measured on pairs of odd seeds, with and without change: left in 30 of 100 cases, expected in 30."""


@dataclass(frozen=True)
class Estimate:
    """The delivered label as it is expected to be, each with the ends of its 90 % interval.

    Args:
        dice, low, high: Dice coefficient of the delivered label, 0 to 1; None where no change is expected at all:
            there is no Dice then.
        volume_mm3, volume_low, volume_high: changed volume of the patient, cubic millimetres.
        lesion_left: chance that a changed lesion of `LESION_MM` or longer is on an unread slice and not suggested.
        read: slices that were read.
    """

    dice: float | None
    low: float | None
    high: float | None
    volume_mm3: float
    volume_low: float
    volume_high: float
    lesion_left: float
    read: int


def estimate(
    features: Features,
    maps: AdaptedMaps,
    answered: Answered,
    found: Sequence[Found],
    *,
    threshold: float = 0.5,
) -> Estimate:
    """Estimate how right the delivered label is.

    Args:
        features: of the case.
        maps: adapted maps as they are now.
        answered: all answers of the patient, see `answers.gathered`.
        found: what each answer found under the map before it, in their order; also those of other patients of the
            study, first.
        threshold: of the delivered label.
    """
    expected = expectations(features, maps, answered, threshold)
    return estimated(*expected, found, len(answered.read), features.inputs.voxel_mm3)


def estimated(
    known: float, suggested: float, right: float, missed: float, found: Sequence[Found], read: int, voxel_mm3: float
) -> Estimate:
    """Estimate from `expectations`, in voxels; ``found`` and ``read`` as in `estimate`."""
    right = min(right * factor(found, "right", DOUBT_RIGHT), suggested)
    missed *= factor(found, "missed", DOUBT_MISSED)
    false = suggested - right
    left = 1.0 - float(np.exp(-missed * voxel_mm3 / MISSED_MM3_A_LESION))
    fewest, most = ends(false, missed, suggested, SPREAD, SLACK_MM3 / voxel_mm3)
    dices: tuple[float | None, ...] = (None, None, None)
    if known + right + missed >= 1.0:
        dices = tuple(dice_with(known, suggested, *wrong) for wrong in ((false, missed), most, fewest))
    fewest, most = ends(false, missed, suggested, VOLUME_SPREAD, VOLUME_SLACK_MM3 / voxel_mm3)
    volumes = (known + right + missed, known + suggested - most[0] + fewest[1], known + suggested - fewest[0] + most[1])
    middle, low, high = (volume * voxel_mm3 for volume in volumes)
    return Estimate(*dices, volume_mm3=middle, volume_low=low, volume_high=high, lesion_left=left, read=read)


def ends(
    false: float, missed: float, suggested: float, spread: tuple[float, float], slack: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The fewest and the most voxels that may be false and missed, in 90 of 100 cases.

    Args:
        false, missed: as they are expected.
        suggested: on unread slices; no more can be false.
        spread: factors of what is expected.
        slack: voxels besides; none where nothing is unread.
    """
    slack = min(slack, missed + suggested)
    fewest = false * spread[0], max(missed * spread[0] - slack, 0.0)
    return fewest, (min(false * spread[1], suggested), missed * spread[1] + slack)


def expectations(
    features: Features, maps: AdaptedMaps, answered: Answered, threshold: float
) -> tuple[float, float, float, float]:
    """Voxels that were read as change; of all else: suggested, and, by the maps alone, right and missed."""
    unknown = features.inputs.region.copy()
    for number, target in answered.targets.items():
        unknown[number] &= (target == UNKNOWN) & (number not in answered.read)
    p = maps.probability.ravel()[features.voxels].astype(np.float64) * unknown.ravel()[features.voxels]
    marked = p >= threshold
    suggested = np.count_nonzero((maps.probability >= threshold) & unknown)
    return float(answered.marked), float(suggested), float(p[marked].sum()), float(p[~marked].sum())


def factor(found: Sequence[Found], name: str, doubt: float) -> float:
    """Voxels found over voxels expected, ``name`` being "right" or "missed"; 1 where nothing was answered."""
    seen = sum(getattr(one, name) for one in found)
    expected = sum(getattr(one, f"{name}_expected") for one in found)
    return float((doubt + seen) / (doubt + expected))


def dice_with(known: float, suggested: float, false: float, missed: float) -> float:
    """Dice coefficient of the delivered label, all in voxels.

    Args:
        known: read as change.
        suggested: on unread slices.
        false: of these, that are no change.
        missed: change on unread slices that is not suggested.
    """
    size = 2.0 * known + 2.0 * suggested - false + missed
    return float(2.0 * (known + suggested - false) / size) if size > 0 else 1.0
