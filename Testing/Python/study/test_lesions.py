"""What is told of each lesion: its measures on any grid, its class, and who says so."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.study import NewAnswer, Study
from LMIALLib.study.exports import ExportRequest, export
from LMIALLib.study.lesion import Lesion
from LMIALLib.study.tables import LESION_COLUMNS
from LMIALLib.study.targets import label_volume

LEFT_HANDED = (0.0, 0.8, 0.6, 1.0, 0.0, 0.0, 0.0, 0.6, -0.8)
OBLIQUE = Grid((24, 20, 16), (0.4883, 1.2, 3.3), (-98.76543, 123.45678, -7.7), LEFT_HANDED)


BOX = np.s_[4:7, 5:9, 8:14]


def visits(grid: Grid, axis: int, before: float, after: float) -> Pair:
    """Both visits flat at 0, but for a box with an intensity of its own in baseline and follow-up."""
    baseline, follow_up = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    baseline[BOX], follow_up[BOX] = before, after
    return Pair(baseline, follow_up, np.ones(grid.shape, bool), grid, axis)


@pytest.fixture(params=[0, 1, 2])
def measured(request: pytest.FixtureRequest, study: Study, add_case: Callable) -> tuple[Study, Lesion]:
    """Case "b" on an oblique grid, its slices along each axis in turn; the model suggests one box that got brighter."""
    add_case(study, "b", pair=visits(OBLIQUE, request.param, 0.25, 3.0))
    opinion = np.full(OBLIQUE.shape, 0.1, np.float32)
    opinion[BOX] = 0.8
    (lesion,) = study.lesions.of_case("b", opinion, keep=True).lesions
    return study, lesion


def test_volume_place_and_slices_hold_on_oblique_grids(measured: tuple[Study, Lesion]) -> None:
    study, lesion = measured
    case = study.cases.get("b")
    assert (lesion.number, lesion.voxels) == (1, 72)
    assert lesion.volume_ml == pytest.approx(72 * 0.4883 * 1.2 * 3.3 / 1000)
    first, last = ((4, 6), (5, 8), (8, 13))[case.axis]
    assert (lesion.first_slice, lesion.last_slice, lesion.slices) == (first, last, last - first + 1)
    assert lesion.largest_slice == first
    rows, columns = (axis for axis in range(3) if axis != case.axis)
    middle = (5.0, 6.5, 10.5)
    assert lesion.largest_spot == (middle[rows], middle[columns])
    image = OBLIQUE.image_of(np.zeros(OBLIQUE.shape, np.uint8))
    assert np.allclose(lesion.centroid_lps, image.TransformContinuousIndexToPhysicalPoint(middle[::-1]), atol=1e-6)
    place = np.array(lesion.place_ras) * (-1, -1, 1)
    k, j, i = image.TransformPhysicalPointToIndex(place.tolist())[::-1]
    assert k in range(4, 7) and j in range(5, 9) and i in range(8, 14), "a voxel of the lesion"
    edges = np.array([3 * 3.3, 4 * 1.2, 6 * 0.4883])
    assert edges.max() < lesion.diameter_mm < np.linalg.norm(edges)
    faces = [np.linalg.norm(edges - np.array(step)) for step in ((0, 1.2, 0.4883), (3.3, 0, 0.4883), (3.3, 1.2, 0))]
    assert lesion.diameter_mm == pytest.approx(max(faces))


def test_difference_class_and_confidence_are_those_of_its_voxels(measured: tuple[Study, Lesion]) -> None:
    _, lesion = measured
    assert lesion.difference_sd == pytest.approx(2.75)
    assert (lesion.proposed, lesion.confirmed, lesion.classes, lesion.status) == ("new", "", (), "model's alone")
    assert lesion.confidence == pytest.approx(0.8)
    assert (lesion.kind, lesion.name) == ("new", "lesion 1 (new, proposed, model only)")


@pytest.mark.parametrize(
    ("before", "after", "proposed", "sign"),
    [(0, 3, "new", 1), (2, 4, "enlarged", 1), (4, 2, "shrunk", -1), (3, 0, "vanished", -1), (1, 1.2, "", 1)],
)
def test_each_class_is_proposed_by_both_visits(
    study: Study, add_case: Callable, before: float, after: float, proposed: str, sign: int
) -> None:
    add_case(study, "b", pair=visits(OBLIQUE, 0, before, after))
    opinion = np.zeros(OBLIQUE.shape, np.float32)
    opinion[BOX] = 1.0
    (lesion,) = study.lesions.of_case("b", opinion, keep=True).lesions
    assert lesion.proposed == proposed and np.sign(lesion.difference_sd) == sign
    assert lesion.kind == (proposed or "change")


def test_a_reader_confirms_a_class_and_the_undetermined_one_confirms_nothing(study: Study, add_case: Callable) -> None:
    add_case(study, "b", pair=visits(OBLIQUE, 0, 0.0, 3.0))
    mask = np.zeros((20, 24), np.uint8)
    mask[5:9, 8:14] = 1
    for number, answer in ((3, None), (4, mask), (5, mask), (6, mask), (7, None)):
        kind = "nothing" if answer is None else "mask"
        study.answers.save(NewAnswer("b", number, kind, answer, reader="r"))
    (lesion,) = study.lesions.of_case("b", None, keep=True).lesions
    assert (lesion.classes, lesion.confirmed, lesion.status) == (("change",), "", "read")
    assert (lesion.name, lesion.confidence) == ("lesion 1 (new, proposed)", None)
    study.answers.save(NewAnswer("b", 5, "mask", np.where(mask, 3, 0), reader="r"))
    (lesion,) = study.lesions.of_case("b", None, keep=True).lesions
    assert (lesion.classes, lesion.confirmed) == (("change", "enlarged"), "enlarged")
    assert lesion.name == "lesion 1 (enlarged)"
    study.answers.take_back("b", 7, "r")
    (lesion,) = study.lesions.of_case("b", None, keep=True).lesions
    assert lesion.status == "partly read", "the slice beside it was not read"


def test_where_a_teacher_said_nothing_there_is_no_opinion(study: Study, add_case: Callable) -> None:
    add_case(study, "b", pair=visits(OBLIQUE, 0, 0.0, 3.0))
    opinion = np.full(OBLIQUE.shape, np.nan, np.float32)
    opinion[4][5:9, 8:14] = 0.9
    (lesion,) = study.lesions.of_case("b", opinion, keep=True).lesions
    assert (lesion.first_slice, lesion.last_slice) == (4, 4)
    assert lesion.confidence == pytest.approx(0.9)


# Exports -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(study: Study, add_case: Callable) -> tuple[Study, np.ndarray]:
    """Case "b" with 300 lesions of one voxel that the model suggests, and slice 0 read: one lesion, "new"."""
    grid = Grid((41, 32, 5), (1.0, 1.1, 2.0), (1.5, -20.0, 3.0), LEFT_HANDED)
    opinion = np.zeros(grid.shape, np.float32)
    opinion[2, :26:2, ::2] = 0.75  # 13 x 21
    opinion[4, :2:2, ::2] = opinion[4, 2, :10:2] = 0.75  # 21 + 5
    assert np.count_nonzero(opinion) == 299
    add_case(study, "b", pair=visits(grid, 0, 0.0, 0.0))
    mask = np.zeros((32, 41), np.uint8)
    mask[3:6, 4:9] = 2
    study.answers.save(NewAnswer("b", 0, "mask", mask, reader="r"))
    return study, opinion


def rows_of(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(("name", "suffix"), [("nrrd", "nrrd"), ("nifti", "nii.gz")])
def test_three_hundred_lesions_keep_their_numbers_in_a_map_of_16_bits(
    many: tuple[Study, np.ndarray], tmp_path: Path, name: str, suffix: str
) -> None:
    study, opinion = many
    request = ExportRequest("lesions", name, case="b", maps={"b": opinion}, keep_numbers=True)
    files = {file.name: file for file in export(study, tmp_path / "out", request)}
    assert files.keys() == {f"b-lesions.{suffix}", f"b-lesions.{suffix}.json", "b-lesions.csv"}
    image = sitk.ReadImage(str(files[f"b-lesions.{suffix}"]))
    array = sitk.GetArrayFromImage(image)
    assert image.GetPixelID() == sitk.sitkUInt16
    assert Grid.of(image).same_as(study.cases.get("b").grid, 1e-4)
    found = study.lesions.of_case("b", opinion, keep=False)
    assert np.array_equal(array[found.volume > 0], found.volume[found.volume > 0])
    assert np.unique(array[found.volume > 0]).tolist() == list(range(1, 301))
    assert not array[0][found.volume[0] == 0].any(), "read, no change"
    assert (array[1:][found.volume[1:] == 0] == 65535).all(), "unread is never written as no lesion"
    rows = rows_of(files["b-lesions.csv"])
    assert list(rows[0]) == list(LESION_COLUMNS) and [int(row["lesion"]) for row in rows] == list(range(1, 301))
    assert (rows[0]["class"], rows[0]["confirmed_class"], rows[0]["status"]) == ("new", "new", "partly read")
    assert (rows[1]["class"], rows[1]["confidence"], rows[1]["status"]) == ("suggested", "0.75", "model's alone")
    zeros = replace(request, unread=0)
    volume = next(file for file in export(study, tmp_path / "zeros", zeros) if file.name == f"b-lesions.{suffix}")
    assert 65535 not in sitk.GetArrayFromImage(sitk.ReadImage(str(volume)))


def test_each_lesion_is_a_segment_with_a_plain_name(many: tuple[Study, np.ndarray], tmp_path: Path) -> None:
    study, opinion = many
    request = ExportRequest("lesions", case="b", maps={"b": opinion}, keep_numbers=True)
    files = {file.name: file for file in export(study, tmp_path, request)}
    values, header = nrrd.read(str(files["b-lesions.seg.nrrd"]), index_order="F")
    assert values.dtype == np.uint16
    found = study.lesions.of_case("b", opinion, keep=False)
    segments = {header[f"Segment{n}_Name"]: n for n in range(301)}
    assert "Segment301_ID" not in header and len(segments) == 301
    for one in (found.lesions[0], found.lesions[254], found.lesions[255], found.lesions[299]):
        n = segments[one.name]
        inside = values[int(header[f"Segment{n}_Layer"])] == int(header[f"Segment{n}_LabelValue"])
        assert np.array_equal(inside.transpose(2, 1, 0), found.volume == one.number)
        where = np.argwhere(inside)
        extent = [int(edge) for pair in zip(where.min(axis=0), where.max(axis=0), strict=True) for edge in pair]
        assert [int(edge) for edge in header[f"Segment{n}_Extent"].split()] == extent
    assert "lesion 1 (new)" in segments and "lesion 300 (change, model only)" in segments
    n = segments["reviewed"]
    reviewed = values[int(header[f"Segment{n}_Layer"])] == int(header[f"Segment{n}_LabelValue"])
    assert np.array_equal(reviewed.transpose(2, 1, 0), label_volume(study, "b")[1])


def test_numbers_beyond_16_bits_take_32_and_none_wraps_around(many: tuple[Study, np.ndarray], tmp_path: Path) -> None:
    study, opinion = many
    study.lesions.of_case("b", None, keep=True)
    file = study.folder / "cases" / "b" / "lesions.json"
    file.write_text(file.read_text().replace('"highest":1,', '"highest":65400,'))
    request = ExportRequest("lesions", "nrrd", case="b", maps={"b": opinion}, keep_numbers=True)
    volume = next(file for file in export(study, tmp_path, request) if file.suffix == ".nrrd")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(volume)))
    assert array.dtype == np.uint32
    assert np.unique(array).tolist() == [0, 1, *range(65401, 65700), 2**32 - 1]
    assert "4294967295 = not read" in nrrd.read_header(str(volume))["LMIAL_values"]
    layers, _ = nrrd.read(str(export(study, tmp_path, replace(request, format="seg.nrrd"))[1]), index_order="F")
    assert layers.max() == 65699


def test_a_study_that_can_only_be_read_exports_numbers_and_keeps_none(
    many: tuple[Study, np.ndarray], tmp_path: Path
) -> None:
    study, opinion = many
    with Study.open(study.folder, read_only=True) as watching:
        export(watching, tmp_path, ExportRequest("lesions", case="b", maps={"b": opinion}))
    assert not (study.folder / "cases" / "b" / "lesions.json").exists()


def test_a_case_without_lesions_exports_what_was_read(study: Study, tmp_path: Path) -> None:
    files = export(study, tmp_path, ExportRequest("lesions"))
    values, header = nrrd.read(str(files[1]), index_order="F")
    assert not values.any() and header["Segment0_Name"] == "reviewed"
    assert rows_of(files[0]) == []


def test_an_export_leaves_out_what_nobody_read_unless_asked(measured: tuple[Study, Lesion], tmp_path: Path) -> None:
    study, lesion = measured
    case, opinion = study.cases.get("b"), np.full(OBLIQUE.shape, 0.1, np.float32)
    opinion[BOX] = 0.8
    request = ExportRequest("lesions", "nrrd", case="b", maps={"b": opinion}, keep_numbers=True)

    def exported(**options: bool) -> tuple[np.ndarray, list[dict[str, str]]]:
        files = export(study, tmp_path, replace(request, **options))
        volume = next(file for file in files if file.suffix == ".nrrd")
        return sitk.GetArrayFromImage(sitk.ReadImage(str(volume))), rows_of(
            next(f for f in files if f.suffix == ".csv")
        )

    volume, rows = exported(suggestions=False)
    assert not (volume == lesion.number).any() and rows == []
    shown = [lesion.first_slice]
    study.lesion_answers.save("b", "accepted", opinion >= 0.5, shown, "anna")
    volume, rows = exported(suggestions=False)
    assert np.flatnonzero((np.moveaxis(volume, case.axis, 0) == lesion.number).any(axis=(1, 2))).tolist() == shown
    assert [(row["lesion"], row["status"]) for row in rows] == [(str(lesion.number), "accepted as a whole")]
    volume, rows = exported()
    assert (volume == lesion.number).sum() == lesion.voxels and rows[0]["status"] == "accepted as a whole"
    study.lesion_answers.save("b", "rejected", opinion >= 0.5, range(lesion.first_slice, lesion.last_slice + 1), "anna")
    assert exported()[1] == [], "a rejected lesion is none, whatever the model says"
