"""The label of the slice at hand: undo, suggestion, classes; drafts at once. Without trame or Qt."""

from __future__ import annotations

import numpy as np

from LMIALLib.loop.lesions import DrawnLesion, drawn_lesions, next_class
from LMIALLib.scene.listing import Listing


class Painting(Listing):
    """What can be done with the label of the slice under the reader's hand, whoever draws it."""

    @property
    def paintable(self) -> bool:
        """Whether the slice at hand is on the screen, in the plane in which it was cut, and may be changed."""
        here = self.session.current
        if here is None or self.open is None or self.watching or self.tools.hidden:
            return False
        return self.open.navigation.current == 0 and self.open.navigation.slice == here.slice

    def undo(self) -> None:
        """Take the last step on this slice back."""
        if self.paintable and self._case().drawing.undo():
            self._keep_draft()

    def redo(self) -> None:
        """Do it again."""
        if self.paintable and self._case().drawing.redo():
            self._keep_draft()

    def accept(self, *, touching: bool | None = None) -> None:
        """Add the suggestion to what is drawn, as one undo step; nothing that was drawn goes, no class changes.

        Where a suggested lesion touches what was drawn, ``asking`` becomes "accept" and nothing is done, unless
        ``touching`` says whether such lesions are added too.
        """
        if not self.paintable:
            self._say_why_not()
            return
        suggested = self.session.suggestion()
        if suggested is None:
            self.say("info", "There is no suggestion to take over on this slice.")
            return
        mask = self._case().drawing.mask
        beside, along = added_parts(suggested, mask > 0)
        self.asking = ""
        if along.any() and touching is None:
            self.asking = "accept"
            return
        added = beside | along if touching else beside
        if added.any():
            self._case().drawing.replace(np.where(added, 1, mask).astype(np.uint8))
            self._keep_draft()
        elif not suggested.any():
            self.say("info", "The suggestion says that nothing changed on this slice.")

    def _say_why_not(self) -> None:
        here, shown = self.session.current, self.shown_slice
        if here is not None and shown is not None and shown != here.slice and not self.watching:
            self.say("info", f"You see slice {shown + 1}; slice {here.slice + 1} is the one to change. J: back to it.")

    def paint_with(self, value: int) -> None:
        """Paint this class from now on."""
        self.session.study.label_schema.name_of(value)
        self.tools.value = value

    def lesions(self) -> list[DrawnLesion]:
        """The lesions on the slice at hand, with the class that the difference proposes."""
        here = self.session.current
        if here is None or self.open is None or self.open.drawing.slice is None:
            return []
        if self._measured is None:
            pair = self.open.images.pair
            baseline, follow_up = (pair.stack(array)[here.slice] for array in (pair.baseline, pair.follow_up))
            self._measured = drawn_lesions(self.open.drawing.mask, baseline, follow_up, pair.in_plane_spacing)
        return self._measured

    def change_class(self, number: int | None = None, value: int | None = None) -> None:
        """Give a lesion a class: the one touched last unless ``number`` says which; the next class unless ``value``."""
        lesions = self.lesions()
        if not lesions or not self.paintable:
            return
        if number is None:
            number = self._touched_lesion(lesions)
        lesion = lesions[number]
        mask = self._case().drawing.mask
        mask[lesion.region] = value or next_class(lesion, self.session.study.label_schema)
        if self._case().drawing.replace(mask):
            self._keep_draft()

    def _touched_lesion(self, lesions: list[DrawnLesion]) -> int:
        if self.touched is None:
            return int(np.argmax([lesion.area_mm2 for lesion in lesions]))
        away = [
            float(np.min(((np.argwhere(lesion.region) - np.array(self.touched)) ** 2).sum(axis=1)))
            for lesion in lesions
        ]
        return int(np.argmin(away))

    def _keep_draft(self) -> None:
        """What is drawn on the slice at hand goes to the disk as a draft."""
        here = self.session.current
        self._measured = None
        self.views["follow_up"].refresh()
        if here is not None and not self.watching:
            self._keep(here.slice, self._case().drawing.mask)

    def _keep(self, number: int, mask: np.ndarray) -> None:
        """Keep a mask as a draft of the case at hand; where it is the stored answer or nothing, no draft is kept."""
        answer = self.answers.get(number)
        known = answer.mask if answer and answer.mask is not None else np.zeros_like(mask)
        if not np.array_equal(mask, known):
            self.session.draft(mask, number)
            self.drafts = self.drafts | {number}
        elif number in self.drafts:
            self.session.study.drafts.drop(self._case().case, number)
            self.drafts = self.drafts - {number}


def added_parts(suggested: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a suggestion would add to what is drawn: its lesions that touch nothing drawn, and the rest of the others.

    All are (rows, columns) bool. Lesions are joined, and touch, over corners too. A lesion of which every voxel is
    drawn adds nothing.

    >>> suggested = np.array([[1, 1, 0, 0, 1]], dtype=bool)
    >>> beside, along = added_parts(suggested, np.array([[1, 0, 0, 0, 0]], dtype=bool))
    >>> beside.astype(int).tolist(), along.astype(int).tolist()
    ([[0, 0, 0, 0, 1]], [[0, 1, 0, 0, 0]])
    """
    from scipy import ndimage

    corners = np.ones((3, 3), dtype=bool)
    lesions, _ = ndimage.label(suggested, structure=corners)
    near = np.unique(lesions[ndimage.binary_dilation(drawn, structure=corners) & suggested])
    touching = np.isin(lesions, near[near > 0])
    return suggested & ~touching, touching & ~drawn
