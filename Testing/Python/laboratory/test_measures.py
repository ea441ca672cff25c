"""Measures of a test set against counts by hand, MONAI and scikit-learn's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from LMIALLib.laboratory.measures import Judged, hausdorff_95, measured

SHAPE = (6, 20, 20)


def judged(
    predicted: list[tuple[slice, slice, slice]], true: list[tuple[slice, slice, slice]], name: str = "a"
) -> Judged:
    probability, truth = np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=bool)
    for box in predicted:
        probability[box] = 1.0
    for box in true:
        truth[box] = True
    return Judged(name, probability, truth, np.ones(SHAPE, dtype=bool), (2.0, 1.0, 0.5))


FOUR = (slice(1, 2), slice(4, 6), slice(4, 6))
FOUR_SHIFTED = (slice(1, 2), slice(4, 6), slice(5, 7))
NINE = (slice(4, 5), slice(10, 13), slice(10, 13))


def test_measures_by_hand_over_two_cases() -> None:
    hit = judged([FOUR_SHIFTED], [FOUR])  # 4 true, 4 predicted, 2 both
    false = judged([NINE], [], "b")  # no change: 9 false voxels
    values = measured([hit, false])
    assert values["dice"] == pytest.approx(4 / 17)
    assert values["sensitivity"] == 0.5 and values["precision"] == pytest.approx(2 / 13)
    assert values["lesion_f1"] == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert values["volume_error_ml"] == pytest.approx((0 + 9 * 1.0 / 1000) / 2)
    assert values["hd95_mm"] == pytest.approx(0.5), "the case without change takes no part"
    background_hit, background_false = 2 * (2400 - 6) / (2 * 2396), 2 * (2400 - 9) / (2400 + 2391)
    assert values["two_class_dice"] == pytest.approx(((0.5 + background_hit) / 2 + (0 + background_false) / 2) / 2)


def test_nothing_true_and_nothing_predicted_counts_one_in_the_two_class_mean_and_is_undefined_elsewhere() -> None:
    values = measured([judged([], [])])
    assert values["two_class_dice"] == 1.0 and values["volume_error_ml"] == 0.0
    assert all(math.isnan(values[name]) for name in ("dice", "sensitivity", "precision", "hd95_mm", "lesion_f1"))


def test_only_counted_voxels_are_judged() -> None:
    whole = judged([FOUR, NINE], [FOUR])
    counted = np.zeros(SHAPE, dtype=bool)
    counted[:3] = True
    half = Judged("a", whole.probability, whole.truth, counted, whole.voxel_mm)
    values = measured([half])
    assert values["dice"] == values["precision"] == values["lesion_f1"] == 1.0
    assert values["calibration_error"] == 0.0 and measured([whole])["calibration_error"] == pytest.approx(9 / 13)


def test_hausdorff_is_what_monai_computes() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from monai.metrics import compute_hausdorff_distance

    rng = np.random.default_rng(3)
    for trial in range(6):
        masks = rng.random((2, 9, 14, 12)) < (0.02, 0.1, 0.4)[trial % 3]
        spacing = (3.0, 0.9, 1.2)
        expected = compute_hausdorff_distance(
            torch.tensor(masks[0])[None, None].float(),
            torch.tensor(masks[1])[None, None].float(),
            percentile=95,
            spacing=spacing,
        )
        assert hausdorff_95(masks[0], masks[1], spacing) == pytest.approx(float(expected), abs=1e-4)


def test_one_case_pooled_from_two_halves_keeps_its_voxel_measures() -> None:
    rng = np.random.default_rng(5)
    probability = rng.random(SHAPE).astype(np.float32)
    truth, counted = rng.random(SHAPE) < 0.2, rng.random(SHAPE) < 0.9
    whole = measured([Judged("a", probability, truth, counted, (1.0, 1.0, 1.0))])
    halves = measured([Judged("a", probability[s], truth[s], counted[s], (1.0, 1.0, 1.0)) for s in np.s_[:3, 3:]])
    for name in ("dice", "sensitivity", "precision", "calibration_error"):
        assert halves[name] == pytest.approx(whole[name])


def test_wrong_shapes_and_no_case_are_named() -> None:
    with pytest.raises(ValueError, match="no case"):
        measured([])
    bad = Judged("head", np.zeros((2, 3, 3)), np.zeros((2, 3, 4), bool), np.zeros((2, 3, 3), bool), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"head.*\(2, 3, 4\)"):
        measured([bad])
