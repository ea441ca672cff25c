"""The delivered label: read slices as read, the rest as suggested, and where each voxel comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.errors import BadInput
from LMIALLib.pairs.segmentation import read_segmentation
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.delivered import EQUIVOCAL, LESION, READ, SUGGESTED, delivered_label
from LMIALLib.study.exports import ExportRequest, export
from LMIALLib.study.store import Study
from Testing.Python.study.kill_while_saving import make_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    make_study(tmp_path / "study")
    with Study.open(tmp_path / "study", reader="anna") as opened:
        yield opened


@pytest.fixture
def suggested(study: Study) -> np.ndarray:
    """The model suggests change in the corner of every slice."""
    case = study.cases.get("a")
    probability = np.zeros(case.grid.shape, np.float32)
    np.moveaxis(probability, case.axis, 0)[:, :2, :2] = 0.9
    return probability


def square(study: Study, row: int) -> np.ndarray:
    mask = np.zeros(study.cases.get("a").slice_shape, np.uint8)
    mask[row : row + 2, 4:6] = 1
    return mask


def say(study: Study, number: int, answer: str, mask: np.ndarray | None = None, reader: str = "anna") -> None:
    study.answers.save(NewAnswer("a", number, answer, mask, reader=reader))


def test_each_voxel_is_as_it_was_read_or_as_it_is_suggested(study: Study, suggested: np.ndarray) -> None:
    say(study, 0, "mask", square(study, 3))
    say(study, 1, "nothing")
    say(study, 2, "equivocal", square(study, 0) | np.roll(square(study, 0), -4, axis=1))  # also where it is suggested
    say(study, 3, "equivocal")
    say(study, 4, "skip")
    axis = study.cases.get("a").axis
    found = delivered_label(study, "a", suggested)
    values, origin = (np.moveaxis(volume, axis, 0) for volume in (found.values, found.origin))
    assert np.array_equal(values[0], square(study, 3)) and (origin[0] == READ).all()
    assert not values[1].any() and (origin[1] == READ).all()
    assert not values[2].any() and (origin[2] == EQUIVOCAL).sum() == 8
    assert not values[3].any() and (origin[3] == EQUIVOCAL).all()
    assert values[4].sum() == 4 and (origin[4] == SUGGESTED).all(), "a skip is no answer"
    assert found.slices_read == 4


def test_an_answer_about_a_lesion_holds_where_it_was_on_the_screen_and_no_slice_says_otherwise(
    study: Study, suggested: np.ndarray
) -> None:
    axis = study.cases.get("a").axis
    voxels = np.zeros(suggested.shape, bool)
    np.moveaxis(voxels, axis, 0)[1:4, 3:5, 4:6] = True
    study.lesion_answers.save("a", "accepted", voxels, [1, 2], "anna")
    study.lesion_answers.save("a", "rejected", suggested > 0.5, [0], "anna")
    outline = np.zeros(suggested.shape, bool)
    np.moveaxis(outline, axis, 0)[4, 5, 5:7] = True
    study.lesion_answers.save("a", "outlined", suggested > 0.5, [4], "anna", outline=outline)
    say(study, 2, "nothing")
    found = delivered_label(study, "a", suggested)
    values, origin = (np.moveaxis(volume, axis, 0) for volume in (found.values, found.origin))
    outlined = np.moveaxis(outline, axis, 0)[4]
    assert np.array_equal(values[4] > 0, outlined) and (origin[4] == LESION).sum() == 6, "the new outline alone"
    assert not values[0].any() and (origin[0] == LESION).sum() == 4, "rejected"
    assert values[1].sum() == 8 and (origin[1] == LESION).sum() == 4, "accepted, beside what is suggested"
    assert not values[2].any() and (origin[2] == READ).all(), "the slice was read: its answer alone counts"
    assert values[3].sum() == 4 and (origin[3] == SUGGESTED).all(), "the lesion was not on the screen there"


def test_one_readers_label_leaves_the_others_words_out(study: Study, suggested: np.ndarray) -> None:
    say(study, 0, "nothing", reader="berta")
    study.lesion_answers.save("a", "rejected", suggested > 0.5, [1], "berta")
    assert delivered_label(study, "a", suggested, reader="anna").values.sum() == 4 * study.cases.get("a").n_slices


@pytest.mark.parametrize("file_format", ["seg.nrrd", "nifti", "nrrd"])
def test_the_export_says_where_each_voxel_comes_from(
    study: Study, suggested: np.ndarray, tmp_path: Path, file_format: str
) -> None:
    say(study, 0, "mask", square(study, 3))
    estimate = {
        "dice": 0.86,
        "dice_low": 0.79,
        "dice_high": 0.91,
        "volume_ml": 1.2,
        "volume_low": 1.0,
        "volume_high": 1.5,
    }
    request = ExportRequest("delivered", file_format, "a", maps={"a": suggested}, estimates={"a": estimate})
    files = {path.name: path for path in export(study, tmp_path / "out", request)}
    expected = delivered_label(study, "a", suggested)
    suffix = {"seg.nrrd": ".seg.nrrd", "nifti": ".nii.gz", "nrrd": ".nrrd"}[file_format]
    if file_format == "seg.nrrd":
        found = read_segmentation(files["a-delivered.seg.nrrd"])
        assert np.array_equal(found.named("read"), expected.origin == READ)
        assert np.array_equal(found.named("change"), expected.values == 1)
    else:
        for name, array in (("a-delivered", expected.values), ("a-delivered-origin", expected.origin)):
            assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(files[f"{name}{suffix}"]))), array)
    about = json.loads(files[f"a-delivered{suffix}.json"].read_text())
    assert about["estimate"] == estimate and about["origins"]["1"] == "read" and about["slices_read"] == 1
    assert "a-delivered.csv" in files
    if file_format != "nifti":
        header = sitk.ReadImage(str(files[f"a-delivered{suffix}"]))
        words = "expected Dice 0.86 (0.79 to 0.91), changed volume 1.20 ml (1.00 to 1.50); in brackets 90 % intervals"
        assert header.GetMetaData("LMIAL_estimate") == words


def test_a_label_of_which_nobody_read_anything_says_so_in_its_name(
    study: Study, suggested: np.ndarray, tmp_path: Path
) -> None:
    files = export(study, tmp_path / "out", ExportRequest("delivered", "nifti", "a", maps={"a": suggested}))
    assert {path.name for path in files} == {
        "a-delivered-unread.nii.gz", "a-delivered-unread-origin.nii.gz", "a-delivered-unread.nii.gz.json",
        "a-delivered-unread.csv",
    }  # fmt: skip


def test_without_a_map_nothing_is_delivered(study: Study, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no delivered"):
        export(study, tmp_path / "out", ExportRequest("delivered"))
