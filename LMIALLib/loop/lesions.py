"""Lesions that a reader drew on one slice, and the class that the two visits propose for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.lesion_class import proposed_class


@dataclass(frozen=True)
class DrawnLesion:
    """A connected spot of a slice's mask.

    Args:
        region: bool (rows, columns).
        value: of the label schema: the class that most of its voxels have.
        area_mm2: its area.
        proposed: name of the class that the signed difference suggests, or empty; only a reader sets it.
    """

    region: np.ndarray
    value: int
    area_mm2: float
    proposed: str


def drawn_lesions(
    mask: np.ndarray, baseline: np.ndarray, follow_up: np.ndarray, spacing: tuple[float, float]
) -> list[DrawnLesion]:
    """The lesions of a mask, largest first.

    Args:
        mask: uint8 (rows, columns), values of the label schema.
        baseline, follow_up: float (rows, columns), scaled intensities (brain median 0, robust spread 1).
        spacing: mm between rows and between columns.
    """
    from scipy import ndimage

    regions, count = ndimage.label(mask > 0, structure=np.ones((3, 3)))
    lesions = []
    for number in range(1, count + 1):
        region = regions == number
        values = np.bincount(mask[region])
        area = float(region.sum()) * spacing[0] * spacing[1]
        lesions.append(DrawnLesion(region, int(values.argmax()), area, proposed_class(region, baseline, follow_up)))
    return sorted(lesions, key=lambda lesion: -lesion.area_mm2)


def next_class(lesion: DrawnLesion, schema: LabelSchema) -> int:
    """The value that the class key gives a lesion: the proposed one first, then the others in the schema's order."""
    names = {one.name: one.value for one in schema.classes}
    first = names.get(lesion.proposed, schema.values[0])
    order = list(dict.fromkeys((schema.values[0], first, *schema.values)))
    return order[(order.index(lesion.value) + 1) % len(order)]
