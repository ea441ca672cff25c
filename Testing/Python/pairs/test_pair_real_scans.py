"""Registration and brain region judged on real scans; skipped where they are absent. Figures: pytest -s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.brain import find_brain
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.registration import register
from LMIALLib.pairs.transforms import matrix_of


def supplied_matrix(folder: Path, study: int) -> np.ndarray:
    """(4, 4): points of the common space to points of the raw scan."""
    import SimpleITK as sitk

    return matrix_of(sitk.ReadTransform(str(folder / f"study{study}_FLAIR_to_common_space.txt")))


def supplied_brain(folder: Path, study: int, raw: Any) -> np.ndarray:
    """The supplied brain mask on the raw scan's grid, by nearest neighbour; bool (k, j, i)."""
    import SimpleITK as sitk

    transform = sitk.ReadTransform(str(folder / f"study{study}_FLAIR_to_common_space.txt")).GetInverse()
    mask = sitk.ReadImage(str(folder / "brainmask.nii.gz"))
    return sitk.GetArrayFromImage(sitk.Resample(mask, raw, transform, sitk.sitkNearestNeighbor)) > 0


def registration_error(folder: Path, forward: np.ndarray) -> tuple[float, float]:
    """Mean and largest distance in mm, over the supplied brain, between ``forward`` and the supplied transforms.

    ``forward`` maps points of the raw follow-up to points of the raw baseline; the supplied ones make T1 T2^-1.
    """
    import SimpleITK as sitk

    mask = sitk.ReadImage(str(folder / "brainmask.nii.gz"))
    index = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0)[::5, ::-1]
    common = np.c_[index, np.ones(len(index))] @ Grid.of(mask).index_to_point().T
    follow_up = common @ supplied_matrix(folder, 2).T
    expected = common @ supplied_matrix(folder, 1).T
    distances = np.linalg.norm((follow_up @ forward.T - expected)[:, :3], axis=1)
    return float(distances.mean()), float(distances.max())


@pytest.mark.parametrize("patient", ["patient01", "patient12"])
def test_registration_agrees_with_the_supplied_transforms(open_ms, patient):
    folder = open_ms / "longitudinal" / patient
    baseline, follow_up = (read_volume(folder / f"study{study}_FLAIR.nii.gz") for study in (1, 2))
    region, _ = find_brain(follow_up.image)
    result = register(follow_up.image, baseline.image, fixed_mask=region)
    mean, largest = registration_error(folder, matrix_of(result.transform))
    print(
        f"\n{patient}: mean {mean:.3f} mm, largest {largest:.3f} mm over the brain; {result.report['kind']},", end=" "
    )
    print(f"quality {result.report['quality']:.3f}")
    assert mean < 1.0
    assert not result.report["alarm"]


def test_two_patients_raise_the_alarm(open_ms):
    folder = open_ms / "longitudinal"
    follow_up = read_volume(folder / "patient01" / "study2_FLAIR.nii.gz")
    stranger = read_volume(folder / "patient12" / "study1_FLAIR.nii.gz")
    result = register(follow_up.image, stranger.image, fixed_mask=find_brain(follow_up.image)[0])
    print(f"\npatient12 to patient01: quality {result.report['quality']:.3f}")
    assert result.report["alarm"]


@pytest.mark.parametrize(
    ("patient", "study"), [("patient01", 2), ("patient12", 2), ("patient04", 1), ("patient09", 2), ("patient20", 2)]
)
def test_brain_region_agrees_with_the_supplied_mask(open_ms, patient, study):
    folder = open_ms / "longitudinal" / patient
    raw = read_volume(folder / f"study{study}_FLAIR.nii.gz").image
    region, report = find_brain(raw)
    supplied = supplied_brain(folder, study, raw)
    dice = 2 * np.count_nonzero(region & supplied) / (np.count_nonzero(region) + np.count_nonzero(supplied))
    print(f"\n{patient}: Dice {dice:.3f} with the supplied brain mask; {report['millilitres']:.0f} ml")
    assert report["method"] == "morphology"
    assert dice > 0.93
