"""Cases set aside for validation are chosen at random only."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.queries.pool import CaseScores
from LMIALLib.queries.ranking import rank
from LMIALLib.queries.strategies import STRATEGIES


def scores(case: str) -> CaseScores:
    random = np.random.default_rng(len(case))
    n = 30
    terms = dict.fromkeys(
        ("score", "sum", "weight", "uncertainty", "difference", "spots", "predicted_pixels"), np.ones(n)
    )
    return CaseScores(
        case=case,
        score=random.random(n),
        terms=terms,
        peak=np.zeros((n, 2), dtype=int),
        features=random.random((n, 4)).astype(np.float32),
        slice_spacing=3.0,
        answered=frozenset(),
        skipped=frozenset(),
        eligible=np.ones(n, dtype=bool),
    )


@pytest.mark.parametrize("name", ["entropy", "core-set"])
def test_a_strategy_never_chooses_from_a_validation_case_and_the_lot_does(name: str) -> None:
    found = rank([scores("learn"), scores("judge")], STRATEGIES[name], seed=3, random_only=["judge"])
    chosen = {query.case for query in found.queries if query.drawn == "strategy"}
    drawn = {query.case for query in found.queries if query.drawn == "random"}
    assert chosen == {"learn"} and drawn == {"learn", "judge"}
    assert sum(query.case == "learn" for query in found.queries) == 30
    assert len({(query.case, query.slice) for query in found.queries}) == len(found.queries)
