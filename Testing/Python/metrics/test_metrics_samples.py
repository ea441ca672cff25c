"""Figures of samples that are slices: lesions counted slice by slice, and known orders and probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.metrics.calibration import reliability
from LMIALLib.metrics.lesions import slice_lesions
from LMIALLib.metrics.voxels import average_precision


def lesion_f1(predicted: np.ndarray, true: np.ndarray) -> float:
    return slice_lesions(predicted, true).hit_f1


def lesion_f1_matched(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.nan_to_num(slice_lesions(predicted, true).matched_f1, nan=1.0))


def expected_calibration_error(probability: np.ndarray, true: np.ndarray) -> float:
    return reliability(probability, true).error


def test_lesions_are_counted_slice_by_slice() -> None:
    true = np.zeros((2, 40, 40), bool)
    true[0, 0:10, 0:2] = True  # 20 pixels
    true[1, 0:10, 0:2] = True  # lies above the first, yet is another lesion
    true[0, 30, 30:33] = True  # too small to count
    assert lesion_f1(true, true) == 1.0
    assert lesion_f1(np.zeros_like(true), np.zeros_like(true)) == 1.0
    called = np.zeros_like(true)
    called[0, 0, 0:2] = True  # a tenth of the first
    called[1, 0, 0] = True  # less than a tenth of the second
    assert lesion_f1(called, true) == pytest.approx(2 * 1 / (2 * 1 + 1))
    called[0, 20:22, 20] = called[0, 22:24, 21] = True  # a false one of 4 pixels, joined at a corner
    assert lesion_f1(called, true) == pytest.approx(2 * 1 / (2 * 1 + 2))
    called[1, 30, 30:33] = True  # too small to be false
    assert lesion_f1(called, true) == pytest.approx(2 * 1 / (2 * 1 + 2))


def test_one_blob_over_all_lesions_of_a_slice_is_one_match() -> None:
    # three lesions of 4 x 4 pixels, one blob of 4 x 20 over them: IoU 16 / 80 = 0.2 with each
    true = np.zeros((1, 40, 40), bool)
    for left in (0, 8, 16):
        true[0, 0:4, left : left + 4] = True
    blob = np.zeros_like(true)
    blob[0, 0:4, 0:20] = True
    assert lesion_f1(blob, true) == 1.0
    assert lesion_f1_matched(blob, true) == pytest.approx(0.5)  # S = 1/3, P = 1
    assert lesion_f1_matched(true, true) == lesion_f1_matched(~(true | ~true), ~(true | ~true)) == 1.0
    assert lesion_f1_matched(np.ones_like(true), true) == 0.0  # IoU 16 / 1600


def test_average_precision_of_a_known_order() -> None:
    true = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), true) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([0.9, 0.2, 0.8, 0.1]), true) == 1.0
    assert average_precision(np.full(4, 0.5), true) == 0.5  # no order at all: the share of what is true
    assert np.isnan(average_precision(np.ones(2), np.zeros(2, bool)))


def test_calibration_error_of_known_probabilities() -> None:
    probability = np.array([0.001] * 1000 + [0.5] * 10 + [1.0] * 10)
    true = np.array([False] * 1000 + [True] * 5 + [False] * 5 + [True] * 10)
    assert expected_calibration_error(probability, true) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(np.full(20, 0.9), np.arange(20) < 4) == pytest.approx(0.7)
    # the voxel at 0.004 is not counted, although it changed: |1 - 0.9|
    assert expected_calibration_error(np.array([0.004, 0.9]), np.array([True, True])) == pytest.approx(0.1)
    assert np.isnan(expected_calibration_error(np.zeros(5), np.zeros(5, bool)))
