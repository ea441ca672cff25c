"""The pseudo-labels of one case in progress: made slice by slice, and written at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.pseudo import RECORD, Pseudo, pseudo_folder, write_pseudo
from LMIALLib.pipeline.teachers.teacher import PseudoLabel, Teacher, objection
from LMIALLib.progress import Cancelled
from LMIALLib.study.case import Case
from LMIALLib.study.store import Study
from LMIALLib.version import __version__

WRITTEN_EVERY = 60.0
"""Seconds between two writings of a case that is not complete."""
FORGOTTEN = "The teacher left this slice out."


class UnreadablePair(BadInput):
    """The pair of this case cannot be read; others may be."""


class CaseInProgress:
    """Stacks (slices, rows, columns) of one case, from the start or continued.

    Slices without brain are done from the start, with probability 0 and confidence 1, because nothing can change
    there; ``made_by`` names them as ``slices_without_brain``.

    Args:
        study, teacher, case: who labels what.
        before: pseudo-labels to go on from, or None.

    Raises UnreadablePair when the files of the pair are missing or broken.
    """

    def __init__(self, study: Study, teacher: Teacher, case: Case, before: Pseudo | None) -> None:
        self._study, self._teacher, self._case = study, teacher, case
        try:
            self._pair = study.cases.load_pair(case.name)
        except BadInput as problem:
            raise UnreadablePair(problem.sentence, problem.hint) from problem
        brain = self._pair.stack(self._pair.mask)
        self._empty = np.asarray(~brain.any(axis=(1, 2)))
        self._failed: dict[int, str] = {}
        if before is None:
            self._probability, self._confidence = (np.zeros(brain.shape, np.float32) for _ in range(2))
            self._confidence[self._empty] = 1
            self._done = self._empty.copy()
        else:
            self._probability, self._confidence = (
                np.array(self._pair.stack(volume)) for volume in (before.probability, before.confidence)
            )
            self._done, self._failed = before.done.copy(), dict(before.failed)

    def finish(self, report: Callable[[int], None], cancelled: Callable[[], bool]) -> Pseudo:
        """Judge what is missing; ``report`` is called with the number of slices that are finished.

        Stopped by ``cancelled`` (raises Cancelled) or from the keyboard, it first writes what is new.
        """
        begun, written = self._finished, time.monotonic()

        def check() -> None:
            if cancelled():
                raise Cancelled

        try:
            report(begun)
            for number, found in self._teacher.judged(self._pair, self._missing(), check):
                self._take(number, found)
                report(self._finished)
                if time.monotonic() - written > WRITTEN_EVERY:
                    self.write()
                    written = time.monotonic()
        except (Cancelled, KeyboardInterrupt):
            if self._finished > begun:
                self.write()
            raise
        for number in self._missing():
            self._failed[number] = FORGOTTEN
        return self.pseudo()

    def wholly_failed(self) -> bool:
        """Whether the teacher failed on every slice that it was to label."""
        return bool(self._failed) and not self._done[~self._empty].any()

    def pseudo(self) -> Pseudo:
        """What there is by now."""
        made_by: dict[str, Any] = {
            "teacher": self._teacher.id,
            **self._teacher.made_by,
            "lmial": __version__,
            "pair": self._case.digest,
            "slices_without_brain": [int(k) for k in np.flatnonzero(self._empty)],
        }
        probability, confidence = (self._pair.unstack(stack).copy() for stack in (self._probability, self._confidence))
        return Pseudo(probability, confidence, self._done.copy(), dict(self._failed), made_by)

    def write(self) -> None:
        """Keep what there is by now."""
        write_pseudo(self._study, self._teacher.id, self._case.name, self.pseudo())

    def forget(self) -> None:
        """Let nothing count that was kept of this case on the way."""
        (pseudo_folder(self._study, self._teacher.id, self._case.name) / RECORD).unlink(missing_ok=True)

    @property
    def _finished(self) -> int:
        return int(self._done.sum()) + len(self._failed)

    def _missing(self) -> list[int]:
        return [int(k) for k in np.flatnonzero(~self._done) if int(k) not in self._failed]

    def _take(self, number: int, found: PseudoLabel | str) -> None:
        why = objection(found, self._pair.slice_shape) if isinstance(found, PseudoLabel) else found
        if why or not isinstance(found, PseudoLabel):
            self._failed[number] = why
            return
        self._probability[number], self._confidence[number] = found.probability, found.confidence
        self._done[number] = True
