"""Figures of the queries that are what they are called: cases small enough to work out by hand, worked out here."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.queries.noise import beta_at
from LMIALLib.queries.ranking import Ranking, rank, score_case
from LMIALLib.queries.strategies import STRATEGIES

LN2 = float(np.log(2))


def slices(ranking: Ranking) -> list[int]:
    return [query.slice for query in ranking.queries]


def ranked(scores, name: str, **options) -> Ranking:
    return rank([scores], STRATEGIES[name], **({"seed": 0, "random_share": 0.0, "spacing_mm": 0.0} | options))


def test_class_strategies_leave_the_background_out(make_maps) -> None:
    # Two pixels a slice. H(0.1) = H(0.9) = 0.3251, H(0.5) = 0.6931.
    # slice:               0 (0.1, 0.1)    1 (0.9, 0.9)    2 (0.5, 0)
    # Sum p H(p):          0.0650          0.5852          0.3466
    # Sum H(p):            0.6502          0.6502          0.6931
    # Sum (1-p) H(p):      0.5852 is the background's, and would ask for slice 0 second.
    mean = np.array([[[0.1, 0.1]], [[0.9, 0.9]], [[0.5, 0.0]]])
    scored = score_case(make_maps(mean), STRATEGIES["class-entropy"])
    assert len(scored.others) == 1
    np.testing.assert_allclose(scored.others[0], [0.0650, 0.5852, 0.3466], atol=1e-4)
    assert slices(ranked(scored, "class-entropy", batch=3)) == [1, 2, 0]  # change, change, plain


def test_two_of_three_turns_go_by_change_and_one_by_the_plain_score(make_scores) -> None:
    # by change 5 4 3 2 1 0, by the plain score 0 1 2 3 4 5:
    # change takes 0, then 1; plain takes 5; change takes 2, then 3; plain takes 4
    scored = make_scores([0, 1, 2, 3, 4, 5], others=(np.array([5.0, 4, 3, 2, 1, 0]),))
    assert slices(ranked(scored, "class-entropy")) == [0, 1, 5, 2, 3, 4]


def test_clasp_ends_at_a_beta_of_100(make_scores) -> None:
    # 100 slices, budget 20, batches of 5: rounds k = 0 to 3 begin at 0, 5, 10 and 15 answers.
    # beta = 100^(k/3) = 1, 4.64, 21.5, 100; by the used share of the budget the last was 100^(15/20) = 31.6.
    found = []
    for answered in (0, 5, 10, 15):
        scored = make_scores(np.ones(100), others=(np.ones(100),), answered=frozenset(range(answered)))
        found.append(beta_at(ranked(scored, "clasp", batch=5, count=5).settings["progress"]))
    assert found == pytest.approx([1, 4.6416, 21.5443, 100], rel=1e-4)


def test_the_laboratory_ends_clasp_at_a_beta_of_100() -> None:
    from LMIALLib.evaluation.laboratory.rounds import place_in_budget

    # Budgets 0, 7, 13, 20 %: three rounds are chosen, 100^(0/2), 100^(1/2), 100^(2/2); by the used share of the budget
    # the last was 100^(13/20), about 21.5 (2/3 of the budget used).
    assert [beta_at(place_in_budget(k, 4, initial=False)) for k in (1, 2, 3)] == pytest.approx([1, 10, 100])
    # The same with a first draw at random: it is none of the strategy's rounds.
    assert [beta_at(place_in_budget(k, 5, initial=True)) for k in (2, 3, 4)] == pytest.approx([1, 10, 100])
    assert place_in_budget(1, 2, initial=False) == 0.0  # a single round


@pytest.mark.parametrize("name", ["power-entropy", "soft-rank-bald"])
def test_noise_is_drawn_anew_in_every_round(name: str, make_scores) -> None:
    # All scores are alike, so the order is the noise alone. Slices 0 to 4 of 40 are answered between the rankings; with
    # frozen noise the other 35 would keep their order, which chance gives once in 35! draws.
    before, after = (
        ranked(make_scores(np.ones(40), answered=frozenset(range(answered))), name, seed=3) for answered in (0, 5)
    )
    left = [k for k in slices(before) if k >= 5]
    assert sorted(left) == sorted(slices(after)) and left != slices(after)
    # nothing answered in between: the same noise, so that ranking again does not shuffle the queue
    assert slices(after) == slices(ranked(make_scores(np.ones(40), answered=frozenset(range(5))), name, seed=3))
