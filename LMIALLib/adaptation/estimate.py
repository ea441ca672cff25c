"""How finished a patient is: the Dice coefficient of the delivered label and the changed volume, with an interval.

What was read is known. Of the unread slices two numbers are not: how many suggested voxels are change, and how many
changed voxels are not suggested. Both are expected from the adapted maps, times a factor that says how such
expectations came out on the slices that were answered, each judged with the map *before* its answer (`found.Found`):
an answered slice never calibrates its own map. The interval is conformal: the wrong volume lies within the factors of
`SPREAD` of its expectation, which were measured on other patients (Docs/finish.md has their coverage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.adaptation.answers import UNKNOWN, Answered
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.found import Found
from LMIALLib.adaptation.head import AdaptedMaps

PRIOR_RIGHT, PRIOR_MISSED = 1.0, 1.0
"""Found over expected on other patients, for suggested voxels and for missed ones."""

DOUBT_RIGHT, DOUBT_MISSED = 60.0, 40.0
"""Expected voxels whose outcome weighs as much as these priors."""

MEMORY = 0.85
"""Each earlier answer weighs so much less: the head has learnt since."""

SPREAD = ((0, 0.3, 3.0), (3, 0.4, 2.5), (6, 0.4, 2.5), (10, 0.4, 2.5))
"""From so many read slices on: the least and the most that the wrong volume is, over what is expected (5 and 95 %)."""

LESION_MM = 3.0
"""A changed lesion of this length or longer matters; the smallest such is taken for a ball of this diameter."""


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
    known, suggested, right, missed = expectations(features, maps, answered, threshold)
    right = min(right * factor(found, "right", PRIOR_RIGHT, DOUBT_RIGHT), suggested)
    missed *= factor(found, "missed", PRIOR_MISSED, DOUBT_MISSED)
    least, most = spread(len(answered.read))
    voxel = features.inputs.voxel_mm3
    ball = np.pi / 6.0 * LESION_MM**3 / voxel
    left = float(1.0 - np.exp(-missed / max(ball, 1.0)))
    volume = known + right + missed
    low_volume = known + max(right - (most - 1.0) * (suggested - right), 0.0) + missed * least
    high_volume = known + min(right + (1.0 - least) * (suggested - right), suggested) + missed * most
    if known + right + missed < 1.0:
        return Estimate(
            None, None, None, volume * voxel, low_volume * voxel, high_volume * voxel, left, len(answered.read)
        )
    dice = dice_with(known, suggested, right, missed, 1.0)
    # rounding must not put the estimate outside of its own interval
    low = min(dice_with(known, suggested, right, missed, most), dice)
    high = max(dice_with(known, suggested, right, missed, least), dice)
    return Estimate(dice, low, high, volume * voxel, low_volume * voxel, high_volume * voxel, left, len(answered.read))


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


def factor(found: Sequence[Found], name: str, prior: float, doubt: float) -> float:
    """Voxels found over voxels expected, ``name`` being "right" or "missed"; the prior where nothing was answered."""
    seen = expected = 0.0
    for age, one in enumerate(reversed(found)):
        weight = MEMORY**age
        seen += weight * getattr(one, name)
        expected += weight * getattr(one, f"{name}_expected")
    return (doubt * prior + seen) / (doubt + expected)


def spread(read: int) -> tuple[float, float]:
    """The factors of `SPREAD` after so many read slices."""
    return next((low, high) for least, low, high in reversed(SPREAD) if read >= least)


def dice_with(known: float, suggested: float, right: float, missed: float, times: float) -> float:
    """Dice coefficient if ``times`` as many voxels of the unread slices are wrong as expected."""
    false = min((suggested - right) * times, suggested)
    true = known + suggested - false
    size = 2.0 * known + suggested + (suggested - false) + missed * times
    return float(np.clip(2.0 * true / size, 0.0, 1.0)) if size > 0 else 1.0
