"""``lmial pseudo-label`` as a user types it: documents on stdout, sentences on stderr, exit codes; all or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from teacher_models import save_onnx, small_study

from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.study.store import Study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with small_study(tmp_path / "study", ("a", "b")) as study:
        return study.folder


def pseudo_label(study: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "LMIALLib", "pseudo-label", str(study), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=120, check=False, env=dict(os.environ)
    )


def refused(done: subprocess.CompletedProcess[str], code: int, *fragments: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in done.stderr.replace("\n", " ")


def test_a_study_is_tried_taught_refused_and_gone_on_with(folder: Path) -> None:
    tried = pseudo_label(folder, "--limit", 2)
    assert tried.returncode == 0 and "highest p" in tried.stdout and "Nothing was stored." in tried.stdout, tried.stderr
    assert not (folder / "pseudo").exists()
    done = pseudo_label(folder, "--case", "a", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "a: 4 of 4 slices judged, 2 empty (no brain), 0 failed" in done.stdout
    assert "no slice counts as read" in done.stdout
    refused(pseudo_label(folder), 3, "a has pseudo-labels of the teacher default already.", "--resume", "--again")
    resumed = json.loads(pseudo_label(folder, "--resume", "--json").stdout)
    assert [(case["case"], case["already"]) for case in resumed["cases"]] == [("a", True), ("b", False)]
    assert (resumed["teacher"], resumed["cancelled"], resumed["made_by"]["kind"]) == ("default", False, "default")


def test_an_annotating_session_is_not_in_the_way_and_sees_nothing_read(folder: Path) -> None:
    with Study.open(folder, reader="anna") as reading:
        assert pseudo_label(folder, "--case", "a").returncode == 0
        assert not reading.answers.current("a") and read_pseudo(reading, "default", "a") is not None


def test_wrong_words_end_with_2_and_bad_input_with_3_and_nothing_is_stored(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(pseudo_label(folder, "--teacher", "unet"), 2, "'unet' is unknown", "default, sam:FOLDER")
    refused(pseudo_label(folder, "--resume", "--again"), 2, "choose one")
    refused(pseudo_label(folder, "--limit", 2, "--again"), 2, "stores nothing")
    refused(pseudo_label(folder, "--case", "c"), 3, "no case 'c'")
    refused(pseudo_label(folder, "--teacher", f"sam:{tmp_path / 'none'}"), 3, "does not exist")
    refused(pseudo_label(folder, "--teacher", f"nninteractive:{tmp_path / 'empty'}"), 3, "is empty")
    refused(pseudo_label(folder, "--teacher", f"onnx:{tmp_path / 'none.onnx'}"), 3, "does not exist")
    assert not (folder / "pseudo").exists()


def test_failed_slices_are_told_and_a_teacher_that_never_answers_ends_with_4(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [teachers] is not installed")
    file = save_onnx(tmp_path / "model.onnx", output="probability")
    other = tmp_path / "said.json"
    file.with_suffix(".json").rename(other)
    refused(
        pseudo_label(folder, "--teacher", f"onnx:{file}", "--onnx-input", other),
        4,
        "failed on every slice of a",
        "runs",
    )
    assert not list((folder / "pseudo").rglob("*.json"))
