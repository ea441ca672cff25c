"""Lesions that touch are separated; one lesion, however long, bent or tilted, stays one."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.study.lesion_separation import separate_lesions

CUBES, SLABS = (1.0, 1.0, 1.0), (3.0, 0.72, 0.72)


def ball(spacing: tuple[float, ...], centre: tuple[float, ...], radius: float, shape: tuple[int, ...]) -> np.ndarray:
    """A ball, centre and radius in mm along k, j, i."""
    places = np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij")
    away = sum((place - middle) ** 2 for place, middle in zip(places, centre, strict=True))
    return np.asarray(away <= radius**2)


def tube(
    spacing: tuple[float, ...], start: tuple[float, ...], end: tuple[float, ...], radius: float, bend: float,
    shape: tuple[int, ...],
) -> np.ndarray:  # fmt: skip
    """A tube from one place to another, bent along j by up to ``bend`` mm."""
    inside = np.zeros(shape, bool)
    for share in np.linspace(0.0, 1.0, 40):
        k, j, i = np.array(start) * (1 - share) + np.array(end) * share
        inside |= ball(spacing, (k, j + bend * np.sin(np.pi * share), i), radius, shape)
    return inside


@pytest.mark.parametrize(
    ("spacing", "shape", "radius"), [(CUBES, (18, 24, 34), 5.0), (CUBES, (18, 24, 34), 4.0), (SLABS, (9, 34, 50), 5.0)]
)
def test_two_balls_that_touch_are_two_lesions_cut_where_they_touch(
    spacing: tuple[float, float, float], shape: tuple[int, ...], radius: float
) -> None:
    apart = 1.95 * radius
    first = ball(spacing, (9.0, 12.0, 9.0), radius, shape)
    second = ball(spacing, (9.0, 12.0, 9.0 + apart), radius, shape)
    both = first | second
    lesions = separate_lesions(both, spacing)
    assert lesions.dtype == np.int32 and lesions.max() == 2
    assert np.array_equal(lesions > 0, both), "no voxel is lost between them"
    for one, other in ((first, second), (second, first)):
        own = lesions[one & ~other]
        assert np.bincount(own).max() >= 0.97 * own.size


@pytest.mark.parametrize(("spacing", "shape"), [(CUBES, (26, 30, 50)), (SLABS, (12, 44, 66))])
@pytest.mark.parametrize(
    ("start", "end", "bend"),
    [
        ((12.0, 10.0, 7.0), (12.0, 12.0, 40.0), 0.0),  # long, within few slices
        ((12.0, 10.0, 7.0), (12.0, 10.0, 40.0), 9.0),  # bent
        ((6.0, 8.0, 8.0), (20.0, 22.0, 22.0), 0.0),  # from slice to slice, tilted by 45 degrees
    ],
)
def test_one_long_lesion_is_never_split(
    spacing: tuple[float, float, float], shape: tuple[int, ...], start: tuple[float, ...], end: tuple[float, ...],
    bend: float,
) -> None:  # fmt: skip
    assert separate_lesions(tube(spacing, start, end, 3.0, bend, shape), spacing).max() == 1


def test_a_ragged_edge_and_single_voxels_cut_nothing() -> None:
    rng = np.random.default_rng(3)
    ragged = ball(CUBES, (10.0, 10.0, 10.0), 6.0, (20, 20, 20))
    ragged &= (rng.random(ragged.shape) < 0.8) | ball(CUBES, (10.0, 10.0, 10.0), 5.0, ragged.shape)
    assert separate_lesions(ragged, CUBES).max() == 1
    corner = np.zeros((4, 4, 4), bool)
    corner[1, 1, 1] = corner[2, 2, 2] = True  # they touch by a corner
    assert separate_lesions(corner, CUBES).max() == 1


def test_lesions_at_the_edge_of_the_volume_and_none_at_all() -> None:
    change = np.zeros((3, 4, 5), bool)
    assert not separate_lesions(change, CUBES).any()
    change[0, 0, 0] = change[2, 3, 4] = True
    assert sorted(np.unique(separate_lesions(change, CUBES)).tolist()) == [0, 1, 2]
    assert np.array_equal(separate_lesions(np.ones((3, 4, 5), bool), CUBES), np.ones((3, 4, 5)))


def test_turning_the_volume_over_turns_the_lesions_over() -> None:
    both = ball(CUBES, (9.0, 12.0, 9.0), 5.0, (18, 24, 34)) | ball(CUBES, (9.0, 12.0, 18.8), 5.0, (18, 24, 34))
    turned = separate_lesions(np.ascontiguousarray(both.T), CUBES).T
    assert turned.max() == 2 and (np.bincount(turned.ravel())[1:] > 400).all()
