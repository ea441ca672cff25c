"""The slice under the reader's hand, what is suggested there, and what an answer says of that suggestion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.queries.query import Query
from LMIALLib.study.answer import SliceTest
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study


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


@dataclass(frozen=True)
class Opinion:
    """What the network thinks of a case: the very maps that were ranked.

    Args:
        ranking, model, strategy: which ranking, whose maps (a model's or a teacher's), the measure of the uncertainty.
        probability, uncertainty: float32 (k, j, i) on the pair's grid.
    """

    ranking: int
    model: str
    strategy: str
    probability: np.ndarray
    uncertainty: np.ndarray


def opinion_of(study: Study, ranking: StoredRanking, case: str) -> Opinion | None:
    """The maps of a case that a ranking goes by, or None where the study does not hold them any more."""
    mean, uncertainty = study.maps.probability(ranking, case), study.maps.doubt(ranking, case)
    if mean is None or uncertainty is None:
        return None
    return Opinion(ranking.number, ranking.suggested_by, ranking.strategy, mean, uncertainty)


def predicted_of(study: Study, here: Presented, suggested: np.ndarray | None) -> np.ndarray | None:
    """What the model itself predicts for a presented slice, bool (rows, columns), also where a teacher suggested."""
    if here.suggested_by == here.model:
        return suggested
    mean = study.maps.read(str(here.model), here.case, "mean")
    return None if mean is None else np.moveaxis(mean, study.cases.get(here.case).axis, 0)[here.slice] >= 0.5


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
