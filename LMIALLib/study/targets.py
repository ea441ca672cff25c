"""Answers as others use them: training targets, and volumes in which unread is never "no lesion"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.answer import Answer
from LMIALLib.study.case import Case
from LMIALLib.study.label_values import label_values, slice_values
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class ReadSlice:
    """One slice that a person read, as training sees it.

    Args:
        case, slice: which slice, 0-based.
        target: uint8 (rows, columns); 0 = read, no change; 1 = change of any covered class; 255 = left out.
        answer: id of the answer that it comes from.
        drawn: "strategy", "random" or "reader".
    """

    case: str
    slice: int
    target: np.ndarray
    answer: int
    drawn: str


def training_examples(study: Study, upto: int | None = None) -> tuple[ReadSlice, ...]:
    """Every read slice of the subjects not set aside; unread slices never appear.

    ``upto`` as in ``study.answers.current``.
    """
    return _read_slices(study, "train", upto)


def validation_examples(study: Study, upto: int | None = None) -> tuple[ReadSlice, ...]:
    """Every read slice of the subjects that are set aside; never to be trained on."""
    return _read_slices(study, "validation", upto)


def label_volume(study: Study, case: str, *, reader: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The current answers of a case as one volume.

    Args:
        reader: only answers by this reader; by default the newest by any.

    Returns:
        values: uint8 (k, j, i): 0 = read, no change; values of the schema; 255 = not read, or marked equivocal.
        reviewed: bool (k, j, i): read by a person, and not marked equivocal.
    """
    values = label_values(study.cases.get(case), study.answers.current(case, reader=reader))
    return values, values != UNREAD


def _read_slices(study: Study, split: str, upto: int | None) -> tuple[ReadSlice, ...]:
    return tuple(
        ReadSlice(case.name, number, slice_target(answer, case), answer.id, answer.drawn)
        for case in study.cases.all()
        if case.split == split
        for number, answer in sorted(study.answers.current(case.name, upto=upto).items())
    )


def slice_target(answer: Answer, case: Case) -> np.ndarray:
    """An answer as training target, uint8 (rows, columns): 0, 1 = change of a covered class, 255 = left out.

    A class that the truth of the case does not cover is left out rather than taken for background.
    """
    values = slice_values(answer, case)
    return np.where(values == 0, 0, np.where(np.isin(values, case.covered), 1, UNREAD)).astype(np.uint8)
