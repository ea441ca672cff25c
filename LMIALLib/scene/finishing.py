"""What a reader does at either face to finish a patient: a sweep through what is left, and the word."""

from __future__ import annotations

from LMIALLib.scene.presenting import Presenting
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.sight import LONG_ENOUGH
from LMIALLib.scene.viewing import Viewing

PACES = (0.5, 1.0, 2.0)
"""Seconds for which a sweep can show a slice, the usual one in the middle."""
ASKED_FOR = 12.0
"""Seconds after which a second press is a first one again: the sentence has gone by then."""
DURING_A_SWEEP = ("looked", "show", "always", "opacity", "hide", "pace", "quick")
"""Actions that leave a sweep going; every other one stops it and does nothing else."""


class Finishing:
    """The part of a workspace that finishes patients.

    Args:
        screen: what is on the screen.
        viewing: shows the slices of a sweep.
        presenting: goes on afterwards.
    """

    def __init__(self, screen: Screen, viewing: Viewing, presenting: Presenting) -> None:
        self._screen, self._viewing, self._presenting = screen, viewing, presenting
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
        opened = self._screen.opened()
        inside = opened.images.inside
        return [number for number in self._screen.session.patient.left_to_sweep(opened.case) if inside[number]]

    def sweep(self) -> None:
        """Show every slice of the case that was neither read nor viewed, one after the other, until a key stops it."""
        screen = self._screen
        opened = screen.opened()
        self._left = self.left
        if not self._left:
            screen.say("info", "Every slice was read or looked at. Ctrl+U: this patient is finished.")
            return
        self._labelled, self._since = False, None
        opened.navigation.turn(0)
        self._viewing.fit()
        self._viewing.go_to(self._left[0])
        screen.say("info", f"{len(self._left)} slices, {self.pace:g} s each; S shows the label, any other key stops.")

    def next_pace(self) -> None:
        """The next pace of a sweep."""
        self.pace = PACES[(PACES.index(self.pace) + 1) % len(PACES)]
        self._screen.say("info", f"A sweep shows each slice for {self.pace:g} s.")

    def tick(self) -> None:
        """Go on with a sweep where the slice has stood on the screen for long enough, which is kept at once. Call it
        from a timer."""
        screen = self._screen
        if not self._left:
            return
        if screen.open is None or screen.shown_slice != self._left[0]:
            self.stop()  # something else came onto the screen
            return
        self._labelled |= screen.tools.showing or screen.tools.always
        if not self._viewing.sight.settled:
            self._since = None
            return
        if self._since is None:
            self._since = screen.clock() - LONG_ENOUGH  # a face says once that a place has stood for so long
        seconds = screen.clock() - self._since
        if seconds < self.pace:
            return
        left, self._left = self._left, []  # where it cannot be kept, the sweep ends
        if not screen.watching:
            screen.session.patient.swept(screen.open.case, [(left[0], seconds)], label_shown=self._labelled)
        self._left, self._since, self._labelled = left[1:], None, False
        if self._left:
            self._viewing.go_to(self._left[0])
        else:
            screen.say("good", "That was the last slice. Ctrl+U: this patient is finished.")

    def stop(self) -> None:
        """End a sweep, if one is going on; what was looked at is kept already."""
        self._left = []

    def interrupts(self, action: str) -> bool:
        """Whether an action only stops a running sweep, which is then stopped, instead of being done."""
        if not self._left or action in DURING_A_SWEEP:
            return False
        left = len(self._left)
        self.stop()
        self._screen.say("info", f"The sweep is stopped; {left} slices are left.")
        return True

    # The reader's word -----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Say that the patient on the screen is finished; the next patient opens.

        Where slices were neither read nor looked at, only when it is given twice.
        """
        screen = self._screen
        case, now = screen.opened().case, screen.clock()
        left = len(self.left)
        asked, at = self._asked
        if left and not (asked == case and LONG_ENOUGH <= now - at <= ASKED_FOR):
            self._asked = case, now
            slices = f"{left} slices were" if left > 1 else "One slice was"
            screen.say("warning", f"{slices} neither read nor looked at. U: look through them; Ctrl+U again: finished.")
            return
        self._asked = "", -ASKED_FOR
        if screen.session.patient.standing(case).finished:
            screen.say("info", f"{case} is finished already.")
            return
        screen.session.patient.finish(case)
        screen.say("good", f"{case} is finished.")
        self._presenting.next(crossed=True)

    def reopen(self) -> None:
        """Say that the patient on the screen is not finished after all."""
        case = self._screen.opened().case
        self._screen.session.patient.reopen(case)
        self._screen.say("good", f"{case} is open again.")
        self._presenting.next(of=case)
