"""Choices against brute force: distance within a batch, fair draws, greedy core-sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LMIALLib.errors import WrongUse
from LMIALLib.queries import diversity
from LMIALLib.queries.candidates import Candidates, gather
from LMIALLib.queries.choosers import Chooser, HighestFirst, RandomOrder
from LMIALLib.queries.distances import nearest_squared
from LMIALLib.queries.diversity import KCenterGreedy
from LMIALLib.queries.pool import CaseScores


def hand_out(chooser: Chooser, n: int, batch: int = 1000) -> list[int]:
    """The first ``n`` candidates in batches."""
    picks: list[int] = []
    while len(picks) < n:
        own: list[int] = []
        while len(own) < min(batch, n - len(picks)):
            index = chooser.following(own)
            if index is None:
                return picks + own
            own.append(index)
            chooser.take(index)
        picks += own
    return picks


def pool(scores: CaseScores | list[CaseScores], seed: int = 0) -> Candidates:
    return gather(scores if isinstance(scores, list) else [scores], seed)


def test_highest_first_is_a_descending_sort(make_scores) -> None:
    score = np.random.default_rng(0).random(50)
    assert hand_out(HighestFirst(pool(make_scores(score)), 0.0), 50) == np.argsort(-score).tolist()


@given(seed=st.integers(0, 2**32), batch=st.integers(1, 8), spacing=st.sampled_from([0.0, 3.0, 12.0, 20.0]))
@settings(max_examples=40, deadline=None)
def test_batches_keep_their_distance_unless_nothing_else_is_left(
    seed: int, batch: int, spacing: float, make_scores
) -> None:
    rng = np.random.default_rng(seed)
    cases = [make_scores(rng.random(n), name, slice_spacing=3.0) for name, n in (("a", 17), ("b", 5))]
    candidates = pool(cases)
    picks = hand_out(HighestFirst(candidates, spacing), 22, batch)
    assert sorted(picks) == list(range(22))
    for start in range(0, 22, batch):
        own = picks[start : start + batch]
        for place, index in enumerate(own):
            left = set(range(22)) - set(picks[: start + place])
            allowed = [
                other
                for other in left
                if all(
                    candidates.case[other] != candidates.case[chosen]
                    or abs(candidates.position[other] - candidates.position[chosen]) >= spacing
                    for chosen in own[:place]
                )
            ]
            assert candidates.score[index] == max(candidates.score[list(allowed or left)])


def test_four_millimetre_slices_twelve_apart_are_far_enough(make_scores) -> None:
    score = np.arange(8)[::-1] / 10
    for spacing in (4.0, 0.1 * 40):
        picks = hand_out(HighestFirst(pool(make_scores(score, slice_spacing=spacing)), 12.0), 3, 3)
        assert picks == [0, 3, 6]


def test_skipped_slices_come_after_all_others(make_scores) -> None:
    scores = make_scores([9, 8, 7, 6, 5], skipped=frozenset({0, 2}), slice_spacing=1.0)
    assert hand_out(HighestFirst(pool(scores), 100.0), 5, 5) == [1, 3, 4, 0, 2]
    assert set(hand_out(RandomOrder(pool(scores)), 3)) == {1, 3, 4}
    far = make_scores(np.zeros(5), skipped=frozenset({4}), features=np.array([[0.0], [1], [2], [3], [50]]))
    assert hand_out(KCenterGreedy(pool(far), 0.0), 5)[-1] == 4


def test_equal_scores_are_decided_by_the_seed(make_scores) -> None:
    scores = make_scores(np.ones(40))
    orders = {tuple(hand_out(HighestFirst(pool(scores, seed), 0.0), 40)) for seed in (1, 1, 2, 3)}
    assert len(orders) == 3


def test_lots_are_uniform(make_scores) -> None:
    first = [hand_out(RandomOrder(pool(make_scores(np.arange(8)), seed)), 1)[0] for seed in range(800)]
    counts = np.bincount(first, minlength=8)
    # Chi-squared with 7 degrees of freedom exceeds 24.3 once in a thousand draws; the seeds are fixed.
    assert ((counts - 100) ** 2 / 100).sum() < 24.3


def test_lots_of_a_slice_do_not_depend_on_other_cases(make_scores) -> None:
    alone = pool(make_scores(np.zeros(6), "b"), 5)
    among = pool([make_scores(np.zeros(9), "a"), make_scores(np.zeros(6), "b")], 5)
    np.testing.assert_array_equal(alone.draw, among.draw[among.case == 1])
    assert not np.isin(alone.draw, among.draw[among.case == 0]).any()


def test_the_pool_does_not_depend_on_the_order_of_cases(make_scores) -> None:
    cases = [
        make_scores(np.arange(n), name, features=np.ones((n, 2)) * n) for n, name in ((4, "b"), (3, "c"), (5, "a"))
    ]
    first, second = pool(cases), pool(cases[::-1])
    assert first.cases == second.cases == ("a", "b", "c")
    for name in ("case", "slice", "position", "score", "tie", "draw", "features"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def greedy_by_loops(features: np.ndarray, centres: list[np.ndarray], n: int) -> list[int]:
    """Farthest-first by plain loops."""
    picks: list[int] = []
    for _ in range(n):
        among = [i for i in range(len(features)) if i not in picks]
        to = [*centres, *(features[i] for i in picks)] or [features.mean(axis=0)]
        picks.append(max(among, key=lambda i: min(float(np.linalg.norm(features[i] - c)) for c in to)))
    return picks


@pytest.mark.parametrize("answered", [frozenset(), frozenset({3}), frozenset({0, 5, 6})])
def test_k_center_equals_brute_force_and_starts_from_the_answered(answered: frozenset[int], make_scores) -> None:
    features = np.random.default_rng(8).standard_normal((15, 4))
    candidates = pool(make_scores(np.zeros(15), features=features, answered=answered))
    found = candidates.slice[hand_out(KCenterGreedy(candidates, 0.0), len(candidates))].tolist()
    left = [k for k in range(15) if k not in answered]
    expected = greedy_by_loops(features[left], [features[k] for k in answered], len(left))
    assert found == [left[i] for i in expected]


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-7, 1e-5, 1e-3])
def test_k_center_takes_duplicates_of_answered_slices_last(noise: float, make_scores) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        known = 30.0 * rng.standard_normal((5, 64))
        copies = known + noise * rng.standard_normal((5, 64))
        fresh = 30.0 * rng.standard_normal((5, 64))
        features = np.concatenate([known, copies, fresh]).astype(np.float32)
        scores = make_scores(np.zeros(15), features=features, answered=frozenset(range(5)))
        candidates = pool(scores)
        picks = candidates.slice[hand_out(KCenterGreedy(candidates, 0.0), 10)]
        assert set(picks[:5]) == set(range(10, 15))


def test_k_center_prefers_a_distinct_neighbour_to_a_distant_duplicate(make_scores) -> None:
    features = np.array([[0.0], [10.0], [9.0], [10.0], [10.0], [10.0]])
    scores = make_scores(np.zeros(6), features=features, answered=frozenset({0}), slice_spacing=1.0)
    for seed in range(12):
        candidates = pool(scores, seed)
        picks = candidates.slice[hand_out(KCenterGreedy(candidates, 3.0), 5, 5)].tolist()
        # One of the equal slices first, then slice 2 even where it lies within 3 mm of it, then the duplicates.
        assert features[picks[0], 0] == 10 and picks[1] == 2


def test_k_center_keeps_its_distance_within_a_batch(make_scores) -> None:
    features = np.random.default_rng(3).standard_normal((40, 6))
    scores = make_scores(np.zeros(40), features=features, slice_spacing=3.0)
    picks = sorted(hand_out(KCenterGreedy(pool(scores), 12.0), 6, 6))
    assert min(np.diff(picks)) >= 4


def test_k_center_goes_on_after_its_greedy_picks(make_scores, monkeypatch) -> None:
    monkeypatch.setattr(diversity, "GREEDY_PICKS", 20)
    n = 50
    features = np.random.default_rng(0).standard_normal((n, 2))
    picks = hand_out(KCenterGreedy(pool(make_scores(np.zeros(n), features=features)), 0.0), n)
    assert sorted(picks) == list(range(n))


def test_k_center_needs_features(make_scores) -> None:
    with pytest.raises(WrongUse, match="feature vector"):
        KCenterGreedy(pool(make_scores(np.zeros(3))), 0.0)


def test_squared_distances_are_never_negative() -> None:
    rng = np.random.default_rng(0)
    centres = 1e3 * rng.standard_normal((4, 32))
    points = centres + 1e-6 * rng.standard_normal((4, 32))
    found = nearest_squared(points, centres)
    assert (found >= 0).all() and np.isfinite(np.sqrt(found)).all()
    assert np.isinf(nearest_squared(points, centres[:0])).all()


def test_cases_of_one_name_or_of_different_features_are_refused(make_scores) -> None:
    with pytest.raises(ValueError, match="same name"):
        pool([make_scores([1, 2]), make_scores([1, 2])])
    with pytest.raises(ValueError, match="lengths"):
        pool([make_scores([1], "a", features=np.ones((1, 3))), make_scores([1], "b", features=np.ones((1, 4)))])
