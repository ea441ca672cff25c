"""Grey values of two visits on one scale: protocol changes vanish, a lesion stays."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.pairs.intensity import scale_and_match

STEPS = (4.5, 2.2, 2.2)


@pytest.fixture(scope="module")
def follow_up(phantom: dict[str, np.ndarray]) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 4, phantom["grey"].shape)
    return np.maximum(phantom["grey"] + noise, 0)


@pytest.fixture(scope="module")
def baseline(phantom: dict[str, np.ndarray]) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, 4, phantom["grey"].shape)
    return np.maximum(phantom["grey"] + noise, 0)


@pytest.fixture(scope="module")
def lesion(phantom: dict[str, np.ndarray]) -> np.ndarray:
    where = np.zeros(phantom["grey"].shape, dtype=bool)
    where[15:19, 30:36, 45:51] = True
    return where & phantom["brain"]


@pytest.fixture(scope="module")
def shading(smooth) -> np.ndarray:
    return 1 + 0.12 * smooth(8, (34, 92, 76), STEPS, 60.0)


CHANGES = {
    "same": lambda image, shading: image,
    "gain": lambda image, shading: 3.7 * image,
    "offset": lambda image, shading: 0.5 * image + 60,
    "negative": lambda image, shading: (image - 250) / 40,
    "gamma": lambda image, shading: 300 * (image / 300) ** 1.4,
    "shading": lambda image, shading: image * shading,
    "all": lambda image, shading: 900 * (image * shading / 300) ** 0.8 + 10,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_protocol_change_leaves_a_small_difference_and_a_lesion_visible(
    baseline, follow_up, lesion, shading, phantom, change
):
    mask = phantom["brain"]
    with_lesion = follow_up + 90.0 * lesion
    base, follow, report = scale_and_match(CHANGES[change](baseline, shading), with_lesion, mask, spacing=STEPS)
    assert base.dtype == follow.dtype == np.float32
    assert abs(np.median(follow[mask])) < 1e-3
    low, high = np.percentile(follow[mask], [25, 75])
    assert (high - low) / 1.349 == pytest.approx(1, abs=1e-3)
    difference = (follow - base)[mask & ~lesion]
    assert abs(np.median(difference)) < 0.05
    noise = np.sqrt(2) * 4 / report["spread"]
    assert np.median(np.abs(difference)) * 1.4826 < 1.5 * noise + 0.02
    assert np.percentile(np.abs(difference), 95) < 0.8
    added = 90 / report["spread"]
    assert 0.75 * added < (follow - base)[lesion].mean() < 1.25 * added


def test_the_curve_does_not_follow_many_new_lesions(baseline, follow_up, phantom, smooth):
    mask = phantom["brain"]
    many = mask & (smooth(5, mask.shape, STEPS, 5.0) > 2.0)  # about 2 % of the brain
    base, follow, report = scale_and_match(baseline, follow_up + 120 * many, mask, spacing=STEPS)
    assert abs(np.median((follow - base)[mask & ~many])) < 0.05
    assert (follow - base)[many].mean() > 0.75 * 120 / report["spread"]


def test_odd_inputs_stay_finite(phantom):
    shape = phantom["grey"].shape
    rough = np.random.default_rng(0).random(shape)
    mask = phantom["brain"]
    for first, second in ((np.ones(shape), rough), (rough, np.ones(shape)), (np.zeros(shape), np.zeros(shape))):
        base, follow, report = scale_and_match(first, second, mask, spacing=STEPS)
        assert np.isfinite(base).all() and np.isfinite(follow).all()
        assert all(np.isfinite(value) for value in (report["median"], report["spread"]))
    one = np.zeros(shape, dtype=bool)
    one[10, 40, 30] = True
    for region in (one, np.zeros(shape, dtype=bool)):
        base, follow, _ = scale_and_match(rough, rough + 1, region, spacing=STEPS)
        assert np.isfinite(base).all() and np.isfinite(follow).all()
