"""What a reader does at either face: a session, a case in a scene, and views, as plain calls without trame or Qt.

The desk holds what is on the screen and nothing that must survive: answers and drafts are in the study at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError, as_sentence, disk_problem
from LMIALLib.loop.queue import of_another_model
from LMIALLib.loop.ranking_change import what_changed
from LMIALLib.loop.settings import BY_DIFFERENCE
from LMIALLib.scene.answering import Doubt, question
from LMIALLib.scene.finishing import Finishing
from LMIALLib.scene.painting import Painting
from LMIALLib.scene.sight import unseen_share
from LMIALLib.study.answer import KIND_OF, Viewed
from LMIALLib.study.lease import SessionTakenOver
from LMIALLib.worker.client import Job
from LMIALLib.worker.events import Event, Failed
from LMIALLib.worker.requests import Rank, Ranked, Registered, Trained

SETTLING = 1.0
"""Seconds for which a query that has just come may give way to a better one: the last answer has been taken in then."""


class Desk(Painting):
    """One reader in front of one study."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.finishing = Finishing(self, lambda case: self.next(crossed=not case, of=case))

    def flip_own_map(self) -> None:
        """Show the network's own suggestion, without what was learnt of this patient, or that of the head again."""
        self.tools.own_map = not self.tools.own_map
        if self.open is not None:
            self._take_maps()
        self.say(
            "info", "The network's own suggestion." if self.tools.own_map else "What was learnt here counts again."
        )
        self.redraw()

    # Opening ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Show the first query, or the first case while nothing is ranked; ranks where the model in use did not yet."""
        self.refresh()
        stored = self.session.study.rankings.latest()
        core_set = stored is not None and stored.is_core_set
        due = not self.queue if core_set else of_another_model(self.session.study)
        if due and not self.watching and self.session.study.cases.all():
            self.rank()
        elif self.session.learning.answered_since() and not self.watching:
            self.session.learning.adapt_when_possible()  # the last sitting ended before it could
        if self.queue and not self.watching:
            self.next()
        elif self.session.study.cases.all():
            self.arriving = True
            self.look_at(self.queue[0].case if self.queue else self.session.study.cases.all()[0].name)

    def look_at(self, case: str) -> None:
        """Put a case on the screen, without any slice under the reader's hand."""
        self._open_case(case)
        self._show_answers()
        self.redraw()

    def go_to_case(self, case: str) -> None:
        """Go on in another case: its first query, or its slices to look at where nothing waits."""
        self.session.study.cases.get(case)
        self.arriving = False
        self.refresh()
        first = next((query for query in self.queue if query.case == case), None)
        if first is None or self.watching:
            self.session.current = None
            self.look_at(case)
        else:
            self.session.present(case, first.slice, first)
            self._present()

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
            self._present()
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
            with suppress(LMIALError):
                self.finishing.stop()
            if self.open is not None and self.session.current is not None and not self.watching:
                with suppress(LMIALError):
                    self._keep_draft()
        finally:
            self._end_session()

    # Slices under the reader's hand ------------------------------------------------------------------------------

    def next(self, *, crossed: bool = False, of: str = "") -> None:
        """Present the next query, that of a case first where one is named (``of``).

        Into another case only when the reader says so (``crossed``).
        """
        self.refresh()
        self.crossing = None
        if not self.queue:
            self._nothing_left()
            return
        first = next((one for one in self.queue if one.case == of), self.queue[0])
        if self.open is not None and first.case != self.open.case and not crossed:
            self.crossing = first
            self.session.current = None
            self.open.drawing.close_slice()
            return
        self.session.present(first.case, first.slice, first)
        self._present()

    def _nothing_left(self) -> None:
        self.session.current = None
        if self.open is not None:
            self.open.drawing.close_slice()
            self._show_answers()
        stored = self.session.study.rankings.latest()
        if stored is None:
            return
        if stored.is_core_set and not self.watching:
            self.say("good", "The core-set is read. You may stop here; the other slices are being ranked.")
            self.rank()
        elif self.open is None or self.session.study.patients.finished(self.open.case) is None:
            self.say("good", "Every slice is answered.")

    def choose(self, number: int, case: str | None = None) -> None:
        """Put a slice of the reader's choice under their hand."""
        case = case or self._case().case
        self.session.choose(case, number)
        self._present()

    def back(self) -> None:
        """Return to the slice answered before."""
        if self.session.back() is None:
            self.say("info", "There is no earlier answer of this sitting.")
            return
        self._present()

    def take_back(self) -> None:
        """Withdraw the answer of the slice at hand."""
        here = self.session.current
        if here is None:
            return
        self.session.take_back()
        self.say("good", f"Slice {here.slice + 1} is in the pool again; what was said stays in the history.")
        self.choose(here.slice, here.case)

    def _present(self) -> None:
        """Bring the session's present slice onto the screen: clean images first, an unsaved drawing back in place."""
        here = self.session.current
        assert here is not None
        self.arriving = False
        self._open_case(here.case)
        opened = self._case()
        self.tools.showing = self.tools.hidden = self.tools.swapped = False
        self.refresh()
        self._take_maps()
        draft = self.session.study.drafts.get(here.case, here.slice)
        answer = self.answers.get(here.slice)
        opened.drawing.slice = here.slice
        self._show_answers()
        opened.drawing.open_slice(here.slice, draft.mask if draft else answer.mask if answer else None)
        self._measured, self.touched, self.crossing, self.asking = None, None, None, ""
        if draft:
            self.say("info", f"What you drew before is back: a draft of {draft.saved_at[:16].replace('T', ' ')} UTC.")
        opened.navigation.turn(0)
        opened.navigation.go_to(here.slice)
        self._frame()
        if self.tools.always:
            self.session.suggestion()
        self._came = self.clock()
        self.redraw()

    # Answers -----------------------------------------------------------------------------------------------------

    def answer(self, what: str, *, sure: bool = False) -> None:
        """Say ``what`` (the action of a kind of answer) of the slice on the screen. On disk before the next shows.

        Nothing is stored that was not seen: not before the slice has stood in all views for a moment, and, where it is
        not the slice at hand or part of it was never large enough on the screen, not before the same is said twice.
        """
        here, shown, place = self.session.current, self.shown_slice, self.sight.place
        if here is None:
            raise BadInput("No slice is under your hand.", "Choose one in the queue.")
        if shown is None or place is None:
            raise BadInput(
                "You see another plane, in which no slice can be answered.", f"J: back to slice {here.slice + 1}."
            )
        if not self.sight.settled:
            self.say("info", f"Slice {shown + 1} has only just come, so nothing was stored. Look, then say it again.")
            return
        mask = self._case().drawing.mask_of(shown)
        if what == "save" and not mask.any():
            raise BadInput(f"Nothing is drawn on slice {shown + 1}.", "If nothing changed here, say so: N.")
        asked = "" if sure else question(what, shown=shown, at_hand=here.slice, unseen=self._left_out(what, mask))
        now, doubt, self.doubt = self.clock(), self.doubt, None
        if asked and not (doubt is not None and doubt.met(what, place.number, now)):
            bounced = doubt is not None and doubt.early(what, place.number, now)
            self.doubt = doubt if bounced else Doubt(what, place.number, now)
            self.say("warning", asked)
            return
        seen, seconds = self._viewed(shown), None
        if shown != here.slice:
            seconds = self.sight.seconds(self._case().case, shown)
            self.choose(shown)
        if what == "nothing_here" and mask.any() and not sure:
            self.asking = "nothing_here"
            return
        self.asking = ""
        self._store(what, mask, seconds, seen)

    def _store(self, what: str, mask: np.ndarray, seconds: float | None, seen: Viewed) -> None:
        kind = KIND_OF[what]
        taken = mask if kind.mask == "needed" or (kind.mask == "possible" and mask.any()) else None
        done = self.session.answer(kind.name, taken, seconds=seconds, viewed=seen)
        again = f", version {done.version}" if done.version > 1 else ""
        self.say("good", f"Slice {done.slice + 1}: {kind.saved}{again}.")
        if self.session.learning.trouble:
            self.say("warning", self.session.learning.trouble)
        self.next()

    def _viewed(self, number: int) -> Viewed:
        """What of a slice of the case on the screen was seen."""
        opened = self._case()
        seen = self.sight.seen(opened.case, number)
        return Viewed(seen, 1.0 - unseen_share(opened.images.pair.stack(opened.images.pair.mask)[number], seen))

    def _left_out(self, what: str, mask: np.ndarray) -> float:
        """Share of the slice on the screen that an answer speaks for although it was not seen."""
        shown = self.shown_slice
        assert shown is not None
        speaks = what == "nothing_here" or (what == "save" and self.session.as_suggested(shown, mask))
        return 1.0 - self._viewed(shown).share if speaks else 0.0

    # In the background -------------------------------------------------------------------------------------------

    def tick(self) -> list[tuple[Job[Any], Event]]:
        """Take in what the worker reported; the slice under the reader's hand never moves. Call it from a timer."""
        self.finishing.tick()
        events = self.session.learning.poll()
        for job, event in events:
            if isinstance(event, Ranked):
                before = self.queue
                self.refresh()
                if self.session.current is None and self.crossing is None and not self.watching:
                    self.next(crossed=self.arriving)
                    continue
                if self.session.learning.finishes:
                    self._take_ranking()
                if not (isinstance(job.request, Rank) and job.request.keep):  # what an answer brings needs no words
                    self.say("info", f"Ranked anew. {what_changed(before, self.queue, self.session.settings.batch)}")
            elif isinstance(event, Trained):
                if event.adopted:
                    self.say("good", "The network learned from your answers; the rest is being ranked again.")
                else:
                    self.say("info", f"The newly trained network is not used. {' '.join(event.reasons)}")
            elif isinstance(event, Registered):
                self._registered(event.case, event.registration, job.do)
            elif isinstance(event, Failed) and job.error is not None:
                self.say("error", str(job.error))
        return events

    def _take_ranking(self) -> None:
        """Go by the newest ranking at once where the reader has not begun with the slice at hand.

        Another slice of the same patient may then come instead; one that was begun keeps the maps that belong to it.
        """
        here, first = self.session.current, self.queue[0] if self.queue else None
        if here is None or here.query is None or first is None or first.case != here.case or self._begun():
            return
        if first.slice != here.slice:
            self.next()
        else:
            self.session.present(first.case, first.slice, first)
            self._take_maps()
            self.redraw()

    def _begun(self) -> bool:
        """Whether the reader did anything with the slice at hand, or has looked at it for a moment."""
        here, opened = self.session.current, self.open
        if here is None or opened is None or opened.case != here.case:
            return True
        drawn = bool(opened.drawing.mask.any()) or here.slice in self.drafts
        moved = self.shown_slice != here.slice or not self._framed
        looked = here.suggestion_seconds is not None or self.doubt is not None or self.tools.swapped
        return drawn or moved or looked or self.clock() - self._came > SETTLING

    def rank(self) -> None:
        """Rank what nobody answered, in the background."""
        running = self.session.learning.ranking
        if running is None or running.over:
            self.session.learning.request_ranking()

    def register_again(self, kind: str) -> None:
        """Register the case on the screen again, "rigid" or "affine", in the background."""
        self.session.learning.request_registration(self._case().case, kind)
        self.say("info", "Registering again; you can go on meanwhile. Your answers stay where they are.")

    def change_region(self, choice: str) -> None:
        """Search another region of the case on the screen, in the background: "brain", "everything", or "drawn".

        What is drawn on the slice at hand then counts on every slice.
        """
        opened = self._case()
        mask = None
        if choice == "drawn":
            if opened.drawing.slice is None or not opened.drawing.mask.any():
                raise BadInput(
                    "Nothing is drawn.", "Draw the region on the slice at hand; it then counts on every slice."
                )
            pair = opened.images.pair
            stack = np.broadcast_to(opened.drawing.mask > 0, (pair.n_slices, *opened.drawing.mask.shape))
            mask = np.ascontiguousarray(np.moveaxis(stack, 0, pair.axis))
        self.session.learning.request_region(opened.case, "given" if choice == "drawn" else choice, mask)
        self.say("info", "The region is being changed; you can go on meanwhile. Your answers stay where they are.")

    def rank_by_difference(self) -> None:
        """Rank by how the two scans differ, without the network: for images unlike those that it learned from."""
        self.session.use_strategy(BY_DIFFERENCE)
        self.say("info", "From now on slices are asked for by how the two scans differ, without the network.")
        self.rank()

    def _registered(self, case: str, report: dict[str, Any], what: str = "register") -> None:
        """A case has a new pair: where it is on the screen it is shown anew, on the same slice."""
        if what == "region":
            told, bad = f"The region was changed. {report['brain']['sentence']}", report["brain"]["alarm"]
        else:
            told, bad = f"Registered again ({report['kind']}). {report['sentence']}", report["alarm"]
        self.say("warning" if bad else "good", told.strip())
        if self.open is None or self.open.case != case:
            return
        navigation, here = self.open.navigation, self.session.current
        number = navigation.slice if navigation.current == 0 else None
        if here is not None:
            self._keep_draft()
        self._put_away()
        if here is not None:
            self._present()
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
        swept = self.shown_slice if self.finishing.sweeping else None
        return self.watching, len(self.queue), len(self.answers), states, self.open and self.open.case, swept

    def guarded(self, action: Callable[[], None]) -> bool:
        """Run an action of the reader; whatever goes wrong becomes a sentence. Returns whether it went well."""
        try:
            action()
            return True
        except SessionTakenOver as error:
            self.lost(as_sentence(error.sentence))
        except OSError as error:
            self.say("error", as_sentence(str(disk_problem(error))))
        except LMIALError as error:
            self.say("error", as_sentence(str(error)))
        return False
