"""Aggregations against plain loops, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from LMIALLib.errors import WrongUse
from LMIALLib.queries.aggregations import AGGREGATIONS, LARGEST_DIFFERENCE, TOP_PIXELS, difference_weight
from LMIALLib.queries.pool import CaseMaps, eligible_slices

OF_MAPS = [name for name, aggregation in AGGREGATIONS.items() if not aggregation.needs]


def pixels(measured: np.ndarray, maps: CaseMaps, k: int) -> list[tuple[float, float, float]]:
    """(value, weight, probability) of every brain pixel of a slice, by loops."""
    rows, columns = maps.mask.shape[1:]
    places = [(r, c) for r in range(rows) for c in range(columns) if maps.mask[k, r, c]]
    return [
        (
            float(measured[k, r, c]),
            min(abs(float(maps.difference[k, r, c])) / LARGEST_DIFFERENCE, 1.0),
            float(maps.mean[k, r, c]),
        )
        for r, c in places
    ]


BRUTE_FORCE = {
    "total": lambda found, _: sum(v for v, _, _ in found),
    "mean-in-brain": lambda found, _: sum(v for v, _, _ in found) / len(found),
    "top-mean": lambda found, _: np.mean(sorted((v for v, _, _ in found), reverse=True)[:TOP_PIXELS]),
    "target-mean": lambda found, _: np.mean([v for v, _, p in found if p >= 0.1]),
    "boundary-mean": lambda found, _: np.mean([v for v, _, p in found if abs(p - 0.5) <= 0.1]),
    "weighted-total": lambda found, _: sum(v * w for v, w, _ in found),
    "weighted-mean": lambda found, median: sum(v * w for v, w, _ in found) / max(sum(w for _, w, _ in found), median),
}
"""From the pixels of a slice and the median over the slices of their sums of weights."""


def test_every_aggregation_has_a_brute_force_twin() -> None:
    assert set(BRUTE_FORCE) == set(OF_MAPS)


def test_numbers_that_come_with_the_case_are_taken_as_they_are(make_random_maps) -> None:
    maps = make_random_maps(5)
    measured = np.random.default_rng(1).random(maps.mean.shape).astype(np.float32)
    found = {name: AGGREGATIONS[name](measured, maps) for name in AGGREGATIONS}
    np.testing.assert_array_equal(found["expected-dice"], 1 - maps.expected_dice.astype(float))
    for name in ("predicted-loss", "unlabelled-probability"):
        np.testing.assert_array_equal(found[name], maps.learned.astype(float))
    per_second = found["weighted-total"] / maps.seconds.astype(float)
    np.testing.assert_array_equal(found["weighted-total-per-second"], per_second)


@pytest.mark.parametrize("name", sorted(set(AGGREGATIONS) - set(OF_MAPS)))
def test_an_aggregation_whose_numbers_are_missing_says_so(name: str, make_maps) -> None:
    measured = np.full((2, 4, 4), 0.5)
    with pytest.raises(WrongUse, match="case a is missing"):
        AGGREGATIONS[name](measured, make_maps(measured))


@pytest.mark.parametrize("name", OF_MAPS)
@pytest.mark.parametrize("shape", [(3, 9, 10), (2, 24, 22)])
def test_aggregation_equals_brute_force(name: str, shape: tuple[int, int, int], make_random_maps) -> None:
    maps = make_random_maps(5, shape)
    measured = np.random.default_rng(1).random(shape).astype(np.float32)
    found = [pixels(measured, maps, k) for k in range(shape[0])]
    median = float(np.median([sum(w for _, w, _ in one) for one in found]))
    expected = [BRUTE_FORCE[name](one, median) for one in found]
    np.testing.assert_allclose(AGGREGATIONS[name](measured, maps), expected, rtol=1e-5)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregation_adds_up_the_very_map_that_is_shown(name: str, make_random_maps) -> None:
    maps, aggregation = make_random_maps(2), AGGREGATIONS[name]
    measured = np.random.default_rng(1).random(maps.mean.shape).astype(np.float32)
    shown = aggregation.weighted(measured, maps)
    assert not shown[~maps.mask].any()
    np.testing.assert_array_equal(aggregation(measured, maps), aggregation.reduce(shown, maps))


@given(arrays(np.float32, (3, 6, 6), elements=st.floats(0, 1, width=32)), st.floats(0.125, 40, width=32))
@settings(max_examples=40, deadline=None)
def test_constant_weights_equal_no_weights(measured: np.ndarray, difference: float) -> None:
    maps = CaseMaps("a", measured, np.ones(measured.shape, bool), np.full(measured.shape, -difference, np.float32))
    weight = float(difference_weight(np.float32(difference)))
    plain, weighted = AGGREGATIONS["total"](measured, maps), AGGREGATIONS["weighted-total"](measured, maps)
    np.testing.assert_allclose(weighted, weight * plain, rtol=1e-5, atol=1e-30)
    mean, normalised = AGGREGATIONS["mean-in-brain"](measured, maps), AGGREGATIONS["weighted-mean"](measured, maps)
    np.testing.assert_allclose(normalised, mean, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("name", OF_MAPS)
def test_air_around_the_head_changes_nothing(name: str, make_random_maps) -> None:
    maps = make_random_maps(4)
    measured = np.random.default_rng(6).random(maps.mean.shape).astype(np.float32)
    border = ((0, 0), (7, 3), (2, 9))
    large = CaseMaps(
        "a",
        np.pad(maps.mean, border, constant_values=0.5),
        np.pad(maps.mask, border),
        np.pad(maps.difference, border, constant_values=9.0),
    )
    wide = np.pad(measured, border, constant_values=1.0)
    np.testing.assert_allclose(AGGREGATIONS[name](wide, large), AGGREGATIONS[name](measured, maps), rtol=1e-12)


@pytest.mark.parametrize("name", OF_MAPS)
def test_slices_without_brain_or_difference_score_zero(name: str, make_maps) -> None:
    mask = np.ones((2, 4, 4), dtype=bool)
    mask[0] = False
    measured = np.full((2, 4, 4), 0.55, dtype=np.float32)
    found = AGGREGATIONS[name](measured, make_maps(measured, mask=mask))
    assert found[0] == 0 and found[1] > 0
    still = make_maps(measured, difference=np.zeros_like(measured))
    assert np.isfinite(AGGREGATIONS[name](measured, still)).all()


def test_a_slice_with_hardly_any_difference_does_not_win_by_division(make_maps) -> None:
    difference = np.ones((3, 10, 10), dtype=np.float32)
    difference[0] = 0
    difference[0, 0, 0] = 1e-6
    measured = np.full((3, 10, 10), 0.2, dtype=np.float32)
    measured[0, 0, 0] = 0.69
    found = AGGREGATIONS["weighted-mean"](measured, make_maps(measured, difference=difference))
    assert found[0] < 1e-4 and found[1] == pytest.approx(0.2, rel=1e-6)


def test_eligible_slices_have_more_than_a_crumb_of_brain() -> None:
    mask = np.zeros((5, 20, 20), dtype=bool)
    mask[1:4, 2:18, 2:18] = True
    mask[4, 0, :5] = True
    np.testing.assert_array_equal(eligible_slices(mask), [False, True, True, True, False])
    assert not eligible_slices(np.zeros((3, 4, 4), dtype=bool)).any()
