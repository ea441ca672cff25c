"""The label of the slice at hand: undo, suggestion, classes; drafts at once. Without trame or Qt."""

from __future__ import annotations

import numpy as np

from LMIALLib.loop.lesions import DrawnLesion, drawn_lesions, next_class
from LMIALLib.scene.drafts import keep_draft
from LMIALLib.scene.label import LabelMaker
from LMIALLib.scene.screen import Screen


class Painting:
    """What can be done with the label of the slice under the reader's hand, whoever draws it.

    Args:
        screen: what is on the screen.
        maker: draws the label.
    """

    def __init__(self, screen: Screen, maker: LabelMaker) -> None:
        self._screen, self._maker = screen, maker

    def undo(self) -> None:
        """Take the last step back; with Slicer's editor also where it was drawn on other slices."""
        if self._screen.paintable and self._screen.opened().drawing.undo():
            keep_draft(self._screen)
        self._maker.take_in()

    def redo(self) -> None:
        """Do it again."""
        if self._screen.paintable and self._screen.opened().drawing.redo():
            keep_draft(self._screen)
        self._maker.take_in()

    def accept(self, *, touching: bool | None = None) -> None:
        """Add the suggestion to what is drawn, as one undo step; nothing that was drawn goes, no class changes.

        Where a suggested lesion touches what was drawn, ``screen.asking`` becomes "accept" and nothing is done, unless
        ``touching`` says whether such lesions are added too.
        """
        screen = self._screen
        if not screen.paintable:
            self._say_why_not()
            return
        suggested = screen.session.suggestion()
        if suggested is None:
            screen.say("info", "There is no suggestion to take over on this slice.")
            return
        drawing = screen.opened().drawing
        mask = drawing.mask
        beside, along = added_parts(suggested, mask > 0)
        screen.asking = ""
        if along.any() and touching is None:
            screen.asking = "accept"
            return
        added = beside | along if touching else beside
        if added.any():
            drawing.replace(np.where(added, 1, mask).astype(np.uint8))
            keep_draft(screen)
        elif not suggested.any():
            screen.say("info", "The suggestion says that nothing changed on this slice.")

    def _say_why_not(self) -> None:
        screen, here, shown = self._screen, self._screen.session.current, self._screen.shown_slice
        if here is not None and shown is not None and shown != here.slice and not screen.watching:
            screen.say(
                "info", f"You see slice {shown + 1}; slice {here.slice + 1} is the one to change. J: back to it."
            )

    def paint_with(self, value: int) -> None:
        """Paint this class from now on."""
        self._screen.session.study.label_schema.name_of(value)
        self._screen.tools.value = value

    def lesions(self) -> list[DrawnLesion]:
        """The lesions on the slice at hand, with the class that the difference proposes."""
        screen = self._screen
        here = screen.session.current
        if here is None or screen.open is None or screen.open.drawing.slice is None:
            return []
        if screen.measured is None:
            pair = screen.open.images.pair
            baseline, follow_up = (pair.stack(array)[here.slice] for array in (pair.baseline, pair.follow_up))
            screen.measured = drawn_lesions(screen.open.drawing.mask, baseline, follow_up, pair.in_plane_spacing)
        return screen.measured

    def change_class(self, number: int | None = None, value: int | None = None) -> None:
        """Give a lesion a class: the one touched last unless ``number`` says which; the next class unless ``value``."""
        lesions = self.lesions()
        if not lesions or not self._screen.paintable:
            return
        if number is None:
            number = self._touched_lesion(lesions)
        lesion, drawing = lesions[number], self._screen.opened().drawing
        mask = drawing.mask
        mask[lesion.region] = value or next_class(lesion, self._screen.session.study.label_schema)
        if drawing.replace(mask):
            keep_draft(self._screen)

    def _touched_lesion(self, lesions: list[DrawnLesion]) -> int:
        touched = self._screen.touched
        if touched is None:
            return int(np.argmax([lesion.area_mm2 for lesion in lesions]))
        away = [
            float(np.min(((np.argwhere(lesion.region) - np.array(touched)) ** 2).sum(axis=1))) for lesion in lesions
        ]
        return int(np.argmin(away))


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
