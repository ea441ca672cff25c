"""Rank correlations and risk over coverage against scipy, closed forms and cases made by hand; figures of a case."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from case_figures import case_figures, slice_table, subtraction
from hindsight import area_under_risk, partial_spearman, risk_by_coverage

from LMIALLib.metrics.ranks import spearman
from LMIALLib.queries.measures import binary_entropy
from LMIALLib.queries.pool import CaseMaps


def test_spearman_is_scipys_and_a_constant_has_none() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert math.isnan(spearman(np.full(40, 0.1), second))


def test_partial_correlation_is_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    third = rng.standard_normal(60)
    first, second = third + rng.standard_normal(60), third + rng.standard_normal(60)
    r12, r13, r23 = spearman(first, second), spearman(first, third), spearman(second, third)
    wanted = (r12 - r13 * r23) / math.sqrt((1 - r13**2) * (1 - r23**2))
    assert partial_spearman(first, second, third) == pytest.approx(wanted)
    assert math.isnan(partial_spearman(third**3, second, third)), "a score that is the area tells nothing beyond it"


def test_risk_over_coverage_by_hand() -> None:
    error = np.array([10.0, 0.0, 4.0, 2.0])
    assert risk_by_coverage(np.array([9, 1, 3, 2]), error).tolist() == [0.0, 1.0, 2.0, 4.0]
    assert risk_by_coverage(-error, error).tolist() == [10.0, 7.0, 16 / 3, 4.0]
    assert risk_by_coverage(np.zeros(4), error).tolist() == [4.0] * 4, "without an order every slice is as good"
    assert area_under_risk(error, error) == 7 / 4


def test_the_oracle_is_no_worse_than_any_order() -> None:
    rng = np.random.default_rng(7)
    error = rng.integers(0, 50, 30).astype(float)
    assert all(area_under_risk(error, error) <= area_under_risk(rng.random(30), error) for _ in range(20))


@pytest.fixture
def case() -> tuple[CaseMaps, np.ndarray]:
    """Twelve slices with a brain of varying size, change on some, and a prediction that is off by a row."""
    rng = np.random.default_rng(11)
    shape = (12, 40, 40)
    mask = np.zeros(shape, dtype=bool)
    for k in range(1, 12):
        mask[k, 5 : 20 + k, 5:35] = True
    truth = np.zeros(shape, dtype=bool)
    for k in range(3, 9):
        truth[k, 8 : 9 + k, 10:16] = True
    mean = np.where(mask, 0.02 * rng.random(shape) + 0.9 * np.roll(truth, 1, axis=1), 0).astype(np.float32)
    difference = np.where(mask, 0.3 * rng.standard_normal(shape) + 3 * truth, 0).astype(np.float32)
    truth[0, 0, 0] = True  # outside the brain region
    return CaseMaps(case="made", mean=mean, mask=mask, difference=difference, slice_spacing=3.0), truth


def test_numbers_of_a_slice_are_those_of_a_loop(case: tuple[CaseMaps, np.ndarray]) -> None:
    maps, truth = case
    table = slice_table(maps, truth)
    for k in range(maps.n_slices):
        inside = maps.mask[k]
        assert table["error"][k] == ((maps.mean[k] >= 0.5) != truth[k])[inside].sum()
        assert table["area"][k] == (maps.mean[k][inside] >= 0.5).sum()
        assert table["soft_area"][k] == pytest.approx(maps.mean[k][inside].sum(), rel=1e-5)
        assert table["difference"][k] == pytest.approx(np.abs(maps.difference[k][inside]).sum(), rel=1e-5)
        assert table["entropy"][k] == pytest.approx(binary_entropy(maps.mean[k][inside]).sum(), rel=1e-5)
    assert not table["askable"][0] and table["askable"][1:].all()


def test_figures_of_a_case(case: tuple[CaseMaps, np.ndarray]) -> None:
    maps, truth = case
    found = case_figures(maps, truth, voxel_mm3=2.0)
    json.dumps(found)
    overlap = sum(6 * k for k in range(3, 9))  # each lesion of k + 1 rows, moved by one
    size = sum(6 * (k + 1) for k in range(3, 9))
    assert found["dice"] == pytest.approx(overlap / size)
    assert found["dice_all_voxels"] == pytest.approx(2 * overlap / (2 * size + 1))
    assert found["truth_ml"] == pytest.approx((size + 1) * 2 / 1000)
    assert found["lesions"][0]["true"] == 2 and found["lesions"][0]["hit"] == 1, "what lies outside the brain is missed"
    assert found["lesions"][1]["true"] == 1
    assert found["subtraction"]["dice_in_hindsight"] > 0.8
    assert found["ranking"]["slices"] == 11 and len(found["slices"]["error"]) == 12
    assert found["ranking"]["risk_area"]["oracle"] <= min(found["ranking"]["risk_area"].values())


def test_subtraction_smooths_in_plane_only(case: tuple[CaseMaps, np.ndarray]) -> None:
    maps, _ = case
    difference = np.zeros_like(maps.difference)
    difference[5, 15, 15] = -4.0
    score = subtraction(CaseMaps(case="one", mean=maps.mean, mask=maps.mask, difference=difference))
    assert score[5].sum() == pytest.approx(4.0, rel=1e-3) and not score[4].any() and not score[6].any()
    assert 0 < score[5, 15, 16] < score[5, 15, 15] < 4.0
