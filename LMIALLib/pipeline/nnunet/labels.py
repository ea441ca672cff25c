"""What nnU-Net learns from: pseudo-labels, or readers' answers; everything else is its ignore label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from LMIALLib.files import sha256_of
from LMIALLib.pipeline.pseudo import RECORD, pseudo_folder, read_pseudo, read_pseudo_record
from LMIALLib.study.case import Case
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.store import Study
from LMIALLib.study.targets import slice_target

CHANGE, IGNORE = 1, 2
"""Values of an nnU-Net label beside 0 = no change; its ignore label must be the highest."""


@dataclass(frozen=True)
class CaseLabels:
    """Labels of one case.

    Args:
        values: uint8 (slices, rows, columns) along the pair's slice axis; 0 no change, 1 change, 2 ignored.
        read: slices that a person read.
        pseudo: slices whose label is a pseudo-label.
    """

    values: np.ndarray
    read: tuple[int, ...] = ()
    pseudo: tuple[int, ...] = ()


class LabelSource(Protocol):
    """Where the labels of a data set come from."""

    def key(self, case: Case) -> str | None:
        """What the labels of a case depend on, or None where it has none."""

    def labels(self, case: Case) -> CaseLabels:
        """The labels of a case that has a key."""


@dataclass(frozen=True)
class PseudoLabels:
    """The pseudo-labels of a teacher.

    Args:
        study, teacher: whose pseudo-labels, see `pipeline.pseudo`.
        above: pixels whose confidence is lower are ignored, 0 to 1.
    """

    study: Study
    teacher: str
    above: float = 0.0

    def key(self, case: Case) -> str | None:
        """The digests of the stored pseudo-labels, or None where no slice of the case has one."""
        folder = pseudo_folder(self.study, self.teacher, case.name)
        record = read_pseudo_record(self.study, self.teacher, case.name)
        if record is None or not record.done:
            return None
        digests = [sha256_of(folder / name) for name in (RECORD, "probability.nrrd", "confidence.nrrd")]
        return f"{self.teacher} {self.above} {' '.join(digests)}"

    def labels(self, case: Case) -> CaseLabels:
        """Change where the probability is 0.5 or more; slices that the teacher failed on or left out are ignored."""
        pseudo = read_pseudo(self.study, self.teacher, case.name)
        assert pseudo is not None  # it has a key
        probability, confidence = (np.moveaxis(v, case.axis, 0) for v in (pseudo.probability, pseudo.confidence))
        known = (confidence >= self.above) & pseudo.done[:, None, None]
        values = np.where(known, probability >= 0.5, IGNORE).astype(np.uint8)
        return CaseLabels(values, pseudo=tuple(int(k) for k in np.flatnonzero(known.any(axis=(1, 2)))))


@dataclass(frozen=True)
class ReadLabels:
    """Readers' answers and, where wanted, confident pseudo-labels of slices that nobody read.

    Args:
        study: whose answers.
        upto: highest id of an answer that counts.
        pseudo_labels: for unread slices, or None.
    """

    study: Study
    upto: int
    pseudo_labels: PseudoLabels | None = None

    def key(self, case: Case) -> str | None:
        """What the labels of a case come from: answers and pseudo-labels; None where it has neither."""
        read = sorted(answer.id for answer in self.study.answers.current(case.name, upto=self.upto).values())
        pseudo = self.pseudo_labels.key(case) if self.pseudo_labels and case.split == "train" else None
        return f"read {read} covering {case.covered}, {pseudo}" if read or pseudo else None

    def labels(self, case: Case) -> CaseLabels:
        """Answers as training targets; equivocal spots and classes that the case does not cover are ignored."""
        stack = np.full((case.n_slices, *case.slice_shape), IGNORE, np.uint8)
        pseudo: tuple[int, ...] = ()
        answers = self.study.answers.current(case.name, upto=self.upto)
        if self.pseudo_labels and case.split == "train" and self.pseudo_labels.key(case):
            made = self.pseudo_labels.labels(case)
            stack, pseudo = made.values, tuple(k for k in made.pseudo if k not in answers)
        for number, answer in answers.items():
            target = slice_target(answer, case)
            stack[number] = np.where(target == UNREAD, IGNORE, target)
        return CaseLabels(stack, read=tuple(sorted(answers)), pseudo=pseudo)
