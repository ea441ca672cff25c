"""The changed lesions of the case on the screen as a list, and the jump to each."""

from __future__ import annotations

from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pairs.unread import UNREAD
from LMIALLib.scene.looking import Looking
from LMIALLib.study.label_values import label_values
from LMIALLib.study.lesion import READ, Lesion, measured_lesions


class Listing(Looking):
    """What can be known of the lesions of a case, and shown of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._listed: tuple[Any, ...] = ()
        self._objects: tuple[Lesion, ...] = ()

    def objects(self) -> tuple[Lesion, ...]:
        """The changed lesions, by number, as answers and the newest ranking have them; drafts are left out.

        They are found anew only when an answer, the ranking, what may be known of it, or the pair has changed. Nothing
        is told of what the network thinks of a slice that was drawn by lot and waits for its answer.
        """
        if self.open is None:
            return ()
        case, ranking = self.session.study.cases.get(self.open.case), self.session.study.rankings.latest()
        answers = tuple(sorted(answer.id for answer in self.answers.values()))
        now = case.name, case.pair_number, answers, ranking and ranking.number, self._unseen()
        if now != self._listed:
            self._listed = now
            try:
                self._objects = self._found(self._unseen())
            except LMIALError as error:
                self._objects = ()
                self.say("warning", f"The lesions of this case cannot be listed: {error}")
        return self._objects

    def _found(self, unseen: frozenset[int]) -> tuple[Lesion, ...]:
        study, opened = self.session.study, self._case()
        case, pair = study.cases.get(opened.case), opened.images.pair
        values = label_values(case, self.answers)
        probability = self.session.newest_probability(case.name)
        volume = study.lesions.volume(case.name, values, probability, keep=not self.watching)
        return measured_lesions(volume, case, study.label_schema, pair, values, probability, unseen)

    def suggested_lesion(self, number: int) -> np.ndarray:
        """The suggested voxels of a lesion of the list, bool (k, j, i); none on slices that were read or may not be
        known of."""
        study, opened = self.session.study, self._case()
        case = study.cases.get(opened.case)
        values = label_values(case, self.answers)
        volume = study.lesions.volume(case.name, values, self.session.newest_probability(case.name), keep=False)
        voxels: np.ndarray = (volume == number) & (values == UNREAD)
        stack = np.moveaxis(voxels, case.axis, 0)
        stack[sorted(self.answers.keys() | self._unseen())] = False
        return voxels

    def go_to_lesion(self, number: int) -> None:
        """Show the slice on which a lesion's area is largest, the lesion in the middle; BadInput where it is gone.

        Where the network's opinion of the slice at hand is part of the lesion, its answer notes that it was seen.
        """
        found = next((one for one in self.objects() if one.number == number), None)
        if found is None:
            raise BadInput(f"This case has no lesion {number} now.")
        here = self.session.current
        if here is not None and found.status != READ and found.first_slice <= here.slice <= found.last_slice:
            self.session.suggestion()
        navigation = self._case().navigation
        self._framed = False
        navigation.turn(0)
        navigation.go_to(found.largest_slice, found.largest_spot)
        self.redraw()
