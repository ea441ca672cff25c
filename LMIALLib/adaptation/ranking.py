"""The ranking of one patient: the head's map of every slice, scored by a strategy that finishes patients."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from LMIALLib.adaptation.answers import SliceAnswer
from LMIALLib.adaptation.features import Features
from LMIALLib.adaptation.order import FINISH_STRATEGIES
from LMIALLib.adaptation.patient import Learnt, order_of
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.pool import CaseMaps, CaseScores
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.ranking import rank
from LMIALLib.queries.scoring import score_case
from LMIALLib.queries.strategy import Strategy


def rank_patient(
    case: str,
    pair: Pair,
    features: Features,
    learnt: Learnt,
    answers: Sequence[SliceAnswer],
    strategy: Strategy,
    *,
    answered: Collection[int],
    skipped: Collection[int] = (),
    seed: int,
    **options: Any,
) -> tuple[Ranking, CaseScores]:
    """Rank the slices of one patient that nobody answered, and return the ranking with the score of every slice.

    Args:
        case: its name.
        pair: both visits on one grid.
        features: of the pair's candidates, see `features_of`.
        learnt: what the head learnt of ``answers``, see `Course`.
        answers: of this patient, in the order in which they were given.
        strategy: one of the purpose "finish".
        answered, skipped: slices, 0-based, that are not asked for, and that are asked for after all others.
        seed: of everything that is chosen at random.
        options: ``count``, ``random_share`` and ``batch`` of `queries.ranking.rank`. No distance is kept between
            queries: a patient is read until it is finished.

    Raises as `rank` and `score_case`.
    """
    maps = CaseMaps(
        case=case,
        mean=learnt.maps.probability,
        mask=features.inputs.region,
        difference=pair.stack(pair.difference),
        slice_spacing=pair.slice_spacing,
        answered=frozenset(answered),
        skipped=frozenset(skipped),
    )
    scored = score_case(maps, strategy)
    if strategy.name in FINISH_STRATEGIES:
        order = order_of(learnt, features, answers, strategy.name)
        scored = replace(scored, score=order.score, terms={**scored.terms, **order.terms, "score": order.score})
    return rank([scored], strategy, seed=seed, spacing_mm=0.0, **options), scored
