"""The delivered label of a case: what was read as it was read, all else as suggested, and which voxel is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.label_values import label_values
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.lesions import THRESHOLD
from LMIALLib.study.store import Study

SUGGESTED, READ, EQUIVOCAL, LESION = 0, 1, 2, 3
"""Where a voxel of the delivered label comes from: the model, an answer of its slice, a spot or slice that its reader
left open, a lesion that was answered as a whole, or a box on a slice."""
ORIGINS = {SUGGESTED: "suggested", READ: "read", EQUIVOCAL: "equivocal", LESION: "lesion or box answered"}
CHANGE = 1
"""Value of suggested change, whose class no reader gave."""


@dataclass(frozen=True)
class Delivered:
    """The delivered label of a case.

    Args:
        values: uint8 (k, j, i): 0 no change, values of the schema; equivocal voxels are 0.
        origin: uint8 (k, j, i), one of `ORIGINS` for every voxel.
        slices_read: how many slices somebody answered.
    """

    values: np.ndarray
    origin: np.ndarray
    slices_read: int


def delivered_label(study: Study, case: str, probability: np.ndarray | None, *, reader: str | None = None) -> Delivered:
    """Make the delivered label of a case.

    Args:
        probability: of change, float (k, j, i) on the pair's grid, of the map that is delivered; None: nothing is
            suggested.
        reader: only answers by this reader; None means the newest by any.

    Raises BadInput for an unknown case, ValueError for a map of another shape.
    """
    known = study.cases.get(case)
    current = study.answers.current(known.name, reader=reader)
    read = label_values(known, current)
    values, origin = np.zeros_like(read), np.zeros_like(read)
    if probability is not None:
        if probability.shape != read.shape:
            raise ValueError(f"the map of {case} has shape {probability.shape}; its pair has shape {read.shape}")
        values[probability >= THRESHOLD] = CHANGE
    values_stack, origin_stack = (np.moveaxis(volume, known.axis, 0) for volume in (values, origin))
    for lesion in study.lesion_answers.current(known.name):
        if reader is not None and lesion.reader != reader:
            continue
        for number in lesion.shown:
            inside, change = lesion.of_slice(number, known.axis)
            values_stack[number][inside] = np.where(change, CHANGE, 0)[inside]
            origin_stack[number][inside] = LESION
    values[read != UNREAD] = read[read != UNREAD]
    origin[read != UNREAD] = READ
    read_stack = np.moveaxis(read, known.axis, 0)
    for number in current:
        left_open = read_stack[number] == UNREAD
        values_stack[number][left_open], origin_stack[number][left_open] = 0, EQUIVOCAL
    return Delivered(values, origin, len(current))
