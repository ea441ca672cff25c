"""Intervals, comparisons, Holm's correction, ranks and the penalty matrix against hand examples and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from LMIALLib.laboratory.statistics import compared, holm, interval, mean_ranks, penalty_matrix


def test_interval_by_hand() -> None:
    found = interval([0.1, 0.2, 0.3, math.nan])
    reach = t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert (found.mean, found.seeds) == (pytest.approx(0.2), 3)
    assert (found.low, found.high) == (pytest.approx(0.2 - reach), pytest.approx(0.2 + reach))


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = interval([0.4])
    assert found.mean == 0.4 and math.isnan(found.low) and math.isnan(found.high)
    assert math.isnan(interval([]).mean) and interval([]).seeds == 0


def test_comparison_is_paired_and_p_needs_eight_seeds() -> None:
    rng = np.random.default_rng(2)
    base = rng.random(9)
    values = {
        "a": dict(enumerate(base + 0.05 + 0.01 * rng.random(9))),
        "b": {**dict(enumerate(base)), 99: 0.0},
        "few": dict(list(enumerate(base))[:7]),
    }
    found = compared("a", "b", values)
    expected = ttest_rel([values["a"][k] for k in range(9)], base)
    assert found.effect.seeds == 9, "seeds that only one of them has do not count"
    assert found.p == pytest.approx(expected.pvalue)
    bounds = expected.confidence_interval(0.95)
    assert (found.effect.low, found.effect.high) == (pytest.approx(bounds.low), pytest.approx(bounds.high))
    assert found.verdict == "better" and compared("b", "a", values).verdict == "worse"
    assert compared("a", "few", values).p is None


def test_equal_runs_tie_and_one_seed_tells_nothing() -> None:
    same = {name: dict.fromkeys(range(10), 0.5) for name in "ab"}
    found = compared("a", "b", same)
    assert found.p == 1.0 and found.tied and found.verdict == "a tie"
    one = compared("a", "b", {"a": {0: 0.9}, "b": {0: 0.1}})
    assert one.tied and "one seed" in one.verdict
    assert compared("a", "c", same).verdict == "unknown"


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float]) -> None:
    """The procedure itself: go up the sorted p, stop at the first over alpha / (m - k)."""
    adjusted, alpha = np.array(holm(p)), 0.05
    rejected = np.zeros(len(p), dtype=bool)
    for k, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - k) > alpha:
            break
        rejected[place] = True
    assert np.array_equal(adjusted <= alpha, rejected)
    assert (adjusted >= np.array(p)).all() and (adjusted <= 1).all()


def test_ranks_share_ties_and_use_common_seeds() -> None:
    values = {"a": {0: 0.5, 1: 0.9, 2: 0.1}, "b": {0: 0.5, 1: 0.3}, "c": {0: 0.1, 1: 0.4}}
    assert mean_ranks(values) == {"a": (1.5 + 1) / 2, "b": (1.5 + 3) / 2, "c": (3 + 2) / 2}
    assert all(math.isnan(rank) for rank in mean_ranks({"a": {0: 0.5}, "b": {1: 0.5}}).values())
    assert mean_ranks({}) == {}


def test_penalty_matrix_counts_rounds_that_are_clearly_won() -> None:
    seeds = range(4)
    equal = {name: dict.fromkeys(seeds, 0.2) for name in "abc"}
    a_wins = {
        "a": {s: 0.6 + 0.001 * s for s in seeds},
        "b": {s: 0.5 - 0.001 * s for s in seeds},
        "c": {s: 0.5 + 0.1 * (-1) ** s for s in seeds},
    }
    b_wins = {"a": a_wins["b"], "b": a_wins["a"], "c": a_wins["c"]}
    matrix = penalty_matrix([equal, a_wins, a_wins, b_wins], ["a", "b", "c"])
    assert matrix[0, 1] == pytest.approx(2 / 3) and matrix[1, 0] == pytest.approx(1 / 3), "equal rounds do not count"
    assert not matrix[:, 2].any() and not matrix[2].any(), "c scatters too much"
    assert not penalty_matrix([equal], ["a", "b", "c"]).any() and not penalty_matrix([], ["a"]).any()
