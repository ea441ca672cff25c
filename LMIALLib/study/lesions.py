"""The changed lesions of a case, one by one: as readers answered where they read, elsewhere as the model suggests.

A lesion keeps its number, which lies in ``cases/<case>/lesions.json`` (see ``lesion_numbers``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.answers import Answers
from LMIALLib.study.cases import Cases
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.label_values import label_values
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.lesion import Lesion, measured_lesions
from LMIALLib.study.lesion_answers import LesionAnswers
from LMIALLib.study.lesion_numbers import NUMBERS, Numbered, number_lesions, read_numbers
from LMIALLib.study.lesion_separation import separate_lesions

THRESHOLD = 0.5
"""Probability from which a voxel counts as change that the model suggests."""


@dataclass(frozen=True)
class CaseLesions:
    """The lesions of a case.

    Args:
        volume: int32 (k, j, i), each voxel's lesion by its number, 0 = none.
        reviewed: bool (k, j, i), read by a person, and not marked equivocal.
        lesions: what is known of each, by number.
    """

    volume: np.ndarray
    reviewed: np.ndarray
    lesions: tuple[Lesion, ...]


class Lesions:
    """``study.lesions``: the lesions of a case as they stand now, and the numbers that they keep."""

    def __init__(self, database: StudyDatabase, cases: Cases, answers: Answers, lesion_answers: LesionAnswers) -> None:
        self._database, self._cases = database, cases
        self._answers, self._lesion_answers = answers, lesion_answers

    def of_case(
        self,
        case: str,
        probability: np.ndarray | None,
        *,
        reader: str | None = None,
        keep: bool,
        suggestions: bool = True,
    ) -> CaseLesions:
        """The lesions of a case as they stand now.

        Args:
            probability, keep: see ``volume``.
            reader: only answers by this reader; by default the newest by any.
            suggestions: whether voxels that nobody read or accepted belong to it. Numbers are the same either way.

        Raises as ``number`` and ``study.cases.load_pair`` do.
        """
        known = self._cases.get(case)
        values = label_values(known, self._answers.current(known.name, reader=reader))
        accepted = self._lesion_answers.accepted(known.name, reader=reader)
        if probability is not None:
            probability = self._lesion_answers.laid_over(known.name, probability, reader=reader)
        volume = self.volume(known.name, values, probability, keep=keep)
        if not suggestions:
            volume[(values == UNREAD) & ~accepted] = 0
        pair, schema = self._cases.load_pair(known.name), self._database.label_schema
        lesions = measured_lesions(volume, known, schema, pair, values, probability, accepted=accepted)
        return CaseLesions(volume, values != UNREAD, lesions)

    def volume(self, case: str, values: np.ndarray, probability: np.ndarray | None, *, keep: bool) -> np.ndarray:
        """The lesions of a case, int32 (k, j, i): each voxel's lesion by its number, 0 = none.

        Answers count where slices were read, the model's suggestion elsewhere; lesions that only touch are separated.

        Args:
            values: uint8 (k, j, i), see ``label_values``: schema values, 0 = read and no change, 255 = not read.
            probability: float (k, j, i), of change, 0 to 1; NaN where the model predicted nothing; None leaves it out.
            keep: see ``number``.

        Raises as ``number`` does.
        """
        change = (values != 0) & (values != UNREAD)
        if probability is not None:
            change |= (values == UNREAD) & (probability >= THRESHOLD)
        spacing = self._cases.get(case).grid.spacing
        return self.number(case, separate_lesions(change, spacing[::-1]), keep=keep)

    def number(self, case: str, lesions: np.ndarray, *, keep: bool) -> np.ndarray:
        """Give each lesion of int32 (k, j, i) its number; see ``lesion_numbers.number_lesions``, also for ``keep``.

        Raises BadInput for an unknown case, a file of numbers that is broken, or a disk that refuses.
        """
        known = self._cases.get(case)
        file = self._database.folder / "cases" / known.name / NUMBERS
        return number_lesions(file, known.grid, lesions, keep=keep)

    def numbers(self, case: str) -> Numbered:
        """The lesions of a case as they were last numbered. Raises BadInput for a file that is broken."""
        return read_numbers(self._database.folder / "cases" / self._cases.get(case).name / NUMBERS)
