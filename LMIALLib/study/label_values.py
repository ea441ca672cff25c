"""Answers as label values: one slice, or a whole case, in which unread is never "no lesion"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from LMIALLib.study.answer import KINDS, Answer
from LMIALLib.study.case import Case
from LMIALLib.study.labels import UNREAD


def label_values(case: Case, answers: Mapping[int, Answer]) -> np.ndarray:
    """Answers of a case, by slice, as one volume, uint8 (k, j, i): 0 = read, no change; 255 = not read or left out."""
    stack = np.full((case.n_slices, *case.slice_shape), UNREAD, np.uint8)
    for number, answer in answers.items():
        stack[number] = slice_values(answer, case)
    return np.ascontiguousarray(np.moveaxis(stack, 0, case.axis))


def slice_values(answer: Answer, case: Case) -> np.ndarray:
    """An answer as uint8 (rows, columns): schema values, 0 = read, no change, 255 = left out (spot or whole slice)."""
    values = np.zeros(case.slice_shape, np.uint8)
    if answer.answer == "mask" and answer.mask is not None:
        return answer.mask.copy()
    if KINDS[answer.answer].left_out:
        values[... if answer.mask is None else answer.mask != 0] = UNREAD
    return values
