"""When an answer needs its key a second time, and what is said then. Plain values, no scene."""

from __future__ import annotations

from dataclasses import dataclass

from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.scene.sight import LONG_ENOUGH

LARGEST_UNSEEN = 0.02
"""Share of a slice's region that may be out of sight when its reader says that nothing else is there."""
LONGEST = 12.0
"""Seconds after which a second press is a first one again: the sentence has gone by then."""
_KEYS = {one.action: one.key for one in SHORTCUTS}


@dataclass(frozen=True)
class Doubt:
    """What was asked when an answer was given for the first time.

    Args:
        answer: the action of a kind of answer, see ``study.answer.KINDS``.
        place: number of the place that was on the screen, see `sight.Place`.
        at: seconds, of the clock that judges the second press.
    """

    answer: str
    place: int
    at: float

    def early(self, answer: str, place: int, now: float) -> bool:
        """Whether a press comes so soon that it is the first one's bounce."""
        return (answer, place) == (self.answer, self.place) and now - self.at < LONG_ENOUGH

    def met(self, answer: str, place: int, now: float) -> bool:
        """Whether a press says that the answer is meant."""
        return (answer, place) == (self.answer, self.place) and LONG_ENOUGH <= now - self.at <= LONGEST


def question(answer: str, *, shown: int, at_hand: int, unseen: float) -> str:
    """What to ask before an answer counts; empty where nothing needs to be asked.

    Args:
        answer: the action of a kind of answer, see ``study.answer.KINDS``.
        shown, at_hand: the slice on the screen and the one that was put to the reader, 0-based.
        unseen: share of the region of the slice on the screen that was never seen; 0 where the answer does not speak
            for all of it.

    >>> question("nothing_here", shown=20, at_hand=16, unseen=0.0)
    'You see slice 21, not slice 17. N again: answer slice 21, which you see; J: back to 17.'
    >>> question("nothing_here", shown=16, at_hand=16, unseen=0.25)
    '25 % of slice 17 was never on the screen at a size that can be read. N again: answer it all the same.'
    """
    key = _KEYS[answer]
    parts = []
    if shown != at_hand:
        parts.append(f"You see slice {shown + 1}, not slice {at_hand + 1}.")
    if unseen > LARGEST_UNSEEN:
        parts.append(f"{100 * unseen:.0f} % of slice {shown + 1} was never on the screen at a size that can be read.")
    if not parts:
        return ""
    if shown != at_hand:
        parts.append(f"{key} again: answer slice {shown + 1}, which you see; {_KEYS['return']}: back to {at_hand + 1}.")
    else:
        parts.append(f"{key} again: answer it all the same.")
    return " ".join(parts)
