"""Average precision and calibration against brute force and cases made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from LMIALLib.metrics.calibration import reliability
from LMIALLib.metrics.voxels import average_precision


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """300 scores with many ties, and truth that follows them loosely."""
    rng = np.random.default_rng(3)
    score = np.round(rng.random(300), 1)
    return score.reshape(10, 30), (rng.random(300) < score * 0.6).reshape(10, 30)


def test_average_precision_is_the_sum_over_thresholds(scores: tuple[np.ndarray, np.ndarray]) -> None:
    score, true = scores
    total, recall_before = 0.0, 0.0
    for threshold in sorted(np.unique(score), reverse=True):
        marked = score >= threshold
        recall, precision = (marked & true).sum() / true.sum(), (marked & true).sum() / marked.sum()
        total += (recall - recall_before) * precision
        recall_before = recall
    assert average_precision(score, true) == pytest.approx(total, abs=1e-12)


def test_average_precision_by_hand_with_and_without_ties() -> None:
    true = np.array([True, False, True, False])
    assert average_precision(np.array([0.8, 0.4, 0.35, 0.1]), true) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(np.array([0.5, 0.5, 0.5, 0.5]), true) == 0.5, "all alike is the prevalence, in any order"
    assert average_precision(np.array([0.5, 0.5, 0.5, 0.5]), true[::-1]) == 0.5
    assert average_precision(np.array([1, 0, 1, 0]), true) == 1.0
    assert math.isnan(average_precision(np.ones(4), np.zeros(4, dtype=bool)))


def test_probabilities_drawn_as_they_say_are_calibrated_and_sharpened_ones_are_not() -> None:
    rng = np.random.default_rng(5)
    probability = rng.uniform(0.02, 1.0, 200_000)
    true = rng.random(probability.size) < probability
    assert reliability(probability, true).error < 0.01
    sharper = probability**2 / (probability**2 + (1 - probability) ** 2)
    assert reliability(sharper, true).error > 0.05


def test_the_reliability_table_by_hand() -> None:
    probability = np.array([0.0, 0.005, 0.005, 0.5, 0.5, 1.0, 1.0])
    true = np.array([False, False, True, True, False, True, False])
    table = reliability(probability, true)
    assert table.count.sum() == 4, "voxels of 0.01 and less stay out, also the one that changed"
    assert table.count[0] == 0
    assert table.count[7] == 2 and table.seen[7] == 0.5 and table.count[14] == 2 and table.expected[14] == 1
    assert table.error == pytest.approx((2 * 0.0 + 2 * 0.5) / 4)
    assert math.isnan(table.expected[3]) and math.isnan(reliability(np.zeros(3), np.zeros(3, dtype=bool)).error)


def test_a_calibrated_case_has_no_calibration_error() -> None:
    # 1000 voxels at 0.003, 3 of them changed: as said. 100 at 0.3, 30 of them changed: as said. Counted are the 100,
    # |30 / 100 - 0.3| = 0. With voxels that entered because they changed there were 103: 3 of them, all changed, at
    # 0.003, and the error was (3 x 0.997 + 0) / 103 = 0.029; without the 100 others it was 0.997.
    probability = np.r_[np.full(1000, 0.003), np.full(100, 0.3)]
    true = np.r_[np.arange(1000) < 3, np.arange(100) < 30]
    assert reliability(probability, true).error == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(reliability(probability[:1000], true[:1000]).error), "nothing is above 0.01: there is no figure"
