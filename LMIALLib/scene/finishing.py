"""What a reader does at either face to finish a patient: a sweep through what is left, lesions as a whole, the word."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.scene.listing import Listing
from LMIALLib.scene.sight import LONG_ENOUGH, unseen_share
from LMIALLib.study.lesion import READ

PACES = (0.5, 1.0, 2.0)
"""Seconds for which a sweep can show a slice, the usual one in the middle."""
ASKED_FOR = 12.0
"""Seconds after which a second press is a first one again: the sentence has gone by then."""
DURING_A_SWEEP = ("looked", "show", "always", "opacity", "hide", "pace", "quick")
"""Actions that leave a sweep going; every other one stops it and does nothing else."""


class Finishing:
    """The part of a workspace that finishes patients.

    Args:
        desk: what is on the screen.
        go_on: shows the next query: of the case that is named, else of any.
    """

    def __init__(self, desk: Listing, go_on: Callable[[str], None]) -> None:
        self._desk, self._go_on = desk, go_on
        self.pace = PACES[1]
        self._left: list[int] = []
        self._labelled = False
        self._since: float | None = None
        self._asked = "", -ASKED_FOR

    # Sweep -----------------------------------------------------------------------------------------------------

    @property
    def sweeping(self) -> bool:
        """Whether a sweep is going on."""
        return bool(self._left)

    @property
    def ahead(self) -> int:
        """How many slices a running sweep still has to show, that on the screen included; 0 without one."""
        return len(self._left)

    @property
    def left(self) -> list[int]:
        """Slices of the case that were neither read nor looked at; those outside the region have nothing to see."""
        opened = self._desk._case()
        inside = opened.images.inside
        return [number for number in self._desk.session.patient.left_to_sweep(opened.case) if inside[number]]

    def sweep(self) -> None:
        """Show every slice of the case that was neither read nor viewed, one after the other, until a key stops it."""
        desk = self._desk
        opened = desk._case()
        self._left = self.left
        if not self._left:
            desk.say("info", "Every slice was read or looked at. Ctrl+U: this patient is finished.")
            return
        self._labelled, self._since = False, None
        opened.navigation.turn(0)
        desk.fit()
        desk.go_to(self._left[0])
        desk.say("info", f"{len(self._left)} slices, {self.pace:g} s each; S shows the label, any other key stops.")

    def next_pace(self) -> None:
        """The next pace of a sweep."""
        self.pace = PACES[(PACES.index(self.pace) + 1) % len(PACES)]
        self._desk.say("info", f"A sweep shows each slice for {self.pace:g} s.")

    def tick(self) -> None:
        """Go on with a sweep where the slice has stood on the screen for long enough, which is kept at once. Call it
        from a timer."""
        desk = self._desk
        if not self._left:
            return
        if desk.open is None or desk.shown_slice != self._left[0]:
            self.stop()  # something else came onto the screen
            return
        self._labelled |= desk.tools.showing or desk.tools.always
        if not desk.sight.settled:
            self._since = None
            return
        if self._since is None:
            self._since = desk.clock() - LONG_ENOUGH  # a face says once that a place has stood for so long
        seconds = desk.clock() - self._since
        if seconds < self.pace:
            return
        left, self._left = self._left, []  # where it cannot be kept, the sweep ends
        if not desk.watching:
            desk.session.patient.swept(desk.open.case, [(left[0], seconds)], label_shown=self._labelled)
        self._left, self._since, self._labelled = left[1:], None, False
        if self._left:
            desk.go_to(self._left[0])
        else:
            desk.say("good", "That was the last slice. Ctrl+U: this patient is finished.")

    def stop(self) -> None:
        """End a sweep, if one is going on; what was looked at is kept already."""
        self._left = []

    def interrupts(self, action: str) -> bool:
        """Whether an action only stops a running sweep, which is then stopped, instead of being done."""
        if not self._left or action in DURING_A_SWEEP:
            return False
        left = len(self._left)
        self.stop()
        self._desk.say("info", f"The sweep is stopped; {left} slices are left.")
        return True

    # The reader's word -----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Say that the patient on the screen is finished; the next patient opens.

        Where slices were neither read nor looked at, only when it is said twice.
        """
        desk = self._desk
        case, now = desk._case().case, desk.clock()
        left = len(self.left)
        asked, at = self._asked
        if left and not (asked == case and LONG_ENOUGH <= now - at <= ASKED_FOR):
            self._asked = case, now
            slices = f"{left} slices were" if left > 1 else "One slice was"
            desk.say("warning", f"{slices} neither read nor looked at. U: look through them; Ctrl+U again: finished.")
            return
        self._asked = "", -ASKED_FOR
        if desk.session.patient.standing(case).finished:
            desk.say("info", f"{case} is finished already.")
            return
        desk.session.patient.finish(case)
        desk.say("good", f"{case} is finished.")
        self._go_on("")

    def reopen(self) -> None:
        """Say that the patient on the screen is not finished after all."""
        case = self._desk._case().case
        self._desk.session.patient.reopen(case)
        self._desk.say("good", f"{case} is open again.")
        self._go_on(case)

    # Lesions as a whole ------------------------------------------------------------------------------------------

    def accept_lesion(self, number: int) -> None:
        """Say that a suggested lesion is one; its number is that of the list. BadInput where that cannot be said."""
        self._say_of_lesion(number, "accepted")

    def reject_lesion(self, number: int) -> None:
        """Say that a suggested lesion is none."""
        self._say_of_lesion(number, "rejected")

    def take_back_lesion(self) -> None:
        """Withdraw what was said last of a lesion as a whole."""
        self._desk.session.patient.take_back_lesion(self._desk._case().case)
        self._desk.say("good", "What was said last of a lesion is taken back.")

    def _say_of_lesion(self, number: int, verdict: str) -> None:
        desk = self._desk
        opened, case = desk._case(), desk._case().case
        found = next((one for one in desk.objects() if one.number == number), None)
        if found is None:
            raise BadInput(f"This case has no lesion {number} now.")
        if found.status == READ:
            raise BadInput(f"Lesion {number} was read: its slices have their answers.", "Answer the slice again.")
        voxels = desk.suggested_lesion(number)
        stack = opened.images.pair.stack(voxels)
        shown = [
            int(k) for k in np.flatnonzero(stack.any(axis=(1, 2)))
            if unseen_share(stack[k], desk.sight.seen(case, int(k))) == 0.0
        ]  # fmt: skip
        if not shown:
            raise BadInput(f"Lesion {number} was not on the screen yet.", "Click on it in the list, and look.")
        desk.session.patient.say_of_lesion(case, verdict, voxels, shown)
        everywhere = "" if len(shown) == np.count_nonzero(stack.any(axis=(1, 2))) else ", where you saw it"
        desk.say("good", f"Lesion {number} is {verdict}{everywhere}.")
