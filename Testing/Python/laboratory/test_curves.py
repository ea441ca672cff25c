"""Areas, labels needed and foreground efficiency of curves whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from LMIALLib.laboratory.curves import (
    area_under_budget,
    first_reaching,
    foreground_efficiency,
    value_at,
)

X = np.array([0.0, 0.1, 0.3])
Y = np.array([0.2, 0.6, 0.7])


def test_area_by_hand_and_of_a_constant() -> None:
    assert area_under_budget(X, Y) == pytest.approx((0.1 * 0.4 + 0.2 * 0.65) / 0.3)
    assert area_under_budget(X, np.full(3, 0.4)) == pytest.approx(0.4)
    assert math.isnan(area_under_budget(X[:1], Y[:1])) and math.isnan(area_under_budget(np.zeros(3), Y))


def test_labels_needed_lie_between_rounds() -> None:
    assert first_reaching(X, Y, 0.4) == pytest.approx(0.05)
    assert first_reaching(X, Y, 0.65) == pytest.approx(0.2)
    assert first_reaching(X, Y, 0.6) == pytest.approx(0.1) and first_reaching(X, Y, 0.2) == 0.0
    assert first_reaching(X, Y, 0.71) is None and first_reaching(X, Y, float("nan")) is None


def test_the_first_crossing_counts_when_a_curve_falls_again() -> None:
    assert first_reaching(np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 0.5, 0.1, 0.6]), 0.5) == pytest.approx(0.1)


def test_values_between_rounds_and_beyond_them() -> None:
    assert value_at(X, Y, 0.05) == pytest.approx(0.4)
    assert value_at(X, Y, 0.305) == 0.7, "whole slices miss a budget by a little"
    assert math.isnan(value_at(X, Y, 0.4)) and math.isnan(value_at(X[:0], Y[:0], 0.1))


def test_foreground_efficiency_finds_the_b_that_made_the_curve() -> None:
    percent = np.tile(np.linspace(0, 60, 8), 3)
    found = foreground_efficiency(percent, 0.7 - 0.6 * np.exp(-0.08 * percent), 0.1, 0.7)
    assert found.value == pytest.approx(0.08) and found.reason == ""
    noisy = 0.7 - 0.6 * np.exp(-0.08 * percent) + 0.02 * np.random.default_rng(0).standard_normal(percent.size)
    found = foreground_efficiency(percent, noisy, 0.1, 0.7)
    assert abs(found.value - 0.08) < 4 * found.error < 0.08
    brute = np.linspace(0.01, 0.2, 4000)
    squares = [((0.7 - 0.6 * np.exp(-b * percent) - noisy) ** 2).sum() for b in brute]
    assert found.value == pytest.approx(brute[int(np.argmin(squares))], abs=1e-4)


@pytest.mark.parametrize(
    ("percent", "start", "full", "reason"),
    [
        ([0, 10, 20], 0.1, math.nan, "reference"),
        ([0, 10, 20], 0.68, 0.7, "gap"),
        ([5, 5, 5], 0.1, 0.7, "foreground"),
        ([math.nan] * 3, 0.1, 0.7, "foreground"),
    ],
)
def test_foreground_efficiency_says_why_there_is_none(
    percent: list[float], start: float, full: float, reason: str
) -> None:
    found = foreground_efficiency(np.array(percent, dtype=float), np.array([0.1, 0.3, 0.5]), start, full)
    assert math.isnan(found.value) and reason in found.reason
