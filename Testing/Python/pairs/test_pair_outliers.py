"""A few hot or cold voxels decide nothing: not the brain region, not the registration, not the scaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LMIALLib.pairs.brain import find_brain
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.intensity import scale_and_match
from LMIALLib.pairs.outliers import usual_range
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.pairs.request import PairRequest
from LMIALLib.pairs.resampling import on_grid


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))


def spoilt(grey: np.ndarray, kind: str, value: float) -> np.ndarray:
    """The scan with outliers: in a corner, in the middle of the brain, a dead row, or a share of all voxels."""
    found = grey.astype(np.float32)
    if kind == "corner":
        found[2, 2:4, 2:4] = value
    elif kind == "brain":
        found[17, 45:48, 37:40] = value
    elif kind == "row":
        found[10, 40, :] = value
    else:
        found[np.random.default_rng(1).random(grey.shape) < float(kind)] = value
    return found


KINDS = ("corner", "brain", "row", "0.0005", "0.004", "0.01")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [40_000.0, -40_000.0, 2_500.0])
def test_the_brain_is_found_under_outliers(phantom, as_image, kind, value):
    whole, _ = find_brain(as_image(phantom["grey"], dtype=np.float32))
    region, report = find_brain(as_image(spoilt(phantom["grey"], kind, value), dtype=np.float32))
    assert report["method"] == "morphology"
    assert dice(region, whole) > 0.97


def test_the_usual_range_leaves_out_what_is_rare_and_keeps_what_is_all_there_is():
    scan = np.random.default_rng(0).normal(100, 10, (40, 40, 40))
    plain = usual_range(scan)
    for share in (1e-4, 1e-3, 1e-2):
        hot = scan.copy()
        hot[np.random.default_rng(2).random(scan.shape) < share] = 1e6
        assert np.allclose(usual_range(hot), plain, atol=10)
    dot = np.zeros((40, 40, 40))
    dot[3:6, 3:6, 3:6] = 7
    assert usual_range(dot) == (0.0, 7.0)


@pytest.fixture(scope="module")
def visits(phantom, as_image):
    """Two visits of one head: another gain and noise, moved by (4, -3, 5) mm."""
    import SimpleITK as sitk

    rng, grey = np.random.default_rng(0), phantom["grey"]
    move = sitk.TranslationTransform(3, (-4.0, 3.0, -5.0))
    fixed = as_image(grey, dtype=np.float32)
    there = sitk.GetArrayFromImage(sitk.Resample(fixed, fixed, move, sitk.sitkLinear, 0.0))
    return np.maximum(2.5 * there + rng.normal(0, 8, grey.shape), 0), np.maximum(grey + rng.normal(0, 4, grey.shape), 0)


@pytest.fixture(scope="module")
def clean(tmp_path_factory, visits, as_image):
    """The pair of both visits without outliers."""
    folder = tmp_path_factory.mktemp("clean")
    return prepare(written(folder / "in", as_image, *visits), folder / "case")


def written(folder: Path, as_image, baseline: np.ndarray, follow_up: np.ndarray) -> PairRequest:
    import SimpleITK as sitk

    folder.mkdir()
    for name, array in (("b", baseline), ("f", follow_up)):
        sitk.WriteImage(as_image(array, dtype=np.float32), str(folder / f"{name}.nii.gz"))
    return PairRequest(folder / "b.nii.gz", folder / "f.nii.gz")


@pytest.mark.parametrize(
    ("who", "kind", "value"),
    [
        ("follow-up", "corner", 40_000.0),
        ("both", "0.004", 40_000.0),
        ("both", "0.001", -40_000.0),
    ],
)
def test_a_pair_is_prepared_under_outliers_as_without(tmp_path, visits, clean, as_image, who, kind, value):
    baseline, follow_up = visits
    marked = [
        spoilt(scan, kind, value) if who in (name, "both") else scan
        for name, scan in (("baseline", baseline), ("follow-up", follow_up))
    ]
    pair = prepare(written(tmp_path / "hot", as_image, *marked), tmp_path / "b")
    assert dice(pair.mask, clean.mask) > 0.97
    assert np.abs(np.array(pair.registration["matrix"])[[3, 7, 11]] - (4.0, -3.0, 5.0)).max() < 0.6
    assert alarms(pair.registration) == ()
    assert pair.scaling["shading"] == clean.scaling["shading"]
    both = pair.mask & clean.mask
    for name in ("baseline", "follow_up"):
        off = np.abs(getattr(pair, name) - getattr(clean, name))[both]
        # Where a voxel is damaged its neighbours are too, by the spline; most of the brain is as it was.
        assert np.median(off) < 0.06 and np.percentile(off, 90) < 0.5, name


def test_one_cold_voxel_does_not_turn_a_ratio_into_a_difference(phantom):
    grey = phantom["grey"] + 10.0
    cold = grey.copy()
    cold[0, 0, 0] = -5000
    _, _, plain = scale_and_match(grey * 2, grey, phantom["brain"])
    _, _, report = scale_and_match(cold * 2, cold, phantom["brain"])
    assert plain["shading"] == report["shading"] == "ratio"
    assert report["spread"] == plain["spread"]


def test_outside_and_around_damaged_voxels_a_resampled_scan_stays_in_its_range(phantom, as_image):
    grey = phantom["grey"] + 10.0
    hot = grey.copy()
    hot[17, 40, 40], hot[3, 3, 3] = 1e6, -1e6
    image = as_image(hot, dtype=np.float32)
    move = np.eye(4)
    move[:3, 3] = (3.3, 2.1, 7.7)
    moved = on_grid(image, Grid.of(image), move)
    plain = on_grid(as_image(grey, dtype=np.float32), Grid.of(image), move)
    low, high = usual_range(grey)
    assert moved.min() > low - 5 * (high - low) and moved.max() < high + 5 * (high - low)
    assert np.abs(moved[-1] - plain[-1]).max() < 10  # what the scan does not show is as dark as its background
    assert np.mean(np.abs(moved - plain) > 1) < 0.01
