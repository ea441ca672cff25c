"""Which slice is under the reader's hand: the next query, one of their own choice, the one before, another case."""

from __future__ import annotations

from collections.abc import Callable

from LMIALLib.queries.query import Query
from LMIALLib.scene.maps import Maps
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.viewing import Viewing


class Presenting:
    """Puts slices under the reader's hand.

    Args:
        screen: what is on the screen.
        viewing: shows the case and the slice.
        maps: shows the maps that belong to it.
        rank: ranks what nobody answered, in the background.
    """

    def __init__(self, screen: Screen, viewing: Viewing, maps: Maps, rank: Callable[[], None]) -> None:
        self._screen, self._viewing, self._maps, self._rank = screen, viewing, maps, rank
        self.crossing: Query | None = None  # the next query, where it is in another case
        self.arriving = False  # nothing is ranked yet, and the reader has chosen no case
        self.came = 0.0  # when the slice at hand was put there, by the clock

    def look_at(self, case: str) -> None:
        """Put a case on the screen, without any slice under the reader's hand."""
        self._viewing.open_case(case)
        self._viewing.show_answers()
        self._viewing.redraw()

    def go_to_case(self, case: str) -> None:
        """Go on in another case: its first query, or its slices to look at where nothing waits."""
        screen = self._screen
        screen.session.study.cases.get(case)
        self.arriving = False
        screen.refresh()
        first = next((query for query in screen.queue if query.case == case), None)
        if first is None or screen.watching:
            screen.session.current = None
            self.look_at(case)
        else:
            screen.session.present(case, first.slice, first)
            self.present()

    def next(self, *, crossed: bool = False, of: str = "") -> None:
        """Present the next query, that of a case first where one is named (``of``).

        Into another case only when the reader says so (``crossed``).
        """
        screen = self._screen
        screen.refresh()
        self.crossing = None
        if not screen.queue:
            self._nothing_left()
            return
        first = next((one for one in screen.queue if one.case == of), screen.queue[0])
        if screen.open is not None and first.case != screen.open.case and not crossed:
            self.crossing = first
            screen.session.current = None
            screen.open.drawing.close_slice()
            return
        screen.session.present(first.case, first.slice, first)
        self.present()

    def _nothing_left(self) -> None:
        screen, study = self._screen, self._screen.session.study
        screen.session.current = None
        if screen.open is not None:
            screen.open.drawing.close_slice()
            self._viewing.show_answers()
        stored = study.rankings.latest()
        if stored is None:
            return
        if stored.is_core_set and not screen.watching:
            screen.say("good", "The core-set is read. You may stop here; the other slices are being ranked.")
            self._rank()
        elif screen.open is None or study.patients.finished(screen.open.case) is None:
            screen.say("good", "Every slice is answered.")

    def choose(self, number: int, case: str | None = None) -> None:
        """Put a slice of the reader's choice under their hand."""
        self._screen.session.choose(case or self._screen.opened().case, number)
        self.present()

    def back(self) -> None:
        """Return to the slice answered before."""
        if self._screen.session.back() is None:
            self._screen.say("info", "There is no earlier answer of this sitting.")
            return
        self.present()

    def present(self) -> None:
        """Bring the session's present slice onto the screen: clean images first, an unsaved drawing back in place."""
        screen, viewing = self._screen, self._viewing
        here = screen.session.current
        assert here is not None
        self.arriving = False
        viewing.open_case(here.case)
        opened, tools = screen.opened(), screen.tools
        tools.showing = tools.hidden = tools.swapped = False
        screen.refresh()
        self._maps.update()
        draft = screen.session.study.drafts.get(here.case, here.slice)
        answer = screen.answers.get(here.slice)
        opened.drawing.slice = here.slice
        viewing.show_answers()
        opened.drawing.open_slice(here.slice, draft.mask if draft else answer.mask if answer else None)
        screen.measured, screen.touched, screen.asking, self.crossing = None, None, "", None
        if draft:
            saved_at = draft.saved_at[:16].replace("T", " ")
            screen.say("info", f"What you drew before is back: a draft of {saved_at} UTC.")
        opened.navigation.turn(0)
        opened.navigation.go_to(here.slice)
        viewing.frame()
        if tools.always:
            screen.session.suggestion()
        self.came = screen.clock()
        viewing.redraw()
