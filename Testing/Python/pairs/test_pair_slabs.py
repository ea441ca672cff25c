"""What is worked out slab by slab, to spare memory, is what it would be in one piece."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.pairs import intensity, resampling, similarity
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.intensity import scale_and_match
from LMIALLib.pairs.resampling import inside_of, on_grid
from LMIALLib.pairs.similarity import shrunk
from LMIALLib.pairs.transforms import matrix_of, transform_of

MOVE = matrix_of(sitk.Euler3DTransform((0, 0, 0), 0.05, -0.02, 0.1, (3.1, -2.2, 6.3)))
TURNED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def small_slabs(monkeypatch):
    whole = resampling.slabs_of
    for room in (resampling, intensity):
        monkeypatch.setattr(room, "slabs_of", lambda array, voxels=3000: whole(array, voxels))
    monkeypatch.setattr(similarity, "_SLAB", 3000)


def test_a_spline_in_slabs_is_that_of_itk(phantom, as_image, small_slabs):
    image = as_image(phantom["grey"], dtype=np.int16, direction=TURNED)
    grid = Grid((50, 61, 47), (2.5, 2.9, 3.1), (-70.0, -80.0, -60.0), tuple(np.eye(3).ravel()))
    expected = sitk.Resample(
        image, grid.size, transform_of(MOVE), sitk.sitkBSpline3, grid.origin, grid.spacing, grid.direction, 0.0,
        sitk.sitkFloat32,
    )  # fmt: skip
    greatest = float(phantom["grey"].astype(np.int16).max())
    found, expected = on_grid(image, grid, MOVE), np.clip(sitk.GetArrayFromImage(expected), 0, greatest)
    assert np.abs(found - expected).max() < 1e-3


def test_inside_is_what_each_voxel_would_say(as_image):
    grid = Grid((13, 11, 9), (2.5, 2.9, 3.1), (-10.0, -12.0, -9.0), tuple(np.eye(3).ravel()))
    other = Grid((7, 9, 8), (3.0, 2.0, 2.5), (-8.0, 6.0, 7.0), TURNED)
    for move in (MOVE, np.eye(4)):
        found = inside_of(grid, other, move)
        index = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), -1).reshape(-1, 3)
        matrix = np.linalg.inv(other.index_to_point()) @ move @ grid.index_to_point()
        there = index @ matrix[:3, :3].T + matrix[:3, 3]
        expected = np.all((there >= -1e-3) & (there <= np.array(other.size) - 1 + 1e-3), axis=1)
        assert np.array_equal(found, expected.reshape(grid.size).transpose(2, 1, 0))
        assert 0 < found.sum() < found.size


def test_averaging_in_slabs_is_that_of_itk(phantom, as_image, small_slabs):
    image = as_image(phantom["grey"], spacing=(0.9, 1.1, 0.7), direction=TURNED)
    for millimetres in (0.5, 2.0, 4.0, 8.0):
        whole = shrunk(sitk.Cast(image, sitk.sitkFloat32), millimetres)
        slabs = shrunk(image, millimetres, (0.0, 1e4))
        assert Grid.of(whole) == Grid.of(slabs)
        assert np.array_equal(sitk.GetArrayFromImage(whole), sitk.GetArrayFromImage(slabs))


def test_scaling_in_slabs_and_in_place_gives_the_same(phantom, small_slabs, monkeypatch):
    rng, grey = np.random.default_rng(0), phantom["grey"]
    baseline, follow_up = ((gain * grey + rng.normal(0, 4, grey.shape)).astype(np.float32) for gain in (2.0, 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(intensity, "slabs_of", lambda array: resampling.slabs_of(array, 10**9))
        whole = scale_and_match(baseline, follow_up, phantom["brain"], spacing=(4.5, 2.2, 2.2))
    slabs = scale_and_match(baseline, follow_up, phantom["brain"], spacing=(4.5, 2.2, 2.2))
    assert np.array_equal(whole[0], slabs[0]) and np.array_equal(whole[1], slabs[1])
    monkeypatch.setattr(intensity, "MOST_VOXELS", 20_000)  # of 48,000
    fewer = scale_and_match(baseline, follow_up, phantom["brain"], spacing=(4.5, 2.2, 2.2))
    assert np.abs(fewer[0] - whole[0])[phantom["brain"]].max() < 0.05
    place = baseline.copy(), follow_up.copy()
    written = scale_and_match(*place, phantom["brain"], spacing=(4.5, 2.2, 2.2), in_place=True)
    assert written[0] is place[0] and written[1] is place[1] and np.array_equal(place[0], fewer[0])
