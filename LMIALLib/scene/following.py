"""What the worker reports while a reader goes on: rankings, trained networks, pairs that were registered again."""

from __future__ import annotations

from typing import Any

from LMIALLib.loop.ranking_change import what_changed
from LMIALLib.scene.answering import Answering
from LMIALLib.scene.drafts import keep_draft
from LMIALLib.scene.label import LabelMaker
from LMIALLib.scene.maps import Maps
from LMIALLib.scene.presenting import Presenting
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.viewing import Viewing
from LMIALLib.worker.client import Job
from LMIALLib.worker.events import Event, Failed
from LMIALLib.worker.requests import Rank, Ranked, Registered, Trained

SETTLING = 1.0
"""Seconds for which a query that has just come may give way to a better one: the last answer has been taken in then."""


class Following:
    """Takes in what the worker reports; the slice under the reader's hand never moves.

    Args:
        screen, viewing, maps, maker: what is on the screen, what shows it, and who draws on it.
        presenting: puts the next query under the reader's hand, where nothing is there.
        answering: knows whether the reader is about to answer.
    """

    def __init__(
        self,
        screen: Screen,
        viewing: Viewing,
        maps: Maps,
        maker: LabelMaker,
        presenting: Presenting,
        answering: Answering,
    ) -> None:
        self._screen, self._viewing, self._maps, self._maker = screen, viewing, maps, maker
        self._presenting, self._answering = presenting, answering

    def poll(self) -> list[tuple[Job[Any], Event]]:
        """Take in what the worker reported since the last call; returns it."""
        screen = self._screen
        events = screen.session.learning.poll()
        for job, event in events:
            if isinstance(event, Ranked):
                self._ranked(job)
            elif isinstance(event, Trained):
                if event.adopted:
                    screen.say("good", "The network learned from your answers; the rest is being ranked again.")
                else:
                    screen.say("info", f"The newly trained network is not used. {' '.join(event.reasons)}")
            elif isinstance(event, Registered):
                self.registered(event.case, event.registration, job.do)
            elif isinstance(event, Failed) and job.error is not None:
                screen.say("error", str(job.error))
        return events

    def _ranked(self, job: Job[Any]) -> None:
        screen = self._screen
        session, before = screen.session, screen.queue
        screen.refresh()
        if session.current is None and self._presenting.crossing is None and not screen.watching:
            self._presenting.next(crossed=self._presenting.arriving)
            return
        if session.learning.finishes:
            self.take_ranking()
        if not (isinstance(job.request, Rank) and job.request.keep):  # what an answer brings needs no words
            screen.say("info", f"Ranked anew. {what_changed(before, screen.queue, session.settings.batch)}")

    def take_ranking(self) -> None:
        """Go by the newest ranking at once where the reader has not begun with the slice at hand.

        Another slice of the same patient may then come instead; one that was begun keeps the maps that belong to it.
        """
        screen = self._screen
        here, first = screen.session.current, screen.queue[0] if screen.queue else None
        if here is None or here.query is None or first is None or first.case != here.case or self._begun():
            return
        if first.slice != here.slice:
            self._presenting.next()
        else:
            screen.session.present(first.case, first.slice, first)
            self._maps.update()
            self._viewing.redraw()

    def _begun(self) -> bool:
        """Whether the reader did anything with the slice at hand, or has looked at it for a moment."""
        screen = self._screen
        here, opened = screen.session.current, screen.open
        if here is None or opened is None or opened.case != here.case:
            return True
        drawn = bool(opened.drawing.mask.any()) or here.slice in screen.drafts
        moved = screen.shown_slice != here.slice or not self._viewing.framed
        looked = here.suggestion_seconds is not None or self._answering.doubt is not None or screen.tools.swapped
        return drawn or moved or looked or screen.clock() - self._presenting.came > SETTLING

    def registered(self, case: str, report: dict[str, Any], what: str = "register") -> None:
        """Take in that a case has a new pair: where it is on the screen it is shown anew, on the same slice."""
        self._maker.take_in()  # a stroke that is not taken in yet would go with the nodes
        screen, viewing = self._screen, self._viewing
        if what == "region":
            note, bad = f"The region was changed. {report['brain']['sentence']}", report["brain"]["alarm"]
        else:
            note, bad = f"Registered again ({report['kind']}). {report['sentence']}", report["alarm"]
        screen.say("warning" if bad else "good", note.strip())
        if screen.open is None or screen.open.case != case:
            return
        number, here = screen.shown_slice, screen.session.current
        if here is not None:
            keep_draft(screen)
        viewing.put_away()
        if here is not None:
            self._presenting.present()
        else:
            self._presenting.look_at(case)
        if number is not None:
            viewing.go_to(number)
