"""``lmial core-set`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="the extra [teachers] is not installed")

from LMIALLib.study.store import Study


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "LMIALLib", *map(str, words)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, env={**os.environ}, check=False)


@pytest.fixture
def folder(make_study: Callable[..., Study]) -> Path:
    study = make_study(2)
    study.close()
    return study.folder


def test_the_queue_is_made_and_status_and_rankings_know_it(folder: Path) -> None:
    done = lmial("core-set", folder, "--budget", "25%", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert "5 of 20 slices are the queue now (ranking 1)" in done.stdout and (folder / "core-set.html").is_file()
    with Study.open(folder, read_only=True) as study:
        stored = study.rankings.latest()
    assert stored is not None and stored.is_core_set and stored.conditions["seed"] == 3
    status = lmial("status", folder)
    assert "The queue is a core-set: 5 of 5 slices wait." in status.stdout, status.stdout + status.stderr
    assert "Differs most" in status.stdout and "Chosen at random" in status.stdout
    ranked = lmial("rank", folder, "--top", 1)
    assert ranked.returncode == 0 and "core-set still wait" in ranked.stderr
    found = json.loads(lmial("core-set", folder, "--budget", "3", "--json").stdout)
    assert len(found["queries"]) == 3 and found["ranking"] == 3 and found["distance"] == "cosine"


def test_a_masked_autoencoder_is_trained_and_no_pickle_is_left(folder: Path) -> None:
    done = lmial("core-set", folder, "--budget", 3, "--embedding", "mae", "--steps", 2)
    assert done.returncode == 0, done.stderr
    there = {file.name for file in (folder / "embeddings" / "mae").iterdir()}
    assert there == {"config.json", "model.safetensors", "run.json", "case0", "case1"}
    assert {file.suffix for file in (folder / "embeddings").rglob("*") if file.is_file()} == {".json", ".safetensors"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--budget", "0%"], 3, "no slice at all"),
        (["--budget", "100%"], 3, "whole study"),
        (["--budget", "a few"], 3, "neither a share nor a count"),
        (["--embedding", "dinov2:nowhere"], 3, "does not exist"),
        (["--embedding", "clip"], 2, "no embedding 'clip'"),
        (["--steps", "5"], 2, "--embedding mae"),
        (["--distance", "far"], 2, "no distance 'far'"),
        (["--teacher", "sam"], 3, "no pseudo-labels"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_changes_nothing(
    words: list[str], code: int, said: str, folder: Path
) -> None:
    before = sorted(str(file) for file in folder.rglob("*"))
    done = lmial("core-set", folder, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert said in done.stderr.replace("\n", " ") and "Traceback" not in done.stderr
    assert sorted(str(file) for file in folder.rglob("*")) == before


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    done = lmial("core-set", tmp_path, "--budget", "5%")
    assert done.returncode == 3 and "not a LMIAL study" in done.stderr
