"""What leaves a study keeps its geometry, says what was read, and is never half written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.study import UNREAD, NewAnswer, StoredRanking, Study, exports
from LMIALLib.study.exports import ExportRequest, export
from LMIALLib.study.targets import label_volume

LEFT_HANDED = (0.0, 0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, -0.8)


@pytest.fixture
def read_study(study: Study, spot: np.ndarray) -> Study:
    """Case "a" with a mask on slice 1, nothing on 2, an equivocal spot on 3, and three slices unread."""
    doubt = np.zeros((8, 10), bool)
    doubt[0, :4] = True
    study.answers.save(NewAnswer("a", 1, "mask", spot, reader="r1", seconds=3.5))
    study.answers.save(NewAnswer("a", 2, "nothing", reader="r2"))
    study.answers.save(NewAnswer("a", 3, "equivocal", doubt, reader="r2"))
    return study


@pytest.mark.parametrize(("name", "suffix"), [("nrrd", "nrrd"), ("nifti", "nii.gz")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_plain_label_volumes_keep_values_and_geometry(
    study: Study, add_case: Callable, tmp_path: Path, name: str, suffix: str, axis: int
) -> None:
    grid = Grid((10, 8, 6), (0.4883, 1.2, 3.3), (-98.76543, 123.45678, -7.7), LEFT_HANDED)
    noise = np.random.default_rng(0).normal(size=(6, 8, 10)).astype(np.float32)
    case = add_case(study, "b", pair=Pair(noise, noise, np.ones(noise.shape, bool), grid, axis))
    mask = np.zeros(case.slice_shape, np.uint8)
    mask[1, 2:5] = 4
    study.answers.save(NewAnswer("b", 3, "mask", mask, reader="r"))
    volume, about = export(study, tmp_path / "out", ExportRequest(format=name, case="b"))
    assert volume.name == f"b-labels.{suffix}"
    image = sitk.ReadImage(str(volume))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert Grid.of(image).same_as(grid, 1e-4)
    array = sitk.GetArrayFromImage(image)
    assert np.array_equal(array, label_volume(study, "b")[0])
    assert np.count_nonzero(array == 4) == 3
    told = json.loads(about.read_text(encoding="utf-8"))
    assert told["values"]["255"].startswith("not read")
    assert told["read_by_a_person"] == f"1 of {case.n_slices} slices read by a person"


def test_unread_is_zero_only_when_asked_for(read_study: Study, tmp_path: Path) -> None:
    volume, about = export(read_study, tmp_path, ExportRequest(format="nrrd", unread=0))
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(volume)))
    assert UNREAD not in array
    assert "not read" in json.loads(about.read_text())["values"]["0"]
    with pytest.raises(WrongUse, match="255 or 0"):
        export(read_study, tmp_path, ExportRequest(format="nrrd", unread=7))


def test_a_plain_nrrd_names_its_values_in_the_header(read_study: Study, tmp_path: Path) -> None:
    volume, _ = export(read_study, tmp_path, ExportRequest(format="nrrd"))
    header = nrrd.read_header(str(volume))
    assert "255 = not read" in header["LMIAL_values"]
    assert header["LMIAL_read_by_a_person"] == "3 of 6 slices read by a person"


def test_a_segmentation_is_one_that_slicer_reads(read_study: Study, spot: np.ndarray, tmp_path: Path) -> None:
    volume, _ = export(read_study, tmp_path, ExportRequest())
    assert volume.name == "a-labels.seg.nrrd"
    values, header = nrrd.read(str(volume), index_order="F")
    case = read_study.cases.get("a")
    assert header["space"] == "left-posterior-superior"
    assert list(header["kinds"]) == ["list", "domain", "domain", "domain"]
    assert values.shape == (2, *case.grid.size)
    assert np.isnan(header["space directions"][0]).all()
    directions = (np.array(case.grid.direction).reshape(3, 3) * case.grid.spacing).T
    assert np.abs(header["space directions"][1:] - directions).max() < 1e-9
    assert np.abs(header["space origin"] - np.array(case.grid.origin)).max() < 1e-9
    segments = {}
    for number in range(3):
        told = {
            key: header[f"Segment{number}_{key}"] for key in ("ID", "Name", "Layer", "LabelValue", "Extent", "Color")
        }
        inside = values[int(told["Layer"])] == int(told["LabelValue"])
        segments[told["Name"]] = inside
        where = np.argwhere(inside)
        extent = [int(v) for v in told["Extent"].split()]
        assert extent == [int(e) for pair in zip(where.min(axis=0), where.max(axis=0), strict=True) for e in pair]
        assert len(told["Color"].split()) == 3
    assert "Segment3_ID" not in header
    assert list(segments) == ["new", "enlarged", "reviewed"]
    labels, reviewed = label_volume(read_study, "a")
    assert np.array_equal(segments["new"].transpose(2, 1, 0), labels == 2)
    assert np.array_equal(segments["enlarged"].transpose(2, 1, 0), labels == 3)
    assert np.array_equal(segments["reviewed"].transpose(2, 1, 0), reviewed)
    assert header["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert "255" not in header["LMIAL_values"]


def test_a_segmentation_without_any_label_still_opens(study: Study, tmp_path: Path) -> None:
    volume, _ = export(study, tmp_path, ExportRequest())
    values, header = nrrd.read(str(volume), index_order="F")
    assert not values.any()
    assert [header["Segment0_Name"], header["Segment1_Name"]] == ["change", "reviewed"]
    assert header["Segment1_Extent"] == "0 -1 0 -1 0 -1"


def test_the_suggestion_and_the_uncertainty_are_the_maps_themselves(read_study: Study, tmp_path: Path) -> None:
    chance = np.random.default_rng(0).random((6, 8, 10)).astype(np.float32)
    request = ExportRequest("suggestion", "nifti", maps={"a": chance})
    volume, about = export(read_study, tmp_path, request)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(volume))), chance)
    assert json.loads(about.read_text())["made_by"].startswith("the model")
    volume, _ = export(read_study, tmp_path, replace(request, format=None))
    values, header = nrrd.read(str(volume), index_order="F")
    assert header["Segment0_Name"] == "suggestion (model)"
    assert np.array_equal(values[0].transpose(2, 1, 0) == 1, chance >= 0.5)
    volume, _ = export(read_study, tmp_path, ExportRequest("uncertainty", maps={"a": chance}))
    assert volume.name == "a-uncertainty.nrrd"
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(volume))), chance)


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        (ExportRequest("heatmap"), WrongUse, "heatmap"),
        (ExportRequest(format="dicom"), WrongUse, "dicom"),
        (ExportRequest("table", "nrrd"), WrongUse, "csv"),
        (ExportRequest("uncertainty", "seg.nrrd", maps={"a": np.zeros((6, 8, 10))}), WrongUse, "no segmentation"),
        (ExportRequest("uncertainty"), BadInput, "no uncertainty yet"),
        (ExportRequest("suggestion", maps={"b": np.zeros((6, 8, 10))}), BadInput, "suggestion of a"),
        (ExportRequest("suggestion", maps={"a": np.zeros((8, 6, 10))}), BadInput, "shape"),
        (ExportRequest(case="nobody"), BadInput, "no case"),
    ],
)
def test_exports_that_make_no_sense_write_nothing(
    study: Study, tmp_path: Path, request_: ExportRequest, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        export(study, tmp_path / "out", request_)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.seg.nrrd", "table.csv", "a file"])
def test_an_export_goes_into_a_folder(study: Study, tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(WrongUse, match="names a file"):
        export(study, tmp_path / name, ExportRequest())
    assert (tmp_path / "a file").read_text() == "mine"


def test_a_study_without_cases_has_nothing_to_export(tmp_path: Path) -> None:
    with Study.create(tmp_path / "s") as empty, pytest.raises(BadInput, match="no case to export"):
        export(empty, tmp_path / "out", ExportRequest())


def test_an_export_that_breaks_off_leaves_the_earlier_one(
    read_study: Study, add_case: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(read_study, out, ExportRequest())
    (out / "mine.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    add_case(read_study, "b")
    write = exports.write_segmentation

    def breaks(path: Path, *rest: object) -> None:
        if path.name.startswith("b-"):
            raise OSError(28, "No space left on device")
        write(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(exports, "write_segmentation", breaks)
    with pytest.raises(BadInput, match="disk is full"):
        export(read_study, out, ExportRequest())
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_exports_of_one_reader_hold_their_answers_only(read_study: Study, tmp_path: Path) -> None:
    volume, about = export(read_study, tmp_path, ExportRequest(format="nrrd", reader="r2"))
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(volume)))
    assert (array[1] == UNREAD).all()
    assert not array[2].any()
    told = json.loads(about.read_text())
    assert (told["reader"], told["slices_read"], told["equivocal_slices"]) == ("r2", 2, [3])


def test_provenance_names_model_strategy_seed_and_versions(read_study: Study, tmp_path: Path) -> None:
    weights = tmp_path / "w"
    weights.write_bytes(b"1")
    model = read_study.models.add(weights, id="m0", adopted=True)
    read_study.rankings.store(StoredRanking({"strategy": "entropy", "seed": 5}, {}, {}, 0))
    _, about = export(read_study, tmp_path / "out", ExportRequest())
    told = json.loads(about.read_text())
    assert (told["model"], told["model_digest"]) == ("m0", model.digest)
    assert (told["strategy"], told["seed"], told["ranking"]) == ("entropy", 5, 1)
    assert told["study"] == read_study.study_id
    assert told["lmial"]
    assert read_study.log.events()[-1].kind == "export"


def rows_of(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_tables_say_what_was_read(read_study: Study, tmp_path: Path) -> None:
    opinion = np.zeros((6, 8, 10), np.float32)
    opinion[0, 2, 3] = 0.9  # beside the reader's lesion on slice 1
    opinion[5, 0, 0] = 0.5  # alone
    opinion[2, 7, 0] = 0.9  # on a slice where a person said "nothing": not a lesion
    request = ExportRequest("table", maps={"a": opinion})
    files = {file.name: file for file in export(read_study, tmp_path / "out", request)}
    assert files.keys() == {"lesions.csv", "slices.csv", "table.json"}
    lesions = rows_of(files["lesions.csv"])
    assert [(r["class"], r["status"], r["voxels"]) for r in lesions] == [
        ("new", "partly read", "7"),
        ("enlarged", "partly read", "1"),  # slice 0 beside it was not read
        ("suggested", "model's alone", "1"),
    ]
    case = read_study.cases.get("a")
    assert float(lesions[1]["volume_ml"]) == pytest.approx(case.grid.voxel_ml)
    image = case.grid.image_of(np.zeros(case.grid.shape, np.uint8))
    expected = image.TransformContinuousIndexToPhysicalPoint((7.0, 6.0, 1.0))
    found = [float(lesions[1][f"centroid_{axis}_mm"]) for axis in "lps"]
    assert np.abs(np.array(found) - expected).max() < 1e-3
    slices = rows_of(files["slices.csv"])
    assert [r["answer"] for r in slices] == ["not read", "mask", "nothing", "equivocal", "not read", "not read"]
    assert (slices[1]["reader"], slices[1]["seconds"], slices[1]["voxels"]) == ("r1", "3.5", "7")
    about = json.loads(files["table.json"].read_text())
    assert about["cases"][0]["read_by_a_person"] == "3 of 6 slices read by a person"


def test_a_lesion_between_read_slices_is_read(study: Study, spot: np.ndarray, tmp_path: Path) -> None:
    for number in (1, 4):
        study.answers.save(NewAnswer("a", number, "nothing", reader="r"))
    for number in (2, 3):
        study.answers.save(NewAnswer("a", number, "mask", np.where(spot == 2, number - 1, 0), reader="r"))
    files = export(study, tmp_path, ExportRequest("table"))
    (lesion,) = rows_of(files[0])
    assert (lesion["status"], lesion["voxels"], lesion["slices"]) == ("read", "12", "2")
    assert (lesion["class"], lesion["other_classes"]) == ("change", "new")
    assert (lesion["first_slice"], lesion["last_slice"]) == ("2", "3")


def test_the_report_opens_with_what_was_read_and_needs_nothing_else(read_study: Study, tmp_path: Path) -> None:
    (page,) = export(read_study, tmp_path, ExportRequest(what="report"))
    text = page.read_text(encoding="utf-8")
    assert page.name == "report.html"
    total = sum(case.n_slices for case in read_study.cases.all())
    assert f"3 of {total} slices read by a person" in text
    assert "r1, r2" in text and text.count("data:image/png;base64,") == 1
    assert "http" not in text and "<script" not in text
    with pytest.raises(WrongUse, match="html"):
        export(read_study, tmp_path, ExportRequest(what="report", format="nifti"))
