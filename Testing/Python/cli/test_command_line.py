"""The command line as a user types it: exit codes, one sentence on stderr, documents on stdout, nothing by halves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.study.store import Study
from LMIALLib.study.targets import training_examples


def lmial(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``lmial`` with words, as a process of its own."""
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}, check=False
    )


def refused(done: subprocess.CompletedProcess[str], code: int, *fragments: str) -> None:
    """The command ended with ``code`` and said why in one sentence without a traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in done.stderr.replace("\n", " ")


def test_help_is_light_and_names_every_command() -> None:
    script = (
        "import sys\nimport LMIALLib\nassert 'numpy' not in sys.modules\nfrom LMIALLib.cli.main import app\n"
        "import typer.testing\nout = typer.testing.CliRunner().invoke(app, ['--help']).stdout\n"
        "heavy = {'torch', 'monai', 'SimpleITK', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\nprint(out)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    commands = "new add import rank show label finetune export status history replay check backup remove doctor demo"
    commands += " pretrain cohort strategies core-set models"
    assert [word for word in commands.split() if f" {word} " not in done.stdout] == []


def test_the_whole_loop_by_hand(tmp_path: Path, phantom_folder: Path) -> None:
    study = tmp_path / "Studie Größe 'α'"
    made = lmial(
        "new", study, "--baseline", phantom_folder / "baseline.nii.gz",
        "--follow-up", phantom_folder / "follow_up.nii.gz", "--case", "head", "--mask", phantom_folder / "brain.nii.gz",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    ranked = lmial("rank", study, "--strategy", "entropy", "--top", 3, "--seed", 4, "--json")
    document = json.loads(ranked.stdout)
    assert (document["strategy"], document["seed"], len(document["queries"])) == ("entropy", 4, 3)
    first = document["queries"][0]["slice"]
    drawn = sitk.ReadImage(str(phantom_folder / "truth.nii.gz"))
    drawn[5, 5, first] = 1
    sitk.WriteImage(drawn, str(tmp_path / "drawn.nii.gz"))
    saved = lmial(
        "label", study, "--case", "head", "--slice", first, "--mask", tmp_path / "drawn.nii.gz", "--reader", "A"
    )
    assert saved.returncode == 0 and "version 1" in saved.stdout, saved.stderr
    second = document["queries"][1]["slice"]
    assert lmial("label", study, "--case", "head", "--slice", second, "--empty", "--reader", "A").returncode == 0
    shown = lmial("show", study, "--case", "head", "--slice", first, "--out", tmp_path / "slice.png")
    assert shown.returncode == 0 and (tmp_path / "slice.png").read_bytes().startswith(b"\x89PNG"), shown.stderr
    exported = lmial("export", study, tmp_path / "out", "--what", "labels", "--format", "nifti")
    assert exported.returncode == 0, exported.stderr
    labels = next(Path(line) for line in exported.stdout.splitlines() if line.endswith(".nii.gz"))
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))
    assert values[first, 5, 5] == 1 and not (values[second] != 0).any()
    assert (np.delete(values, [first, second], axis=0) == 255).all(), "unread is never written as no lesion"
    replayed = lmial("replay", study)
    assert replayed.returncode == 0 and "bit for bit" in replayed.stdout, replayed.stderr
    assert lmial("check", study).returncode == 0
    assert "ranking" in lmial("history", study).stdout
    status = json.loads(lmial("status", study, "--json").stdout)
    assert status["cases"][0]["read"] == 2


def test_a_pair_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, phantom_folder: Path) -> None:
    (tmp_path / "text.nii.gz").write_text("not an image")
    place = tmp_path / "deep" / "study"
    done = lmial(
        "new", place, "--baseline", tmp_path / "text.nii.gz", "--follow-up", phantom_folder / "follow_up.nii.gz"
    )
    refused(done, 3, "text.nii.gz")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["text.nii.gz"]


def test_the_same_file_twice_asks_and_force_answers(tmp_path: Path, phantom_folder: Path) -> None:
    words = ["--baseline", phantom_folder / "baseline.nii.gz", "--follow-up", phantom_folder / "baseline.nii.gz"]
    refused(lmial("new", tmp_path / "study", *words), 3, "--force")
    assert lmial("new", tmp_path / "study", *words, "--no-register", "--force").returncode == 0


def test_a_folder_in_use_is_not_taken(tmp_path: Path, phantom_folder: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    words = ["--baseline", phantom_folder / "baseline.nii.gz", "--follow-up", phantom_folder / "follow_up.nii.gz"]
    refused(lmial("new", tmp_path, *words), 3, "not empty")
    assert (tmp_path / "thesis.docx").read_text() == "precious"


def test_a_broken_pair_added_to_a_study_leaves_it_as_it_was(study_folder: Path, tmp_path: Path) -> None:
    before = sorted(str(file) for file in study_folder.rglob("*"))
    done = lmial("add", study_folder, "--baseline", tmp_path / "no.nii", "--follow-up", tmp_path / "none.nii")
    refused(done, 3, "no.nii")
    assert sorted(str(file) for file in study_folder.rglob("*")) == before
    with Study.open(study_folder, read_only=True) as study:
        assert [case.name for case in study.cases.all()] == ["head"]


@pytest.mark.parametrize("name", ["../out", "a/b", "CON", "", ".hidden", "x" * 80])
def test_case_names_cannot_leave_the_study(name: str, tmp_path: Path, phantom_folder: Path) -> None:
    done = lmial(
        "new", tmp_path / "study", "--baseline", phantom_folder / "baseline.nii.gz",
        "--follow-up", phantom_folder / "follow_up.nii.gz", "--case", name,
    )  # fmt: skip
    refused(done, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["label", "{study}", "--case", "head", "--slice", "3", "--reader", "A"],
        ["label", "{study}", "--case", "head", "--slice", "3", "--reader", "A", "--empty", "--skip"],
        ["label", "{study}", "--case", "head", "--slice", "3", "--empty"],
        ["label", "{study}", "--case", "head", "--slice", "3", "--empty", "--reader", " "],
        ["rank", "{study}", "--strategy", "astrology"],
        ["dance"],
        ["new", "{study}2", "--baseline", "a", "--follow-up", "b", "--grid", "sideways"],
        ["new", "{study}2", "--baseline", "a", "--follow-up", "b", "--axis", "3"],
        ["new", "{study}2", "--baseline", "a", "--follow-up", "b", "--also", "T2=only"],
        ["new", "{study}2", "--baseline", "a", "--follow-up", "b", "--mask", "m", "--everything"],
        ["export", "{study}", "out", "--format", "jpeg"],
        ["export", "{study}", "out", "--what", "everything"],
    ],
)
def test_wrong_use_is_exit_code_2(words: list[str], study_folder: Path) -> None:
    refused(lmial(*[word.format(study=study_folder) for word in words]), 2)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--slice", "999", "--empty"], "999"),
        (["--slice", "-1", "--empty"], "-1"),
        (["--slice", "3", "--mask", "{folder}/small.nrrd"], "4 x 5"),
        (["--slice", "3", "--mask", "{folder}/text.nrrd"], "text.nrrd"),
        (["--slice", "3", "--mask", "{folder}/missing.nrrd"], "missing.nrrd"),
        (["--slice", "3", "--mask", "{folder}/grades.nrrd"], "values"),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_nothing_is_saved(
    words: list[str], fragment: str, study_folder: Path, tmp_path: Path
) -> None:
    with Study.open(study_folder, read_only=True) as study:
        shape = study.cases.get("head").slice_shape
    (tmp_path / "text.nrrd").write_text("hello")
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5), dtype=np.uint8)), str(tmp_path / "small.nrrd"))
    grades = np.zeros(shape, dtype=np.uint8)
    grades[:3, 0] = 7, 8, 9
    sitk.WriteImage(sitk.GetImageFromArray(grades), str(tmp_path / "grades.nrrd"))
    filled = [word.format(folder=tmp_path) for word in words]
    refused(lmial("label", study_folder, "--case", "head", "--reader", "A", *filled), 3, fragment)
    with Study.open(study_folder, read_only=True) as study:
        assert study.answers.all() == ()


def test_a_picture_of_one_slice_is_a_label_too(study_folder: Path, tmp_path: Path) -> None:
    with Study.open(study_folder, read_only=True) as study:
        drawn = np.zeros(study.cases.get("head").slice_shape, dtype=np.uint8)
    drawn[10:14, 20:23] = 255
    sitk.WriteImage(sitk.GetImageFromArray(drawn), str(tmp_path / "slice.png"))
    done = lmial(
        "label", study_folder, "--case", "head", "--slice", 7, "--mask", tmp_path / "slice.png", "--reader", "A",
        "--seconds", 31,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Study.open(study_folder, read_only=True) as study:
        saved = study.answers.current("head")[7]
    assert np.array_equal(saved.mask, (drawn > 0).astype(np.uint8)) and saved.seconds == 31


def test_equivocal_marks_are_ignored_in_training(study_folder: Path, tmp_path: Path) -> None:
    words = ["label", study_folder, "--case", "head", "--slice", 8, "--equivocal", "--reader", "A"]
    assert lmial(*words).returncode == 0
    with Study.open(study_folder, read_only=True) as study:
        (example,) = training_examples(study)
    assert (example.target == 255).all()


def test_while_another_session_annotates_nothing_is_changed_and_looking_works(study_folder: Path) -> None:
    with Study.open(study_folder, reader="dr-busy") as study:
        assert not study.read_only
        refused(lmial("label", study_folder, "--case", "head", "--slice", 3, "--empty", "--reader", "A"), 3, "dr-busy")
        looked = lmial("rank", study_folder, "--json")
        assert looked.returncode == 0 and json.loads(looked.stdout)["queries"], looked.stderr
        assert lmial("status", study_folder).returncode == 0
        assert study.answers.all() == ()


def test_no_study_is_one_sentence(tmp_path: Path) -> None:
    for words in (["status", tmp_path], ["rank", tmp_path / "none"], ["replay", tmp_path], ["check", tmp_path]):
        refused(lmial(*words), 3, "study")


def test_finetune_without_annotations_is_one_sentence(study_folder: Path) -> None:
    refused(lmial("finetune", study_folder), 3, "annotated")


@pytest.mark.parametrize("how", ["truncated", "pickle", "another"])
def test_a_weights_file_that_cannot_be_trusted_is_refused(how: str, study_folder: Path) -> None:
    weights = next((study_folder / "models").glob("*.safetensors"))
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif how == "pickle":
        weights.write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.")
    else:
        from safetensors.numpy import save_file

        save_file({"w": np.zeros(3, dtype=np.float32)}, weights)
    refused(lmial("rank", study_folder), 3, weights.name)


def test_backup_and_remove(study_folder: Path, tmp_path: Path) -> None:
    assert lmial("backup", study_folder, tmp_path / "copy.zip").returncode == 0
    assert (tmp_path / "copy.zip").stat().st_size > 1000
    refused(lmial("remove", study_folder, "--case", "nobody"), 3, "nobody")
    assert lmial("remove", study_folder, "--case", "head").returncode == 0
    assert json.loads(lmial("status", study_folder, "--json").stdout)["cases"] == []


def test_doctor_looks_at_this_machine(tmp_path: Path) -> None:
    done = lmial("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"LMIAL", "torch", "bundled weights", "worker"} <= {finding["what"] for finding in json.loads(done.stdout)}


def test_an_export_read_back_never_turns_unread_slices_into_change(study_folder: Path, tmp_path: Path) -> None:
    assert lmial("label", study_folder, "--case", "head", "--slice", 9, "--empty", "--reader", "A").returncode == 0
    assert lmial("export", study_folder, tmp_path / "out", "--format", "nrrd").returncode == 0
    words = ["label", study_folder, "--case", "head", "--slice", 12, "--reader", "A", "--mask"]
    refused(lmial(*words, tmp_path / "out" / "head-labels.nrrd"), 3, "not read")
    assert lmial("export", study_folder, tmp_path / "out").returncode == 0
    refused(lmial(*words, tmp_path / "out" / "head-labels.seg.nrrd"), 3, "as not read")


def test_a_slice_that_the_reader_picked_is_not_credited_to_the_lot_or_the_strategy(study_folder: Path) -> None:
    waiting = json.loads(lmial("rank", study_folder, "--top", 40, "--json").stdout)["queries"]
    for query in (waiting[0], waiting[-1]):
        words = ["label", study_folder, "--case", "head", "--slice", query["slice"], "--empty", "--reader", "A"]
        assert lmial(*words).returncode == 0
    with Study.open(study_folder, read_only=True) as study:
        drawn = {number: one.drawn for number, one in study.answers.current("head").items()}
    assert drawn == {waiting[0]["slice"]: waiting[0]["drawn"], waiting[-1]["slice"]: "reader"}


def test_after_a_case_is_removed_the_rest_goes_on(study_folder: Path, phantom_folder: Path) -> None:
    pair = ["--baseline", phantom_folder / "baseline.nii.gz", "--follow-up", phantom_folder / "follow_up.nii.gz"]
    assert lmial("add", study_folder, *pair, "--case", "[bold]", "--no-register").returncode == 3
    assert lmial("add", study_folder, *pair, "--case", "other", "--no-register").returncode == 0
    assert lmial("rank", study_folder).returncode == 0
    assert lmial("remove", study_folder, "--case", "other").returncode == 0
    replayed = lmial("replay", study_folder)
    assert replayed.returncode == 0, replayed.stderr
    assert "bit for bit" in replayed.stdout and "no longer in the study" in replayed.stdout
    with Study.open(study_folder, reader="x"):  # held by someone: rank shows what is stored
        queries = json.loads(lmial("rank", study_folder, "--json").stdout)["queries"]
    assert queries and {query["case"] for query in queries} == {"head"}


def test_files_of_the_current_folder_are_never_run(
    study_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('foreign code ran')")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lmial")), "export", str(study_folder), "out"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_reader_who_never_read_is_named(study_folder: Path, tmp_path: Path) -> None:
    refused(lmial("export", study_folder, tmp_path / "out", "--reader", "nobody"), 3, "nobody")
