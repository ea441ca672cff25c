"""`Session`: one reader at one study. Both faces and the command line drive this object and nothing below it.

The session alone writes to the study; the worker computes. Every answer is on disk before the call returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.loop.advice import StopAdvice, advice_for
from LMIALLib.loop.learning import Learning
from LMIALLib.loop.patient import PatientWork
from LMIALLib.loop.presented import Presented, test_of, unchanged
from LMIALLib.loop.queue import queue_of
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.suggestions import Suggestions
from LMIALLib.queries.query import Query
from LMIALLib.queries.strategies import strategy
from LMIALLib.study.answer import KINDS, Answer, NewAnswer, Viewed
from LMIALLib.study.store import Study
from LMIALLib.worker.client import WorkerClient

NOBODY_YET = "reader not named yet"
"""The reader of drafts that were drawn before a reader was named."""


class Session:
    """The loop: next, save, nothing here, equivocal, skip, back, draft; rank and train in the background.

    Args:
        study: an open study; read-only ones can be looked at.
        reader: who answers; a pseudonym, stored with every answer.
        worker: client of the background process, injected by tests and faces.
        settings: see LoopSettings.
        clock: seconds, monotonic.

    Example:
        >>> with Study.open(Path("study"), reader="anna") as study:
        ...     session = Session(study, reader="anna", settings=LoopSettings(train=False))
        ...     ranked = session.learning.wait(session.learning.request_ranking())
        ...     query = session.next()
        ...     answer = session.nothing_here()
        ...     session.close()
        >>> answer.answer, answer.reader, answer.slice == query.slice
        ('nothing', 'anna', True)
    """

    def __init__(
        self,
        study: Study,
        *,
        reader: str = "",
        worker: WorkerClient | None = None,
        settings: LoopSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study = study
        self.reader = reader
        self.settings = settings or LoopSettings()
        self.current: Presented | None = None
        worker = worker or WorkerClient(study.folder)
        self.learning = Learning(study, worker, self.settings, reader=lambda: self.reader)
        self.suggestions = Suggestions(study)
        self.patient = PatientWork(study, self.learning, lambda: self.reader)
        self._clock = clock
        self._at_hand = ""
        self._answers: list[tuple[str, int]] = []

    # What comes next -------------------------------------------------------------------------------------------

    def use_strategy(self, name: str) -> None:
        """Rank by another strategy from now on. Raises WrongUse for one that is unknown."""
        strategy(name)
        self.settings = replace(self.settings, strategy=name)
        self.learning.settings = self.settings

    def queue(self) -> list[Query]:
        """The queries still waiting, in the order in which the reader meets them.

        Where patients are finished one after the other, the one at hand comes first.
        """
        queue = queue_of(self.study, self.learning.settings.batch)
        stored = self.study.rankings.latest()
        if stored is not None and stored.finishes and self._at_hand:
            queue.sort(key=lambda query: query.case != self._at_hand)  # stable: all else keeps its order
        return queue

    def next(self) -> Query | None:
        """Present the next query, or None when every slice was answered (or nothing was ranked yet)."""
        left = self.queue()
        if not left:
            self.current = None
            return None
        self.present(left[0].case, left[0].slice, left[0])
        return left[0]

    def present(self, case: str, number: int, query: Query | None = None, *, timed: bool = True) -> None:
        """Put any slice under the reader's hand: a query, or one that the reader chose.

        With ``timed`` false the time until the answer is not taken for the reader's (the command line cannot know it).
        """
        self.study.cases.get(case).check_slice(number)
        since = self._clock() if timed else None
        self.current = Presented(case, number, query, since, self.study.rankings.latest())
        self._at_hand = case

    def choose(self, case: str, number: int, *, timed: bool = True) -> None:
        """Put a slice of the reader's choice under their hand; it counts as a query if it is one of the batch at hand.

        Beyond that batch the choice of a slice is the reader's own, not the strategy's or the lot's.
        """
        asked = self.queue()[: self.learning.settings.batch]
        query = next((one for one in asked if (one.case, one.slice) == (case, number)), None)
        self.present(case, number, query, timed=timed)

    def back(self) -> tuple[str, int] | None:
        """Return to the slice answered before, to answer it again (a new version), or None at the beginning."""
        if not self._answers:
            return None
        case, number = self._answers.pop()
        self.present(case, number)
        return case, number

    def suggestion(self) -> np.ndarray | None:
        """The suggestion (rows, columns) bool for the current slice, the stored mean at or above 0.5.

        None where nothing was predicted, and always on a randomly drawn query: its answer must not be led. Asking
        for it is noted in the answer.
        """
        here = self._presented()
        if (here.query is not None and here.query.drawn == "random") or here.slice in self.suggestions.withheld(
            here.case
        ):
            return None
        suggested = self.suggestions.of_slice(here)
        if suggested is not None and here.suggestion_seconds is None:
            here.suggestion_seconds = self._elapsed(here) or 0.0
        return suggested

    # Answers ---------------------------------------------------------------------------------------------------

    # ``seconds`` is the reading time where the session's own clock does not know it, ``viewed`` what was on the screen.

    def save(self, mask: np.ndarray, *, seconds: float | None = None, viewed: Viewed | None = None) -> Answer:
        """The reader drew ``mask`` (rows, columns), uint8 values of the label schema. On disk when this returns."""
        return self.answer("mask", mask, seconds=seconds, viewed=viewed)

    def nothing_here(self, *, seconds: float | None = None, viewed: Viewed | None = None) -> Answer:
        """The reader looked and nothing changed: a true negative."""
        return self.answer("nothing", None, seconds=seconds, viewed=viewed)

    def equivocal(
        self, mask: np.ndarray | None = None, *, seconds: float | None = None, viewed: Viewed | None = None
    ) -> Answer:
        """The marked spot, or the whole slice, is left out of training and of Dice."""
        return self.answer("equivocal", mask, seconds=seconds, viewed=viewed)

    def skip(self, *, seconds: float | None = None, viewed: Viewed | None = None) -> Answer:
        """Not now: stored, but no annotation; the slice returns when the queue is empty."""
        return self.answer("skip", None, seconds=seconds, viewed=viewed)

    def as_suggested(self, number: int, mask: np.ndarray) -> bool:
        """Whether a mask of any slice of the case at hand marks exactly what is suggested there; notes nothing."""
        here = self._presented()
        return unchanged(mask, self.suggestions.of_slice(here, number))

    def take_back(self) -> Answer:
        """Withdraw the current slice's answer; it returns to the pool, and the withdrawn version stays stored."""
        here = self._presented()
        withdrawn = self.study.answers.take_back(here.case, here.slice, self.reader)
        if self.settings.train:
            self.learning.adapt_when_possible()
        return withdrawn

    def draft(self, mask: np.ndarray, number: int | None = None) -> None:
        """Keep what is drawn but not saved, so that a crash loses nothing; no answer yet. ``number`` is another slice
        of the same case that was drawn on as well."""
        here = self._presented()
        # a draft is no answer: it is kept also while no reader is named
        reader = self.reader or NOBODY_YET
        self.study.drafts.save(here.case, here.slice if number is None else number, mask, reader)

    def _elapsed(self, here: Presented) -> float | None:
        return None if here.since is None else self._clock() - here.since

    def _presented(self) -> Presented:
        if self.current is None:
            raise WrongUse("No slice is shown; ask for the next query first.")
        return self.current

    def answer(
        self,
        kind: str,
        mask: np.ndarray | None = None,
        *,
        seconds: float | None = None,
        viewed: Viewed | None = None,
    ) -> Answer:
        """The reader says of the slice what ``study.answer.KINDS`` calls ``kind``. On disk when this returns.

        Raises BadInput as ``study.answers.save`` does, with the slice still under the reader's hand.
        """
        here = self._presented()
        query = here.query
        suggested = self.suggestions.of_slice(here)
        seen = here.suggestion_seconds is not None
        tested = here.model is not None and kind in KINDS and KINDS[kind].tests
        saved = self.study.answers.save(
            NewAnswer(
                case=here.case,
                slice=here.slice,
                answer=kind,
                mask=mask,
                reader=self.reader,
                seconds=self._elapsed(here) if seconds is None else seconds,
                suggestion_seen=seen,
                suggestion_seconds=here.suggestion_seconds,
                accepted_unchanged=unchanged(mask, suggested) if seen else False,
                model=here.suggested_by,
                query_rank=query.rank if query else None,
                ranking=here.ranking.number if query and here.ranking else None,
                drawn=query.drawn if query else "reader",
                test=test_of(str(here.model), mask, self.suggestions.predicted(here)) if tested else None,
                viewed=viewed,
            )
        )
        self._answers.append((here.case, here.slice))
        self.current = None
        if KINDS[kind].settles and self.settings.train:
            self.learning.adapt_when_possible()
            self.learning.train_when_possible()
        return saved

    def stop_advice(self) -> StopAdvice:
        """Whether more answers promise anything, from the randomly drawn queries alone."""
        return advice_for(self.study)

    def close(self) -> None:
        """End the worker; the study stays open for its owner."""
        self.learning.worker.close()
