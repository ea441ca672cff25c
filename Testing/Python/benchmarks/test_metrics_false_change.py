"""A scan as two protocols show it: what was asked for happens, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from false_change import PROTOCOLS, ProtocolChange, rescanned

SAME = ProtocolChange(1.0, 0.0, 0.0, 0.0, (0.0, 0.0), thickness=1.0, position=0.0, gain=1.0)


@pytest.fixture
def scan() -> sitk.Image:
    """A smooth ball on 20 oblique slices of 3 mm, on air."""
    k, j, i = np.indices((20, 48, 40), dtype=np.float32)
    distance = np.sqrt((3 * (k - 9.5)) ** 2 + (j - 23) ** 2 + (i - 19) ** 2)
    image = sitk.GetImageFromArray((500 / (1 + np.exp(distance - 15))).astype(np.float32))
    image.SetSpacing((1.0, 1.0, 3.0))
    image.SetOrigin((-30.0, 12.0, 5.0))
    c, s = np.cos(0.1), np.sin(0.1)
    image.SetDirection((1, 0, 0, 0, c, -s, 0, s, c))
    return image


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image).astype(float)


def centre(image: sitk.Image) -> np.ndarray:
    """Centre of mass in space, LPS mm."""
    stack = voxels(image)
    index = [float((grid * stack).sum() / stack.sum()) for grid in np.indices(stack.shape)]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index[::-1]))


def test_no_change_is_no_change_but_for_rounding_and_a_factor(scan: sitk.Image) -> None:
    before, after = voxels(scan), voxels(rescanned(scan, SAME, 0))
    factor = 1000 / np.percentile(before[before > 0], 99)
    assert np.abs(after - factor * before).max() <= 0.51


def test_other_slices_leave_the_head_where_it_was(scan: sitk.Image) -> None:
    other = rescanned(scan, replace(SAME, thickness=1.5, position=0.4), 0)
    assert other.GetSpacing() == pytest.approx((1.0, 1.0, 4.5)) and other.GetSize()[2] == 13
    assert other.GetDirection() == pytest.approx(scan.GetDirection())
    assert np.linalg.norm(centre(other) - centre(scan)) < 0.05


def test_a_slice_is_the_mean_of_those_it_covers(scan: sitk.Image) -> None:
    double = voxels(rescanned(scan, replace(SAME, thickness=2.0), 0))
    single = voxels(scan)
    wanted = (single[0::2] + single[1::2]) / 2
    assert double.shape == wanted.shape
    assert np.corrcoef(double.ravel(), wanted.ravel())[0, 1] > 0.99999


def test_a_shift_moves_the_head_in_plane_by_less_than_a_voxel(scan: sitk.Image) -> None:
    moved = centre(rescanned(scan, replace(SAME, shift_mm=(0.4, -0.3)), 0)) - centre(scan)
    matrix = np.array(scan.GetDirection()).reshape(3, 3)
    assert matrix.T @ moved == pytest.approx([-0.3, 0.4, 0.0], abs=0.03)


def test_noise_shading_blur_and_contrast_have_the_strength_that_was_asked_for(scan: sitk.Image) -> None:
    plain = voxels(rescanned(scan, SAME, 0))
    inside = plain > 900
    noisy = voxels(rescanned(scan, replace(SAME, noise=0.05), 0))
    median = np.median(plain[plain > 100])
    assert (noisy - plain)[inside].std() == pytest.approx(0.05 * median, rel=0.1)
    assert noisy[plain == 0].mean() == pytest.approx(0.05 * median * np.sqrt(np.pi / 2), rel=0.05), "Rician in air"
    shaded = voxels(rescanned(scan, replace(SAME, bias=0.1), 1))[inside] / plain[inside]
    assert np.exp(-0.1) - 0.01 <= shaded.min() and shaded.max() <= np.exp(0.1) + 0.01 and shaded.std() > 0.005
    darker = voxels(rescanned(scan, replace(SAME, gamma=2.0, gain=0.5), 0))
    half = np.abs(plain - 500) < 20
    assert darker[half].mean() == pytest.approx(0.5 * 250, rel=0.1)
    blurred = voxels(rescanned(scan, replace(SAME, blur_mm=2.0), 0))
    assert np.abs(np.diff(blurred, axis=1)).max() < 0.8 * np.abs(np.diff(plain, axis=1)).max()


def test_the_same_seed_makes_the_same_scan(scan: sitk.Image) -> None:
    first, again, other = (voxels(rescanned(scan, PROTOCOLS[0], seed)) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()
