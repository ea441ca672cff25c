"""Registration finds a known misalignment, repeats itself bit for bit, and raises the alarm where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.registration import POOR_QUALITY, register, transform_from_report, unregistered
from LMIALLib.pairs.transforms import matrix_of, transform_of


def rigid(degrees: tuple[float, float, float], millimetres: tuple[float, float, float]) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees)).as_matrix()
    matrix[:3, 3] = millimetres
    return matrix


def moved(image: Any, matrix: np.ndarray) -> Any:
    """The image of a head that lies elsewhere: ``matrix`` maps points of ``image`` to points of the result."""
    import SimpleITK as sitk

    inverse = transform_of(np.linalg.inv(matrix))
    return sitk.Resample(image, image, inverse, sitk.sitkLinear, 0.0)


def distance(found: np.ndarray, true: np.ndarray, brain: np.ndarray, image: Any) -> float:
    """Mean distance in mm, over the brain, between where both matrices put its voxels."""
    index = np.argwhere(brain)[::11, ::-1]
    points = np.c_[index, np.ones(len(index))] @ Grid.of(image).index_to_point().T
    return float(np.linalg.norm((points @ (found - true).T)[:, :3], axis=1).mean())


@pytest.fixture(scope="module")
def fixed(phantom: dict[str, np.ndarray], as_image: Callable[..., Any]) -> Any:
    return as_image(phantom["grey"], dtype=np.float32)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(9).normal(0, 5, (34, 92, 76)).astype(np.float32)


def test_a_known_rigid_motion_is_found(fixed, phantom, as_image, noise):
    import SimpleITK as sitk

    true = rigid((4.0, -3.0, 6.0), (5.0, -7.0, 4.0))
    other = moved(fixed, true)
    array = 90.0 * (np.maximum(sitk.GetArrayFromImage(other), 0) / 300.0) ** 0.8  # another gain and contrast curve
    result = register(fixed, as_image(array + 0.2 * noise, dtype=np.float32), fixed_mask=phantom["brain"])
    assert distance(matrix_of(result.transform), true, phantom["brain"], fixed) < 0.5
    assert result.report["kind"] == "rigid" and not result.report["alarm"]
    assert result.report["quality"] > POOR_QUALITY and "fit each other" in result.report["sentence"]
    assert result.report["metric_after"] > result.report["metric_before"]
    rebuilt = transform_from_report(json.loads(json.dumps(result.report, allow_nan=False)))
    assert np.array_equal(matrix_of(rebuilt), matrix_of(result.transform))
    again = register(fixed, as_image(array + 0.2 * noise, dtype=np.float32), fixed_mask=phantom["brain"])
    assert again.report == result.report  # bit for bit


def test_a_stretched_scan_is_met_by_an_affine_transform(fixed, phantom):
    true = rigid((1.0, 2.0, -2.0), (2.0, 1.0, -2.0)) @ np.diag([1.025, 0.985, 1.02, 1.0])
    result = register(fixed, moved(fixed, true), fixed_mask=phantom["brain"])
    assert result.report["kind"] == "affine"
    assert distance(matrix_of(result.transform), true, phantom["brain"], fixed) < 0.6
    only_rigid = register(fixed, moved(fixed, true), fixed_mask=phantom["brain"], kind="rigid")
    assert only_rigid.report["kind"] == "rigid"


def test_another_patient_and_a_mirrored_head_raise_the_alarm(fixed, phantom, other_head, as_image):
    stranger = register(fixed, as_image(other_head["grey"], dtype=np.float32), fixed_mask=phantom["brain"])
    assert stranger.report["alarm"] and "same patient" in stranger.report["sentence"]
    mirrored = register(fixed, as_image(phantom["grey"][:, :, ::-1], dtype=np.float32), fixed_mask=phantom["brain"])
    assert mirrored.report["alarm"]


@pytest.mark.parametrize(
    ("degrees", "millimetres", "alarm"),
    [
        ((0, 0, 0), (0, 0, 0), False),
        ((0.5, 0, 0), (0, 0.5, 0), False),
        ((0, 0, 0), (9, 9, 8), True),
        ((0, 20, 0), (0, 0, 0), True),
        ((12, 12, 10), (9, 9, 8), True),
        ((0, 0, 0), (400, 0, 0), True),
    ],
)
def test_the_alarm_tells_wrong_alignment_from_right(fixed, phantom, noise, degrees, millimetres, alarm):
    import SimpleITK as sitk

    other = sitk.Cast(moved(fixed, rigid(degrees, millimetres)), sitk.sitkFloat32)
    if not sitk.GetArrayViewFromImage(other).any():  # nothing left in view: move the header instead
        other = sitk.Image(fixed)
        other.SetOrigin(tuple(np.array(fixed.GetOrigin()) + millimetres))
    array = sitk.GetArrayFromImage(other) + noise
    moving = sitk.GetImageFromArray(array)
    moving.CopyInformation(other)
    result = unregistered(fixed, moving, fixed_mask=phantom["brain"])
    assert result.report["kind"] == "none" and 0 <= result.report["quality"] <= 1
    assert result.report["alarm"] is alarm
    assert np.array_equal(matrix_of(result.transform), np.eye(4))


def test_headers_far_apart_and_no_mask(fixed, phantom):
    """Without a mask the foreground is compared; centres are laid on each other first."""
    import SimpleITK as sitk

    true = rigid((0, 0, 8.0), (40.0, -35.0, 30.0))
    other = moved(fixed, rigid((0, 0, 8.0), (0, 0, 0)))
    other.SetOrigin((np.array(other.GetOrigin()) + np.array([40.0, -35.0, 30.0])).tolist())
    result = register(fixed, sitk.Cast(other, sitk.sitkInt16))
    assert distance(matrix_of(result.transform), true, phantom["brain"], fixed) < 0.5
