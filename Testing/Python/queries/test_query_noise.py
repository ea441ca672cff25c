"""Noise on scores: its law, its ends, and that it belongs to the slice and not to the pool."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from LMIALLib.errors import WrongUse
from LMIALLib.queries.noise import beta_at, gumbel, power, power_growing, soft_rank
from LMIALLib.queries.ranking import rank
from LMIALLib.queries.strategies import STRATEGIES

NOISY = [name for name, one in STRATEGIES.items() if one.noise is not None]
scores = arrays(np.float64, 12, elements=st.floats(0, 1e12))
chances = arrays(np.float64, 12, elements=st.floats(0, 1, exclude_max=True))
inner = arrays(np.float64, 12, elements=st.floats(1e-9, 1 - 1e-9))


@given(scores, chances, st.floats(1, 100))
@settings(max_examples=80, deadline=None)
def test_power_is_finite_and_scores_of_zero_come_last(score: np.ndarray, chance: np.ndarray, beta: float) -> None:
    found = power(score, chance, beta)
    assert np.isfinite(found).all()
    if (score == 0).any() and (score > 0).any():
        assert found[score == 0].max() < found[score > 0].min()


@given(scores, inner)
@settings(max_examples=80, deadline=None)
def test_soft_rank_is_finite_and_equals_its_formula(score: np.ndarray, chance: np.ndarray) -> None:
    found = soft_rank(score, chance)
    ranks = [(score > s).sum() + ((score == s).sum() + 1) / 2 for s in score]
    np.testing.assert_allclose(found, -np.log(ranks) - np.log(-np.log(chance)), rtol=1e-9, atol=1e-12)
    assert np.isfinite(soft_rank(score, np.zeros(12))).all()


def test_gumbel_has_its_mean_and_variance() -> None:
    drawn = gumbel(np.random.default_rng(0).random(200_000))
    assert drawn.mean() == pytest.approx(np.euler_gamma, abs=0.01)
    assert drawn.var() == pytest.approx(np.pi**2 / 6, abs=0.03)


def test_the_first_of_a_power_draw_is_drawn_in_proportion_to_the_score() -> None:
    rng, score = np.random.default_rng(1), np.array([1.0, 2, 0, 5])
    first = [int(power(score, rng.random(4), 1.0).argmax()) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 4000, score / 8, atol=0.03)


def test_noise_shrinks_over_the_budget() -> None:
    assert [beta_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1, 10, 100])
    score, chance = np.random.default_rng(0).random((2, 500))
    spread = [np.std(power_growing(score, chance, p) - np.log(score)) for p in (0.0, 0.5, 1.0)]
    assert spread[0] > 5 * spread[1] > 25 * spread[2] * 0.9


@pytest.mark.parametrize("name", NOISY)
def test_noise_belongs_to_the_slice(name: str, make_scores) -> None:
    rng = np.random.default_rng(0)
    one, two = (make_scores(rng.random(20), case, others=(rng.random(20),)) for case in ("one", "two"))
    alone = rank([one], STRATEGIES[name], seed=5, random_share=0, progress=0.3)
    both = rank([two, one], STRATEGIES[name], seed=5, random_share=0, progress=0.3)
    kept = {query.slice: query.score for query in both.queries if query.case == "one"}
    if name != "soft-rank-bald":  # whose ranks are those of the whole pool
        turn = {q.slice: q.terms.get("turn") for q in both.queries if q.case == "one"}
        assert all(kept[q.slice] == q.score for q in alone.queries if q.terms.get("turn") == turn[q.slice])
    other = rank([one], STRATEGIES[name], seed=6, random_share=0, progress=0.3)
    assert [q.slice for q in other.queries] != [q.slice for q in alone.queries]


@pytest.mark.parametrize("name", NOISY)
def test_scores_that_are_shown_have_no_noise(name: str, make_scores) -> None:
    score = np.random.default_rng(0).random(20)
    scored = make_scores(score, others=(score,))
    ranking = rank([scored], STRATEGIES[name], seed=5)
    np.testing.assert_array_equal(ranking.scores["a"], score)
    for query in ranking.queries:
        assert query.terms["score"] == score[query.slice] and query.terms["perturbed"] == query.score


def test_progress_runs_from_the_first_to_the_last_batch_of_a_fifth_of_the_slices(make_scores) -> None:
    def progress(answered: int) -> float:
        scored = make_scores(np.arange(50.0), answered=frozenset(range(answered)))
        return rank([scored], STRATEGIES["entropy"], seed=0, batch=2).settings["progress"]

    # the budget is 10, its batches begin at 0, 2, 4, 6 and 8 answers
    assert [progress(n) for n in (0, 2, 4, 6, 8, 30)] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    given_ = rank([make_scores([1.0])], STRATEGIES["clasp"], seed=0, progress=0.25, count=0)
    assert given_.settings["progress"] == 0.25
    with pytest.raises(WrongUse, match=r"progress is 1\.5"):
        rank([make_scores([1.0])], STRATEGIES["entropy"], seed=0, progress=1.5)
