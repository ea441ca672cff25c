"""What a reader does at either face: a session, a case in a scene, and views, as plain calls without trame or Qt.

The desk holds what is on the screen and nothing that must survive: answers and drafts are in the study at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.loop.news import what_changed
from LMIALLib.loop.queue import of_another_model
from LMIALLib.queries.ranking import Query
from LMIALLib.scene.painting import Painting
from LMIALLib.study.lease import SessionTakenOver


class Desk(Painting):
    """One reader in front of one study."""

    # Opening ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Show the first query, or the first case while nothing is ranked; ranks where the model in use did not yet."""
        self.refresh()
        stored = self.session.study.latest_ranking()
        core_set = stored is not None and stored.is_core_set
        due = not self.queue if core_set else of_another_model(self.session.study)
        if due and not self.watching and self.session.study.cases():
            self.rank()
        if self.queue and not self.watching:
            self.next()
        elif self.session.study.cases():
            self.arriving = True
            self.look_at(self.queue[0].case if self.queue else self.session.study.cases()[0].name)

    def look_at(self, case: str) -> None:
        """Put a case on the screen, without any slice under the reader's hand."""
        self._open_case(case)
        self._show_answers()
        self.redraw()

    def go_to_case(self, case: str) -> None:
        """Go on in another case: its first query, or its slices to look at where nothing waits."""
        self.session.study.case(case)
        self.arriving = False
        self.refresh()
        first = next((query for query in self.queue if query.case == case), None)
        if first is None or self.watching:
            self.session.current = None
            self.look_at(case)
        else:
            self.session.present(case, first.slice, first)
            self._present(first)

    def take_over(self) -> None:
        """Annotate here from now on; the session that held the study can save no more."""
        mask = self.open.drawing.mask if self.open and self.open.drawing.slice is not None else None
        here = self.session.current
        reader = self.session.reader
        self._end_session()
        self.session = self.opening(True)
        self.session.reader = reader or self.session.reader
        self.asking = ""
        self.refresh()
        if here is not None and mask is not None:  # what was drawn when the study was taken away
            self.session.choose(here.case, here.slice)
            self._present(None)
            if self.open is not None and self.open.drawing.replace(mask):
                self._keep_draft()
        else:
            self.next()

    def lost(self, sentence: str) -> None:
        """Another session took the study: look on, keep what is drawn on the screen."""
        here, reader = self.session.current, self.session.reader
        self._end_session()
        self.session = self.opening(False)
        self.session.reader, self.session.current = reader, here
        self.say("warning", sentence)

    def _end_session(self) -> None:
        with suppress(LMIALError):
            self.session.close()
        with suppress(LMIALError):
            self.session.study.close()

    def close(self) -> None:
        """Keep what is drawn as a draft, end the worker, give the study back."""
        try:
            if self.open is not None and self.session.current is not None and not self.watching:
                with suppress(LMIALError):
                    self._keep_draft()
        finally:
            self._end_session()

    # Slices under the reader's hand ------------------------------------------------------------------------------

    def next(self, *, crossed: bool = False) -> None:
        """Present the next query; into another case only when the reader says so (``crossed``)."""
        self.refresh()
        self.crossing = None
        if not self.queue:
            self._nothing_left()
            return
        first = self.queue[0]
        if self.open is not None and first.case != self.open.case and not crossed:
            self.crossing = first
            self.session.current = None
            self.open.drawing.close_slice()
            return
        self.session.present(first.case, first.slice, first)
        self._present(first)

    def _nothing_left(self) -> None:
        self.session.current = None
        if self.open is not None:
            self.open.drawing.close_slice()
            self._show_answers()
        stored = self.session.study.latest_ranking()
        if stored is None:
            return
        if stored.is_core_set and not self.watching:
            self.say("good", "The core-set is read. You may stop here; the other slices are being ranked.")
            self.rank()
        else:
            self.say("good", "Every slice is answered.")

    def choose(self, number: int, case: str | None = None) -> None:
        """Put a slice of the reader's choice under their hand."""
        case = case or self._case().case
        self.session.choose(case, number)
        assert self.session.current is not None
        self._present(self.session.current.query)

    def back(self) -> None:
        """Return to the slice answered before."""
        if self.session.back() is None:
            self.say("info", "There is no earlier answer of this sitting.")
            return
        self._present(None)

    def take_back(self) -> None:
        """Withdraw the answer of the slice at hand."""
        here = self.session.current
        if here is None:
            return
        self.session.take_back()
        self.say("good", f"Slice {here.slice + 1} is in the pool again; what was said stays in the history.")
        self.choose(here.slice, here.case)

    def _present(self, query: Query | None) -> None:
        """Bring the session's present slice onto the screen: clean images first, an unsaved drawing back in place."""
        here = self.session.current
        assert here is not None
        self.arriving = False
        self._open_case(here.case)
        opened = self._case()
        self.tools.showing = self.tools.hidden = self.tools.swapped = False
        self.refresh()
        self._take_maps()
        draft = self.session.study.draft(here.case, here.slice)
        answer = self.answers.get(here.slice)
        opened.drawing.slice = here.slice
        self._show_answers()
        opened.drawing.open_slice(here.slice, draft.mask if draft else answer.mask if answer else None)
        self._measured, self.touched, self.crossing, self.asking = None, None, None, ""
        if draft:
            self.say("info", f"What you drew before is back: a draft of {draft.saved_at[:16].replace('T', ' ')} UTC.")
        opened.navigation.turn(0)
        opened.navigation.go_to(here.slice)
        self._frame(query if query is not None and query.drawn == "strategy" else "brain")
        if self.tools.always:
            self.session.suggestion()
        self.redraw()

    # Answers -----------------------------------------------------------------------------------------------------

    def answer(self, what: str, *, sure: bool = False) -> None:
        """Say ``what`` of the slice at hand: save, nothing_here, equivocal, skip. On disk before the next one shows."""
        here = self.session.current
        if here is None:
            raise BadInput("No slice is under your hand.", "Choose one in the queue.")
        mask = self._case().drawing.mask
        if what == "save" and not mask.any():
            raise BadInput("Nothing is drawn on this slice.", "If nothing changed here, say so: N.")
        if what == "nothing_here" and mask.any() and not sure:
            self.asking = "nothing_here"
            return
        self.asking = ""
        if what == "save":
            done = self.session.save(mask)
        elif what == "nothing_here":
            done = self.session.nothing_here()
        elif what == "equivocal":
            done = self.session.equivocal(mask if mask.any() else None)
        else:
            done = self.session.skip()
        said = {"mask": "saved", "nothing": "nothing here", "equivocal": "equivocal", "skip": "skipped for now"}
        again = f", version {done.version}" if done.version > 1 else ""
        self.say("good", f"Slice {here.slice + 1}: {said[done.answer]}{again}.")
        if self.session.learning.trouble:
            self.say("warning", self.session.learning.trouble)
        self.next()

    # Looking -----------------------------------------------------------------------------------------------------

    # In the background -------------------------------------------------------------------------------------------

    def tick(self) -> list[tuple[Any, str]]:
        """Take in what the worker said; the slice under the reader's hand never moves. Call it from a timer."""
        events = self.session.learning.poll()
        for job, event in events:
            if event == "ranked":
                before = self.queue
                self.refresh()
                if self.session.current is None and self.crossing is None and not self.watching:
                    self.next(crossed=self.arriving)
                else:
                    self.say("info", f"Ranked anew. {what_changed(before, self.queue, self.session.settings.batch)}")
            elif event == "model" and job.result is not None:
                told = " ".join(job.result["reasons"])
                if job.result["adopted"]:
                    self.say("good", "The network learned from your answers; the rest is being ranked again.")
                else:
                    self.say("info", f"The newly trained network is not used. {told}")
            elif event == "registered" and job.result is not None:
                self._registered(job.result["case"], job.result["registration"])
            elif event == "failed" and job.error is not None:
                self.say("error", str(job.error))
        return events

    def rank(self) -> None:
        """Rank what nobody answered, in the background."""
        running = self.session.learning.ranking
        if running is None or running.over:
            self.session.learning.request_ranking()

    def register_again(self, kind: str) -> None:
        """Register the case on the screen again, "rigid" or "affine", in the background."""
        self.session.learning.request_registration(self._case().case, kind)
        self.say("info", "Registering again; you can go on meanwhile. Your answers stay where they are.")

    def _registered(self, case: str, report: dict[str, Any]) -> None:
        """A case has a new pair: where it is on the screen it is shown anew, on the same slice."""
        told = f"Registered again ({report['kind']}). {report['sentence']}"
        self.say("warning" if report["alarm"] else "good", told)
        if self.open is None or self.open.case != case:
            return
        navigation, here = self.open.navigation, self.session.current
        number = navigation.slice if navigation.current == 0 else None
        if here is not None:
            self._keep_draft()
        self._put_away()
        if here is not None:
            self._present(here.query)
        else:
            self.look_at(case)
        if number is not None:
            self.go_to(number)

    def cancel_training(self) -> None:
        """Stop the running training; it is not begun again by itself."""
        self.session.learning.cancel_training()
        self.say("info", "Training is being cancelled; your answers are kept, and the next save trains again.")

    def look_around(self) -> None:
        """Notice that another session took the study; while watching, show what that session did."""
        study = self.session.study
        if not study.read_only and not study.still_ours():
            self.lost("This study was taken over by another session. What you drew stays on your screen.")
        elif study.read_only and self.open is not None:
            before = len(self.answers), len(self.queue)
            self.refresh()
            if before != (len(self.answers), len(self.queue)):
                self._show_answers()
                self.redraw()

    def stand(self) -> tuple[Any, ...]:
        """Changes whenever something happened in the background that the page shows."""
        jobs = self.session.learning.training, self.session.learning.ranking
        states = [job.state for job in (*jobs, self.session.learning.registering) if job]
        return self.watching, len(self.queue), len(self.answers), states, self.open and self.open.case

    def guarded(self, action: Callable[[], None]) -> bool:
        """Run an action of the reader; whatever goes wrong becomes a sentence. Returns whether it went well."""
        try:
            action()
            return True
        except SessionTakenOver as error:
            self.lost(error.sentence[0].upper() + error.sentence[1:])
        except LMIALError as error:
            sentence = str(error)
            self.say("error", sentence[0].upper() + sentence[1:])
        return False
