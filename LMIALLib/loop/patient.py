"""One patient on the way to finished: how good the delivered label is, what is left to look at, the reader's word."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.json_data import Limits, Natural, shaped
from LMIALLib.loop.learning import Learning
from LMIALLib.study.lesion_answers import LesionAnswer
from LMIALLib.study.store import Study

SMALL_GAIN = 0.01
"""Expected gain in Dice of the next slice below which it is called small."""
_Share = Annotated[float, Limits(least=0, most=1)]
_Volume = Annotated[float, Limits(least=0, most=1e6)]


@dataclass(frozen=True)
class Estimate:
    """How good the delivered label of a patient is expected to be, as the newest ranking has it.

    Args:
        dice, dice_low, dice_high: expected Dice with the whole patient read, and its 90 % interval; None where no
            change is expected at all, which has no Dice.
        volume_ml, volume_low, volume_high: changed volume and its 90 % interval.
        chance_left: chance that a changed lesion of 3 mm or longer is left on the unread slices.
        lesions: suggested lesions that lie on unread slices alone.
        slices_to_90: about how many more slices until a Dice of 0.90 is expected; None where no number can be given.
        gain: expected gain in Dice of reading the next slice.
        answers: how many slices were read then.
    """

    volume_ml: _Volume
    volume_low: _Volume
    volume_high: _Volume
    chance_left: _Share
    dice: _Share | None = None
    dice_low: _Share | None = None
    dice_high: _Share | None = None
    lesions: Natural = 0
    slices_to_90: Natural | None = None
    gain: _Share | None = None
    answers: Natural = 0

    @property
    def has_dice(self) -> bool:
        """Whether a Dice says something: it is 0, whatever is left to find, where nothing is drawn or suggested."""
        return bool(self.dice) and self.dice_low is not None and self.dice_high is not None

    @property
    def sentence(self) -> str:
        """What a reader wants to know, in one line.

        >>> Estimate(1.2, 1.0, 1.5, 0.4, 0.86, 0.79, 0.91, lesions=3, slices_to_90=4).sentence
        'Delivered label: Dice 0.86 (0.79 to 0.91); 3 suggested lesions unread; about 4 more slices to 0.90.'
        >>> Estimate(0.0, 0.0, 0.1, 0.12, 0.0, 0.0, 1.0).sentence
        'No change so far; the chance that a changed lesion of 3 mm or longer is left is 12 %.'
        """
        if not self.has_dice:
            chance = f"{100 * self.chance_left:.0f} %"
            return f"No change so far; the chance that a changed lesion of 3 mm or longer is left is {chance}."
        parts = [f"Delivered label: Dice {self.dice:.2f} ({self.dice_low:.2f} to {self.dice_high:.2f})"]
        if self.lesions:
            parts.append(f"{self.lesions} suggested lesion{'s' if self.lesions > 1 else ''} unread")
        if self.slices_to_90:
            more = f"{self.slices_to_90} more slice{'s' if self.slices_to_90 > 1 else ''}"
            parts.append(f"about {more} to 0.90")
        if self.gain is not None and self.gain < SMALL_GAIN:
            parts.append("the expected gain of another slice is small")
        return "; ".join(parts) + "."


@dataclass(frozen=True)
class Standing:
    """How far a patient is.

    Args:
        case: the patient's case.
        slices, read, viewed: how many there are, have an answer, and were looked at in a sweep without an answer.
        finished: whether a reader declared it finished.
        estimate: None where no ranking gives one.
    """

    case: str
    slices: int
    read: int
    viewed: int
    finished: bool
    estimate: Estimate | None


def estimates_of(study: Study) -> dict[str, Estimate]:
    """How good the delivered label of each case is expected to be, where the newest ranking says something of it."""
    stored = study.rankings.latest()
    found = stored.conditions.get("estimates", {}) if stored is not None else {}
    there = {case.name for case in study.cases.all()}
    where = f"ranking {stored.number if stored is not None else 0}: estimates"
    return {name: shaped(one, Estimate, where) for name, one in found.items() if name in there}


class PatientWork:
    """What a reader does with a patient as a whole; every word is on disk before the call returns.

    Args:
        study: an open study.
        learning: takes each answer into the rest of the patient.
        reader: returns who sits here.
    """

    def __init__(self, study: Study, learning: Learning, reader: Callable[[], str]) -> None:
        self._study, self._learning, self._reader = study, learning, reader

    def standing(self, case: str) -> Standing:
        """How far a patient is."""
        study, known = self._study, self._study.cases.get(case)
        read = study.answers.current(known.name).keys()
        viewed = study.sweeps.viewed(known.name) - read
        finished = study.patients.finished(known.name) is not None
        return Standing(known.name, known.n_slices, len(read), len(viewed), finished, self.estimate(known.name))

    def estimate(self, case: str) -> Estimate | None:
        """How good the delivered label is expected to be, or None where the newest ranking says nothing of it."""
        return estimates_of(self._study).get(case)

    def curve(self, case: str) -> list[Estimate]:
        """The estimates over a patient's answers, the last one for each number of answers, ascending."""
        by_answers = {}
        for number, found in self._study.rankings.estimates(case):
            one = shaped(found, Estimate, f"ranking {number}: estimates")
            by_answers[one.answers] = one
        return [by_answers[count] for count in sorted(by_answers)]

    def left_to_sweep(self, case: str) -> list[int]:
        """Slices that were neither answered nor looked at in a sweep, in order."""
        known = self._study.cases.get(case)
        done = self._study.answers.current(known.name).keys() | self._study.sweeps.viewed(known.name)
        return [number for number in range(known.n_slices) if number not in done]

    def swept(self, case: str, seen: Collection[tuple[int, float]], *, label_shown: bool) -> None:
        """Keep which slices were looked at in a sweep, each with its seconds."""
        if seen:
            stored = self._study.rankings.latest()
            ranking = stored.number if stored is not None else None
            self._study.sweeps.save(case, seen, self._reader(), label_shown=label_shown, ranking=ranking)

    def finish(self, case: str) -> None:
        """The reader says that a patient is finished: none of its slices is queried any more. WrongUse if it is."""
        stored = self._study.rankings.latest()
        self._study.patients.finish(case, self._reader(), stored.number if stored is not None else None)

    def reopen(self, case: str) -> None:
        """The reader says that a patient is not finished after all. WrongUse if it is not."""
        self._study.patients.reopen(case, self._reader())

    def say_of_lesion(
        self,
        case: str,
        verdict: str,
        voxels: np.ndarray,
        shown: Collection[int],
        *,
        outline: np.ndarray | None = None,
    ) -> LesionAnswer:
        """Accept, reject or outline a suggested lesion as a whole; see ``study.lesion_answers.save``."""
        stored = self._study.rankings.latest()
        ranking = stored.number if stored is not None else None
        saved = self._study.lesion_answers.save(case, verdict, voxels, shown, self._reader(), ranking, outline=outline)
        self._learning.adapt_when_possible()
        return saved

    def answer_box(self, case: str, number: int, box: tuple[slice, slice], mask: np.ndarray | None) -> LesionAnswer:
        """Answer a box on a slice, which stays unread: what lies in the box is as marked, of the rest nothing is known.

        It is stored beside the answers about whole lesions, and taken back like them.

        Args:
            number: slice, 0-based.
            box: rows and columns of the slice, 0-based, the ends not included.
            mask: (rows, columns) of the whole slice, where it is not 0 is change; only its part in the box counts.
                None: nothing changed in the box.

        Raises BadInput for a slice or box that the case has not, an empty box, a mask of another shape, and a slice
        that was read: its own answer counts there.
        """
        known = self._study.cases.get(case)
        known.check_slice(number)
        if number in self._study.answers.current(known.name):
            raise BadInput(f"Slice {number + 1} of {known.name} was read; its own answer counts.", "Answer it again.")
        inside, change = np.zeros(known.grid.shape, bool), np.zeros(known.grid.shape, bool)
        plane = np.moveaxis(inside, known.axis, 0)[number]
        if any(not 0 <= part.start < part.stop <= length for part, length in zip(box, plane.shape, strict=True)):
            rows, columns = plane.shape
            raise BadInput(f"This box is none on a slice of {rows} rows and {columns} columns.")
        plane[box] = True
        if mask is not None:
            if mask.shape != plane.shape:
                raise BadInput(f"The mask has shape {mask.shape}; a slice of {known.name} has {plane.shape}.")
            np.moveaxis(change, known.axis, 0)[number] = plane & (mask != 0)
        marked = change if change.any() else None
        return self.say_of_lesion(
            known.name, "rejected" if marked is None else "outlined", inside, [number], outline=marked
        )

    def take_back_lesion(self, case: str) -> LesionAnswer:
        """Withdraw the last answer about a lesion of a patient. Raises WrongUse where there is none."""
        answers = self._study.lesion_answers.current(case)
        if not answers:
            raise WrongUse("No lesion was answered as a whole here.")
        self._study.lesion_answers.withdraw(case, answers[-1].id, self._reader())
        self._learning.adapt_when_possible()
        return answers[-1]
