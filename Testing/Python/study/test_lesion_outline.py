"""A suggested lesion, outlined tighter or wider."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from LMIALLib.study.lesion_outline import REACH_MM, TIGHTEST, WIDEST, outlined

SPACING = (3.0, 1.0, 1.0)


@pytest.fixture(params=["soft", "hard"])
def spot(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """A map of one lesion, with a soft edge or a hard one, and the lesion."""
    places = np.indices((7, 40, 40)) - np.array([3, 20, 20])[:, None, None, None]
    away = np.sqrt(((places * np.array(SPACING)[:, None, None, None]) ** 2).sum(axis=0))
    probability = 1 / (1 + np.exp(away - 5)) if request.param == "soft" else (away < 5).astype(float)
    return probability.astype(np.float32), probability >= 0.5


def test_each_level_lies_within_the_next(spot: tuple[np.ndarray, np.ndarray]) -> None:
    probability, lesion = spot
    levels = [outlined(probability, lesion, level, axis=0, spacing=SPACING) for level in range(TIGHTEST, WIDEST + 1)]
    for tighter, wider in pairwise(levels):
        assert not (tighter & ~wider).any()
    assert 0 < levels[0].sum() < lesion.sum() < levels[-1].sum()
    assert np.array_equal(levels[-TIGHTEST], lesion)


def test_wider_stays_near_and_takes_no_other_lesion(spot: tuple[np.ndarray, np.ndarray]) -> None:
    probability, lesion = spot
    probability[3, 2:5, 2:5] = 1.0  # another one
    probability[3, 20, 20:] = 0.4  # a long tail
    found = outlined(probability, lesion, WIDEST, axis=0, spacing=SPACING)
    away = ndimage.distance_transform_edt(~lesion, sampling=SPACING)
    assert away[found].max() <= REACH_MM and not found[3, 2:5, 2:5].any()


def test_tighter_never_takes_everything_away() -> None:
    lesion = np.zeros((3, 9, 9), bool)
    lesion[1, 4, 4:6] = True
    probability = np.where(lesion, 0.5, 0.0).astype(np.float32)
    probability[1, 4, 4] = 0.6
    found = outlined(probability, lesion, TIGHTEST, axis=0, spacing=SPACING)
    assert found.any() and not (found & ~lesion).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slice_axis_may_be_any(axis: int) -> None:
    generator = np.random.default_rng(0)
    stack = ndimage.gaussian_filter(generator.random((8, 20, 20)), 2)
    stack = (stack - stack.min()) / np.ptp(stack)
    lesion = ndimage.label(stack >= 0.6)[0] == 1
    expected = outlined(stack, lesion, 1, axis=0, spacing=(3.0, 1.0, 2.0))
    spacing = [1.0, 2.0]
    spacing.insert(axis, 3.0)
    found = outlined(np.moveaxis(stack, 0, axis), np.moveaxis(lesion, 0, axis), 1, axis=axis, spacing=tuple(spacing))
    assert np.array_equal(np.moveaxis(found, axis, 0), expected)


@pytest.mark.parametrize(("level", "voxels"), [(4, 1), (-4, 1), (1, 0)])
def test_what_cannot_be_outlined_is_refused(level: int, voxels: int) -> None:
    lesion = np.zeros((2, 3, 3), bool)
    lesion.ravel()[:voxels] = True
    with pytest.raises(ValueError, match=r"level|voxel"):
        outlined(lesion.astype(np.float32), lesion, level, axis=0, spacing=SPACING)
