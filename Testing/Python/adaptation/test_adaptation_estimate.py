"""The estimate of the delivered Dice, by hand and at its ends."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.adaptation.answers import box_answer, gathered, mask_answer
from LMIALLib.adaptation.estimate import dice_with, estimate, estimated, expectations, factor
from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.found import Found, judged
from LMIALLib.adaptation.head import adapted, fit
from LMIALLib.adaptation.inputs import HeadInputs


@pytest.fixture
def features():
    mean = np.zeros((2, 8, 8), np.float32)
    mean[0, 2, 2:4] = 0.75, 0.25
    mean[1, 2, 2:6] = 0.5, 0.75, 0.125, 1.0
    zero = np.zeros_like(mean)
    return features_of(HeadInputs(mean, zero, zero, np.ones(mean.shape, bool), (3.0, 1.0, 1.0)))


def test_expectations_by_hand(features):
    maps = adapted(features, None)
    assert expectations(features, maps, gathered([]), 0.5) == pytest.approx((0.0, 4.0, 3.0, 0.375))
    mask = np.zeros((8, 8), bool)
    mask[2, 2:4] = True
    read = gathered([mask_answer(0, mask)])
    assert expectations(features, maps, read, 0.5) == pytest.approx((2.0, 3.0, 2.25, 0.125))
    box = gathered([box_answer(1, np.ones((8, 8), bool), slice(2, 3), slice(2, 4))])
    assert expectations(features, maps, box, 0.5) == pytest.approx((2.0, 2.0, 1.75, 0.375))


def test_the_dice_by_hand():
    # read: 10 voxels; of 6 suggested 4 are change, 2 are missed: 2 x 14 / (16 + 16)
    assert dice_with(10.0, 6.0, 2.0, 2.0) == pytest.approx(28 / 32)
    assert dice_with(10.0, 6.0, 0.0, 0.0) == 1.0
    assert dice_with(0.0, 0.0, 0.0, 0.0) == 1.0


def test_factors_by_hand():
    found = Found(number=0, suggested=0, right=0, right_expected=0, missed=30, missed_expected=10)
    assert factor([found], "missed", 40.0) == pytest.approx(70 / 50)
    assert factor([], "missed", 40.0) == 1.0


def test_an_estimate_by_hand():
    # nothing was answered: of 60 suggested voxels 50 are expected right, 10 more missed; voxels of 2 mm3
    made = estimated(0.0, 60.0, 50.0, 10.0, [], 0, 2.0)
    assert made.dice == pytest.approx(100 / 120)
    assert made.low == pytest.approx(2 * (60 - 23) / (120 - 23 + 33))  # 2.3 times as many wrong, and 20 mm3 more
    assert made.high == pytest.approx(2 * 55 / (120 - 5))
    assert made.volume_mm3 == pytest.approx(120.0)
    assert made.lesion_left == pytest.approx(1 - np.exp(-20 / 400))
    assert made.volume_low == pytest.approx(2 * (60 - 27))  # 2.7 times as many false, and none missed
    assert made.volume_high == pytest.approx(2 * (60 - 4 + 27 + 15))


def test_an_interval_holds_its_estimate_and_shrinks_to_the_truth(case):
    answers, found, maps = [], [], adapted(case.features, None)
    widths = []
    for k in range(10):
        answers.append(mask_answer(k, case.truth[k]))
        found.append(judged(case.features, maps, k, answers[-1].target))
        maps = adapted(case.features, fit(case.features, answers))
        made = estimate(case.features, maps, gathered(answers), found)
        assert 0.0 <= made.low <= made.dice <= made.high <= 1.0
        assert made.volume_low <= made.volume_mm3 <= made.volume_high
        widths.append(made.high - made.low)
    assert made.dice == 1.0
    assert made.volume_mm3 == pytest.approx(3.0 * case.truth.sum())
    assert widths[-1] == pytest.approx(0.0, abs=1e-3) and widths[3] > 0.01


def test_more_missed_than_expected_lowers_the_estimate(case):
    maps, answered = adapted(case.features, None), gathered([mask_answer(0, case.truth[0])])
    plain = Found(number=0, suggested=10, right=10, right_expected=10, missed=10, missed_expected=10)
    worse = Found(number=0, suggested=10, right=10, right_expected=10, missed=200, missed_expected=10)
    one, other = (estimate(case.features, maps, answered, [found]) for found in (plain, worse))
    assert other.dice < one.dice
    assert other.lesion_left > one.lesion_left
    assert other.volume_mm3 > one.volume_mm3


def test_without_any_change_there_is_no_dice():
    zero = np.zeros((2, 8, 8), np.float32)
    features = features_of(HeadInputs(zero, zero, zero, np.ones(zero.shape, bool), (3.0, 1.0, 1.0)))
    made = estimate(features, adapted(features, None), gathered([]), [])
    assert made.dice is None
    assert made.lesion_left == 0.0
    assert made.volume_mm3 == 0.0
