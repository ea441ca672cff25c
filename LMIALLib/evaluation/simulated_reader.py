"""A reader who answers from a known truth, through the same session that a person uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from LMIALLib.loop.session import Session
from LMIALLib.queries.query import Query


@dataclass(frozen=True)
class ExactReader:
    """Answers every query exactly as the truth says.

    Args:
        truth: case name to a stack (slices, rows, columns), uint8 values of the label schema, 0 where nothing changed.
        seconds_a_slice: what is written as the time an answer took.
    """

    truth: Mapping[str, np.ndarray]
    seconds_a_slice: float = 30.0

    def answer(self, session: Session, query: Query) -> None:
        """Answer one query: the mask where something changed, else "nothing here"."""
        session.present(query.case, query.slice, query)
        mask = self.truth[query.case][query.slice]
        if mask.any():
            session.save(mask, seconds=self.seconds_a_slice)
        else:
            session.nothing_here(seconds=self.seconds_a_slice)

    def answer_next(self, session: Session, count: int) -> list[Query]:
        """Answer the next ``count`` queries of the queue; fewer when it ends."""
        answered = []
        for _ in range(count):
            query = session.next()
            if query is None:
                break
            self.answer(session, query)
            answered.append(query)
        return answered
