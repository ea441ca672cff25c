"""The finish order: expected error and gain by hand, and what answers nearby change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.found import Found, judged
from LMIALLib.adaptation.head import AdaptedMaps, adapted
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.order import FINISH_STRATEGIES, NEARBY_DOUBT, FinishScores, finish_scores, nearby


def small(mean: np.ndarray):
    """Features of a case without any difference, so that candidates are where ``mean`` is high."""
    zero = np.zeros_like(mean)
    return features_of(HeadInputs(mean, zero, zero, np.ones(mean.shape, bool), (3.0, 1.0, 1.0)))


@pytest.fixture
def features():
    mean = np.zeros((3, 8, 8), np.float32)
    mean[0, 2, 2:4] = 0.75, 0.25
    mean[1, 2, 2] = 0.5
    mean[2, 2, 2:5] = 1.0
    return small(mean)


def test_expected_error_and_gain_by_hand(features):
    scores = finish_scores(features, adapted(features, None), strategy="expected-error")
    np.testing.assert_allclose(scores.score, [0.5, 0.5, 0.0])
    # five voxels are suggested; expected overlap 4.25, sizes 5 + 4.5: a Dice of 8.5 / 9.5
    dice = 8.5 / 9.5
    np.testing.assert_allclose(
        scores.terms["expected_gain"], [0.25 * dice + 0.25 * (2 - dice), 0.5 * dice, 0.0], rtol=1e-6
    )


def test_read_slices_are_worth_nothing_and_skipped_ones_come_last(features):
    scores = finish_scores(features, adapted(features, None), read=[0])
    assert scores.score[0] == 0.0
    every = np.ones(3, bool)
    assert scores.next_slice(every, [0]) == 1
    assert scores.next_slice(every, [0], skipped=[1]) == 2
    assert scores.next_slice(every, [0, 2], skipped=[1]) == 1
    assert scores.next_slice(every, [0, 1, 2]) is None
    assert scores.next_slice(np.array([True, False, True]), [0]) == 2


def test_of_equals_the_lower_number_comes_first():
    scores = FinishScores(np.ones(3), {}, "expected-gain")
    assert scores.next_slice(np.ones(3, bool), []) == 0


def test_what_was_found_nearby_is_a_factor_by_hand():
    found = [Found(number=1, suggested=10.0, right=0.0, right_expected=10.0, missed=30.0, missed_expected=0.0)]
    near = nearby(found, 3, 9.0)
    assert near[1] == pytest.approx((NEARBY_DOUBT + 40.0) / NEARBY_DOUBT)
    weight = np.exp(-0.5)
    np.testing.assert_allclose(near[[0, 2]], (NEARBY_DOUBT + 40.0 * weight) / NEARBY_DOUBT)
    np.testing.assert_array_equal(nearby([], 3, 9.0), 1.0)


def test_an_answer_is_judged_by_the_map_before_it(features):
    maps = adapted(features, None)
    target = np.zeros((8, 8), np.uint8)
    target[2, 3] = 1
    target[7, 7] = 255
    found = judged(features, maps, 0, target)
    assert found == Found(0, 1.0, 0.0, pytest.approx(0.75), 1.0, pytest.approx(0.25))
    assert found.wrong == 2.0
    assert found.expected == pytest.approx(0.5)
    ignored = judged(features, maps, 0, np.full((8, 8), 255, np.uint8))
    assert (ignored.wrong, ignored.expected) == (0.0, 0.0)


def test_an_unknown_strategy_is_refused(features):
    with pytest.raises(ValueError, match="expected-gain"):
        finish_scores(features, adapted(features, None), strategy="entropy")


def test_a_slice_without_candidates_scores_nothing(features):
    maps = adapted(features, None)
    empty = replace(features, voxels=features.voxels[:0], starts=np.zeros(4, int), values=features.values[:0])
    scores = finish_scores(empty, AdaptedMaps(maps.probability, maps.entropy, ""))
    np.testing.assert_array_equal(scores.score, 0.0)


def test_the_orders_are_the_registered_strategies_and_the_default_is_the_same() -> None:
    from LMIALLib.queries.registry_finish import FINISH
    from LMIALLib.queries.strategies import DEFAULT_STRATEGY

    assert tuple(one.name for one in FINISH) == FINISH_STRATEGIES and FINISH_STRATEGIES[0] == DEFAULT_STRATEGY
