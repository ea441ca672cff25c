"""What a reader does at either face: a session, a case in a scene, and views, as plain calls without trame or Qt.

A workspace holds what is on the screen and nothing that must survive: answers and drafts are in the study at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from LMIALLib.errors import LMIALError, as_sentence, disk_problem
from LMIALLib.loop.queue import of_another_model
from LMIALLib.loop.session import Session
from LMIALLib.scene.answering import Answering
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.drafts import keep_draft
from LMIALLib.scene.finishing import Finishing
from LMIALLib.scene.following import Following
from LMIALLib.scene.jobs import Jobs
from LMIALLib.scene.label import LabelMaker
from LMIALLib.scene.lesion_list import LesionList
from LMIALLib.scene.maps import Maps
from LMIALLib.scene.painting import Painting
from LMIALLib.scene.presenting import Presenting
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.viewing import Viewing
from LMIALLib.study.lease import SessionTakenOver
from LMIALLib.worker.client import Job
from LMIALLib.worker.events import Event


class Workspace:
    """One reader in front of one study: the parts that do the work, each of which knows only those above it.

    Args:
        screen: the study and the views, and all that the parts share.
        maker: draws the labels: `brush.Brush` or `segment_editor.SegmentEditor`, on the same screen.
    """

    def __init__(self, screen: Screen, maker: LabelMaker) -> None:
        self.screen, self.maker = screen, maker
        self.viewing = Viewing(screen, maker)
        self.maps = Maps(screen, self.viewing)
        self.lesion_list = LesionList(screen, self.viewing, self.maps)
        self.painting = Painting(screen, maker)
        self.jobs = Jobs(screen)
        self.presenting = Presenting(screen, self.viewing, self.maps, self.jobs.rank)
        self.answering = Answering(screen, self.viewing.sight, self.presenting)
        self.finishing = Finishing(screen, self.viewing, self.presenting)
        self.following = Following(screen, self.viewing, self.maps, maker, self.presenting, self.answering)

    @property
    def session(self) -> Session:
        """The session that stores what the reader says; another one after the study changed hands."""
        return self.screen.session

    @property
    def open(self) -> CaseScene | None:
        """The case on the screen."""
        return self.screen.open

    # Opening and closing ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Show the first query, or the first case while nothing is ranked; ranks where the model in use did not yet."""
        screen, study = self.screen, self.session.study
        screen.refresh()
        stored = study.rankings.latest()
        core_set = stored is not None and stored.is_core_set
        due = not screen.queue if core_set else of_another_model(study)
        if due and not screen.watching and study.cases.all():
            self.jobs.rank()
        elif self.session.learning.answered_since() and not screen.watching:
            self.session.learning.adapt_when_possible()  # the last sitting ended before it could
        if screen.queue and not screen.watching:
            self.presenting.next()
        elif study.cases.all():
            self.presenting.arriving = True
            self.presenting.look_at(screen.queue[0].case if screen.queue else study.cases.all()[0].name)

    def close(self) -> None:
        """Keep what is drawn as a draft, end the worker, give the study back."""
        screen = self.screen
        try:
            with suppress(LMIALError):
                self.finishing.stop()
            if screen.open is not None and self.session.current is not None and not screen.watching:
                with suppress(LMIALError):
                    keep_draft(screen)
        finally:
            self._end_session()

    # The study changes hands -----------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Annotate here from now on; the session that held the study can save no more."""
        screen, here, reader = self.screen, self.session.current, self.session.reader
        mask = screen.open.drawing.mask if screen.open and screen.open.drawing.slice is not None else None
        self._end_session()
        screen.session = screen.opening(True)
        screen.session.reader = reader or screen.session.reader
        screen.asking = ""
        screen.refresh()
        if here is not None and mask is not None:  # what was drawn when the study was taken away
            screen.session.choose(here.case, here.slice)
            self.presenting.present()
            if screen.open is not None and screen.open.drawing.replace(mask):
                keep_draft(screen)
        else:
            self.presenting.next()

    def lost(self, sentence: str) -> None:
        """Look on after another session took the study, and keep what is drawn on the screen."""
        screen, here, reader = self.screen, self.session.current, self.session.reader
        self._end_session()
        screen.session = screen.opening(False)
        screen.session.reader, screen.session.current = reader, here
        screen.say("warning", sentence)

    def _end_session(self) -> None:
        with suppress(LMIALError):
            self.session.close()
        with suppress(LMIALError):
            self.session.study.close()

    def look_around(self) -> None:
        """Notice that another session took the study; while watching, show what that session did."""
        screen, study = self.screen, self.session.study
        if not study.read_only and not study.still_ours():
            self.lost("This study was taken over by another session. What you drew stays on your screen.")
        elif study.read_only and screen.open is not None:
            before = len(screen.answers), len(screen.queue)
            screen.refresh()
            if before != (len(screen.answers), len(screen.queue)):
                self.viewing.show_answers()
                self.viewing.redraw()

    # While the reader works ------------------------------------------------------------------------------------

    def tick(self) -> list[tuple[Job[Any], Event]]:
        """Go on with a sweep, and take in what the worker reported, which is returned. Call it from a timer."""
        self.finishing.tick()
        return self.following.poll()

    def stand(self) -> tuple[Any, ...]:
        """Changes whenever something happened in the background that a face shows."""
        screen, learning = self.screen, self.session.learning
        jobs = learning.training, learning.ranking, learning.ranking_anew, learning.pairs.job
        states = [job.state for job in jobs if job]
        swept = screen.shown_slice if self.finishing.sweeping else None
        case = screen.open and screen.open.case
        return screen.watching, len(screen.queue), len(screen.answers), states, case, swept

    def guarded(self, action: Callable[[], None]) -> bool:
        """Run an action of the reader; whatever goes wrong becomes a sentence. Returns whether it went well."""
        try:
            action()
            return True
        except SessionTakenOver as error:
            self.lost(as_sentence(error.sentence))
        except OSError as error:
            self.screen.say("error", as_sentence(str(disk_problem(error))))
        except LMIALError as error:
            self.screen.say("error", as_sentence(str(error)))
        return False
