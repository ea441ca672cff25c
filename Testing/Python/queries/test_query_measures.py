"""Measures against plain Python, their symmetry, and their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from LMIALLib.errors import WrongUse
from LMIALLib.queries.measures import MEASURES, binary_entropy
from LMIALLib.queries.pool import CaseMaps

probabilities = arrays(np.float64, (2, 3, 3), elements=st.floats(0, 1))


def case_of(passes: np.ndarray) -> CaseMaps:
    """A case from T probability stacks (T, n, r, c), accumulated in float64 as passes run."""
    mean = passes.mean(axis=0)
    return CaseMaps(
        case="a",
        mean=mean,
        mask=np.ones(mean.shape, dtype=bool),
        difference=np.ones(mean.shape, dtype=np.float32),
        expected_entropy=np.mean([binary_entropy(p) for p in passes], axis=0),
        variance=passes.var(axis=0),
        vote_entropy=binary_entropy((passes >= 0.5).mean(axis=0)),
    )


def plain_entropy(p: float) -> float:
    return sum(-q * math.log(q) for q in (p, 1 - p) if q > 0)


BRUTE_FORCE = {
    "least-confidence": lambda p: 1 - max(np.mean(p), 1 - np.mean(p)),
    "margin": lambda p: 1 - abs(2 * np.mean(p) - 1),
    "entropy": lambda p: plain_entropy(np.mean(p)),
    "expected-entropy": lambda p: np.mean([plain_entropy(one) for one in p]),
    "mutual-information": lambda p: max(plain_entropy(np.mean(p)) - np.mean([plain_entropy(one) for one in p]), 0),
    "variance": lambda p: np.var(p) + np.var([1 - one for one in p]),
    "vote-entropy": lambda p: plain_entropy(np.mean([one >= 0.5 for one in p])),
    "change-entropy": lambda p: np.mean(p) * plain_entropy(np.mean(p)),
    "foreground-entropy": lambda p: plain_entropy(np.mean(p)) * (np.mean(p) >= 0.25),
    "selective-entropy": lambda p: plain_entropy(np.mean(p)) * (np.mean(p) >= 0.1),
    "predicted-change": lambda p: float(np.mean(p) >= 0.5),
}

OF_DIFFERENCE = {"visible-difference"}
ASYMMETRIC = {"change-entropy", "foreground-entropy", "selective-entropy", "predicted-change"}


def test_every_measure_has_a_brute_force_twin() -> None:
    assert set(BRUTE_FORCE) == set(MEASURES) - OF_DIFFERENCE


@pytest.mark.parametrize("name", BRUTE_FORCE)
def test_measure_equals_brute_force(name: str) -> None:
    passes = np.random.default_rng(3).beta(0.4, 0.6, (4, 2, 5, 4))
    found = MEASURES[name](case_of(passes))
    expected = np.apply_along_axis(BRUTE_FORCE[name], 0, passes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("name", MEASURES)
@given(first=probabilities, second=probabilities)
@settings(max_examples=40, deadline=None)
def test_measure_is_finite_symmetric_and_never_negative(name: str, first: np.ndarray, second: np.ndarray) -> None:
    passes = np.stack([first, second])
    found, mirrored = MEASURES[name](case_of(passes)), MEASURES[name](case_of(1 - passes))
    assert np.isfinite(found).all() and (found >= 0).all()
    if name not in ASYMMETRIC:
        votes_are_even = "vote" in name and np.any(passes == 0.5)  # a vote at exactly 1/2 is for change
        assert votes_are_even or np.allclose(found, mirrored, atol=5e-6)


def test_visible_difference_is_smoothed_and_looks_both_ways(make_maps) -> None:
    difference = np.zeros((4, 12, 12), dtype=np.float32)
    difference[0, 6, 6] = 20  # one noisy pixel
    difference[1, 4:9, 4:9], difference[2, 4:9, 4:9] = 4.5, -4.5
    difference[3, 4:9, 4:9] = 9
    mask = np.ones(difference.shape, dtype=bool)
    mask[3, :, 3:] = False  # outside the brain
    found = MEASURES["visible-difference"](make_maps(np.zeros(difference.shape), difference=difference, mask=mask))
    assert [bool(one.any()) for one in found] == [False, True, True, False]


@pytest.mark.parametrize("name", sorted(set(BRUTE_FORCE) - ASYMMETRIC - {"vote-entropy"}))
def test_measure_at_zero_half_and_one(name: str) -> None:
    passes = np.repeat(np.array([0.0, 0.5, 1.0], dtype=np.float32).reshape(1, 1, 1, 3), 3, axis=0)
    zero, half, one = MEASURES[name](case_of(passes))[0, 0]
    assert zero == pytest.approx(0, abs=3e-6) and one == pytest.approx(zero, abs=1e-9)
    if name in ("mutual-information", "variance"):
        assert half == 0
    else:
        assert half > 0.49


@given(st.floats(0, 1))
@settings(deadline=None)
def test_entropy_peaks_at_one_half_and_is_symmetric(p: float) -> None:
    assert binary_entropy(np.array(p)) <= math.log(2) + 1e-15
    assert float(binary_entropy(np.array(p))) == pytest.approx(float(binary_entropy(np.array(1 - p))), abs=1e-7)


def test_a_sure_pixel_has_no_entropy_and_no_floor() -> None:
    # p = 1e-9: 1e-9 (ln 1e9 + 1) = 1e-9 x 21.723; a clamp at 1e-7 made 1.71e-6 of all three
    found = binary_entropy(np.array([0.0, 1.0, 1e-9], dtype=np.float32))
    assert found[:2].tolist() == [0.0, 0.0] and found[2] == pytest.approx(2.1723e-8, rel=1e-4)


@given(arrays(np.float32, (1, 4, 4), elements=st.floats(0, 1, width=32)), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_bald_is_zero_for_equal_passes(p: np.ndarray, passes: int) -> None:
    assert not MEASURES["mutual-information"](case_of(np.repeat(p[None], passes, axis=0).astype(np.float64))).any()


def test_bald_ignores_the_rounding_of_float32_accumulators() -> None:
    p = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    clamped = p.clip(1e-7, 1 - np.float32(1e-7))
    single = -clamped * np.log(clamped) - (1 - clamped) * np.log1p(-clamped)
    total = np.zeros_like(single)
    for _ in range(10):
        total += single
    case = CaseMaps("a", p, np.ones(p.shape, bool), np.ones_like(p), expected_entropy=total / np.float32(10))
    assert not MEASURES["mutual-information"](case).any()


@pytest.mark.parametrize("name", [name for name, measure in MEASURES.items() if measure.needs])
def test_measure_of_passes_refuses_a_single_pass(name: str, make_maps) -> None:
    with pytest.raises(WrongUse, match="several stochastic passes"):
        MEASURES[name](make_maps(np.full((1, 2, 2), 0.5)))


def test_maps_that_do_not_fit_are_refused(make_maps) -> None:
    p = np.full((2, 3, 3), 0.5)
    for wrong, message in (
        ({"mask": np.ones((2, 3, 4), dtype=bool)}, "mask"),
        ({"mask": np.ones((2, 3, 3), dtype=np.uint8)}, "bool"),
        ({"features": np.ones((3, 4))}, "features"),
        ({"answered": frozenset({2})}, "slices 0 to 1"),
        ({"slice_spacing": 0.0}, "above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make_maps(p, **wrong)
