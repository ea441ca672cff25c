"""Answers of the reader: what is asked before one counts, when its key is needed a second time, and the storing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.scene.presenting import Presenting
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.sight import LONG_ENOUGH, Sight, unseen_share
from LMIALLib.study.answer import KIND_OF, Viewed

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


class Answering:
    """Takes the reader's answers.

    Args:
        screen: what is on the screen.
        sight: what of it was seen.
        presenting: puts the next slice under the reader's hand.
    """

    def __init__(self, screen: Screen, sight: Sight, presenting: Presenting) -> None:
        self._screen, self._sight, self._presenting = screen, sight, presenting
        self.doubt: Doubt | None = None

    def answer(self, what: str, *, sure: bool = False) -> None:
        """Say ``what`` (the action of a kind of answer) of the slice on the screen. On disk before the next shows.

        Nothing is stored that was not seen: not before the slice has stood in all views for a moment, and, where it is
        not the slice at hand or part of it was never large enough on the screen, not before the same is given twice.
        """
        screen, sight = self._screen, self._sight
        here, shown, place = screen.session.current, screen.shown_slice, sight.place
        if here is None:
            raise BadInput("No slice is under your hand.", "Choose one in the queue.")
        if shown is None or place is None:
            raise BadInput(
                "You see another plane, in which no slice can be answered.", f"J: back to slice {here.slice + 1}."
            )
        if not sight.settled:
            screen.say("info", f"Slice {shown + 1} has only just come, so nothing was stored. Look, then say it again.")
            return
        mask = screen.opened().drawing.mask_of(shown)
        if what == "save" and not mask.any():
            raise BadInput(f"Nothing is drawn on slice {shown + 1}.", "If nothing changed here, say so: N.")
        asked = "" if sure else question(what, shown=shown, at_hand=here.slice, unseen=self._left_out(what, mask))
        now, doubt, self.doubt = screen.clock(), self.doubt, None
        if asked and not (doubt is not None and doubt.met(what, place.number, now)):
            bounced = doubt is not None and doubt.early(what, place.number, now)
            self.doubt = doubt if bounced else Doubt(what, place.number, now)
            screen.say("warning", asked)
            return
        seen, seconds = self._viewed(shown), None
        if shown != here.slice:
            seconds = sight.seconds(screen.opened().case, shown)
            self._presenting.choose(shown)
        if what == "nothing_here" and mask.any() and not sure:
            screen.asking = "nothing_here"
            return
        screen.asking = ""
        self._store(what, mask, seconds, seen)

    def take_back(self) -> None:
        """Withdraw the answer of the slice at hand."""
        session = self._screen.session
        here = session.current
        if here is None:
            return
        session.take_back()
        self._screen.say("good", f"Slice {here.slice + 1} is in the pool again; its answer stays in the history.")
        self._presenting.choose(here.slice, here.case)

    def _store(self, what: str, mask: np.ndarray, seconds: float | None, seen: Viewed) -> None:
        screen, kind = self._screen, KIND_OF[what]
        taken = mask if kind.mask == "needed" or (kind.mask == "possible" and mask.any()) else None
        done = screen.session.answer(kind.name, taken, seconds=seconds, viewed=seen)
        again = f", version {done.version}" if done.version > 1 else ""
        screen.say("good", f"Slice {done.slice + 1}: {kind.saved}{again}.")
        if screen.session.learning.trouble:
            screen.say("warning", screen.session.learning.trouble)
        self._presenting.next()

    def _viewed(self, number: int) -> Viewed:
        """What of a slice of the case on the screen was seen."""
        opened = self._screen.opened()
        seen = self._sight.seen(opened.case, number)
        return Viewed(seen, 1.0 - unseen_share(opened.images.pair.stack(opened.images.pair.mask)[number], seen))

    def _left_out(self, what: str, mask: np.ndarray) -> float:
        """Share of the slice on the screen that an answer speaks for although it was not seen."""
        shown = self._screen.shown_slice
        assert shown is not None
        speaks = what == "nothing_here" or (what == "save" and self._screen.session.as_suggested(shown, mask))
        return 1.0 - self._viewed(shown).share if speaks else 0.0
