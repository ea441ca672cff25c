"""`lmial lesions` and the exports of lesions, as a user types them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nrrd
import numpy as np

from LMIALLib.pipeline.pseudo import Pseudo, write_pseudo
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from Testing.Python.cli.test_command_line import lmial, refused


def test_the_table_is_that_of_the_study_and_its_numbers_stay(study_folder: Path, tmp_path: Path) -> None:
    printed = lmial("lesions", study_folder)
    assert printed.returncode == 0, printed.stderr
    (case,) = json.loads(lmial("lesions", study_folder, "--json").stdout)
    assert (case["case"], case["slices_read"], case["suggested_where_nobody_read"]) == ("head", 0, True)
    with Study.open(study_folder) as study:
        known = study.lesions.of_case("head", study.maps.suggested("head"), keep=True)
        assert [one["number"] for one in case["lesions"]] == [one.number for one in known.lesions]
        first = known.lesions[0]
        told = case["lesions"][0]
        assert told["volume_ml"] == first.volume_ml and told["place_ras"] == list(first.place_ras)
        assert told["name"] == first.name
        line = next(line for line in printed.stdout.splitlines() if line.split()[:1] == [str(first.number)])
        assert f"{first.volume_ml:.3f}" in line and "model's alone" in line
        assert f" {first.first_slice + 1}-{first.last_slice + 1} " in line, "people count slices from 1"
        stack = np.moveaxis(known.volume, study.cases.get("head").axis, 0)
        mask = np.where(stack[first.largest_slice] == first.number, 3, 0).astype(np.uint8)
        study.answers.save(NewAnswer("head", first.largest_slice, "mask", mask, reader="r"))
    (case,) = json.loads(lmial("lesions", study_folder, "--case", "head", "--json").stdout)
    again = next(one for one in case["lesions"] if one["number"] == first.number)
    assert (again["confirmed"], again["status"], again["largest_slice"]) == (
        "enlarged", "partly read", first.largest_slice
    )  # fmt: skip
    read_alone = lmial("export", study_folder, tmp_path / "read", "--what", "lesions")
    assert read_alone.returncode == 0, read_alone.stderr
    with open(tmp_path / "read" / "head-lesions.csv", encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (int(row["lesion"]), row["slices"]) == (first.number, "1"), "under its number, as far as it was read"
    exported = lmial("export", study_folder, tmp_path / "out", "--what", "lesions", "--suggestions")
    assert exported.returncode == 0, exported.stderr
    header = nrrd.read_header(str(tmp_path / "out" / "head-lesions.seg.nrrd"))
    names = [header[key] for key in header if key.startswith("Segment") and key.endswith("_Name")]
    assert f"lesion {first.number} (enlarged)" in names and names[-1] == "reviewed"
    with open(tmp_path / "out" / "head-lesions.csv", encoding="utf-8", newline="") as stream:
        rows = {int(row["lesion"]): row for row in csv.DictReader(stream)}
    assert rows.keys() == {one["number"] for one in case["lesions"]}
    assert rows[first.number]["first_slice"] == str(again["first_slice"]), "data counts slices from 0"
    assert lmial("check", study_folder).returncode == 0


def test_pseudo_labels_of_a_teacher_stand_in_where_nobody_read(study_folder: Path) -> None:
    with Study.open(study_folder) as study:
        case = study.cases.get("head")
        probability = np.zeros(case.grid.shape, np.float32)
        stack = np.moveaxis(probability, case.axis, 0)
        stack[4:6, 20:24, 30:34] = stack[9, 20:24, 30:34] = 0.7
        done = np.arange(case.n_slices) != 9  # the teacher failed there: not "no change", and no lesion either
        pseudo = Pseudo(probability, probability, done, {9: "out of memory"}, {"teacher": "box"})
        write_pseudo(study, "box", "head", pseudo)
    (case,) = json.loads(lmial("lesions", study_folder, "--teacher", "box", "--json").stdout)
    (one,) = case["lesions"]
    assert (one["first_slice"], one["last_slice"], one["voxels"]) == (4, 5, 32)
    refused(lmial("lesions", study_folder, "--teacher", "nobody"), 3, "no pseudo-labels of head", "'nobody'")
    refused(lmial("lesions", study_folder, "--case", "other"), 3, "no case 'other'")


def test_while_someone_annotates_the_table_is_shown_and_no_number_is_taken(study_folder: Path) -> None:
    with Study.open(study_folder, reader="anna"):
        shown = lmial("lesions", study_folder)
    assert shown.returncode == 0 and "head:" in shown.stdout, shown.stderr
    assert not (study_folder / "cases" / "head" / "lesions.json").exists()


def test_a_box_on_a_slice_is_answered(study_folder: Path) -> None:
    one = ("label", study_folder, "--case", "head", "--slice", 4, "--reader", "A")
    saved = lmial(*one, "--box", "10:20,30:44", "--empty")
    assert saved.returncode == 0, saved.stderr
    assert "box 10:20,30:44" in saved.stdout and "still unread" in saved.stdout
    with Study.open(study_folder, read_only=True) as study:
        (answer,) = study.lesion_answers.current("head")
        assert answer.voxels.sum() == 140 and not answer.change.any() and answer.shown == {4}
        assert not study.answers.all("head")
    for wrong, sentence in (("10-20", "was not understood"), ("5:5,0:3", "none on a slice"), ("0:9999,0:3", "none on")):
        refused = lmial(*one, "--box", wrong, "--empty")
        assert refused.returncode in (2, 3) and sentence in refused.stderr and "Traceback" not in refused.stderr
    assert lmial(*one, "--box", "1:2,3:4", "--skip").returncode == 2
