"""The slice under the reader's hand, what is suggested there, and what an answer says of that suggestion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.queries.query import Query
from LMIALLib.study.answer import SliceTest
from LMIALLib.study.rankings import StoredRanking


@dataclass
class Presented:
    """The slice under the reader's hand; the maps of ``ranking`` belong to it, whatever is ranked meanwhile."""

    case: str
    slice: int
    query: Query | None
    since: float | None
    ranking: StoredRanking | None = None
    suggestion_seconds: float | None = None

    @property
    def model(self) -> str | None:
        """Id of the model that this slice was ranked with, which its answer tests."""
        return self.ranking.model if self.ranking else None

    @property
    def suggested_by(self) -> str | None:
        """Who made the maps of this slice: the same model, or a teacher."""
        return self.ranking.suggested_by if self.ranking else None


def unchanged(mask: np.ndarray | None, suggested: np.ndarray | None) -> bool:
    """Whether a mask (rows, columns), or None for nothing marked, marks exactly what was suggested, bool alike."""
    if suggested is None:
        return False
    return not suggested.any() if mask is None else bool(np.array_equal(mask != 0, suggested))


def test_of(model: str, mask: np.ndarray | None, suggested: np.ndarray | None) -> SliceTest | None:
    """Score the model that ranked the slice that is being saved, before it can learn from it."""
    if suggested is None:
        return None
    marked = np.zeros_like(suggested) if mask is None else np.asarray(mask) != 0
    if marked.shape != suggested.shape:
        return None  # the study refuses such a mask with a sentence
    return SliceTest(model, int((marked & suggested).sum()), int(suggested.sum()), int(marked.sum()))
