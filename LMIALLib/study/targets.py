"""What annotations mean to others: training targets, and volumes in which unread is never "no lesion"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from LMIALLib.study.annotations import Annotation
from LMIALLib.study.cases import Case
from LMIALLib.study.drafts import Drafts
from LMIALLib.study.labels import UNREAD


@dataclass(frozen=True)
class ReadSlice:
    """One slice that a person read, as training sees it.

    Args:
        case, slice: which slice, 0-based.
        target: uint8 (rows, columns); 0 = read, no change; 1 = change of any covered class; 255 = left out.
        annotation: id of the answer that it comes from.
        drawn: "strategy", "random" or "reader".
    """

    case: str
    slice: int
    target: np.ndarray
    annotation: int
    drawn: str


class Targets(Drafts):
    """Read slices for training and validation, and label volumes for export."""

    def training_examples(self, upto: int | None = None) -> tuple[ReadSlice, ...]:
        """Every read slice of the subjects not set aside; ``upto`` as in ``current``. Unread slices never appear."""
        return self._read_slices("train", upto)

    def validation_examples(self, upto: int | None = None) -> tuple[ReadSlice, ...]:
        """Every read slice of the subjects that are set aside; never to be trained on."""
        return self._read_slices("validation", upto)

    def label_volume(self, case: str, *, reader: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The current answers of a case as one volume.

        Args:
            reader: only answers by this reader; by default the newest by any.

        Returns:
            values: uint8 (k, j, i): 0 = read, no change; values of the schema; 255 = not read, or marked equivocal.
            reviewed: bool (k, j, i): read by a person, and not marked equivocal.
        """
        values = label_values(self.case(case), self.current(case, reader=reader))
        return values, values != UNREAD

    def _read_slices(self, split: str, upto: int | None) -> tuple[ReadSlice, ...]:
        return tuple(
            ReadSlice(case.name, number, slice_target(annotation, case), annotation.id, annotation.drawn)
            for case in self.cases()
            if case.split == split
            for number, annotation in sorted(self.current(case.name, upto=upto).items())
        )


def label_values(case: Case, answers: Mapping[int, Annotation]) -> np.ndarray:
    """Answers of a case, by slice, as one volume, uint8 (k, j, i): the ``values`` of ``Targets.label_volume``."""
    stack = np.full((case.n_slices, *case.slice_shape), UNREAD, np.uint8)
    for number, annotation in answers.items():
        stack[number] = slice_values(annotation, case)
    return np.ascontiguousarray(np.moveaxis(stack, 0, case.axis))


def slice_values(annotation: Annotation, case: Case) -> np.ndarray:
    """An answer as uint8 (rows, columns): schema values, 0 = read, no change, 255 = equivocal (spot or whole slice)."""
    values = np.zeros(case.slice_shape, np.uint8)
    if annotation.answer == "mask" and annotation.mask is not None:
        return annotation.mask.copy()
    if annotation.answer == "equivocal":
        values[... if annotation.mask is None else annotation.mask != 0] = UNREAD
    return values


def slice_target(annotation: Annotation, case: Case) -> np.ndarray:
    """An answer as training target, uint8 (rows, columns): 0, 1 = change of a covered class, 255 = left out.

    A class that the truth of the case does not cover is left out rather than taken for background.
    """
    values = slice_values(annotation, case)
    return np.where(values == 0, 0, np.where(np.isin(values, case.covered), 1, UNREAD)).astype(np.uint8)
