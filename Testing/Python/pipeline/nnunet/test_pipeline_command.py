"""``lmial pipeline`` from nothing but scans to lesions, with a kill in between: real teacher, core-set and nnU-Net."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from LMIALLib.loop.studies import add_first_model
from LMIALLib.pipeline.nnunet.places import LATEST, WorkFolder
from LMIALLib.resources import resource
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.checks import check_study
from LMIALLib.study.store import Study

TINY = ("--budget", "20", "--config", "2d", "--size", "tiny", "--epochs", "3", "--iterations", "5", "--folds", "2")
HERE = ("--workers", "0", "--device", "cpu")


def lmial(*words: str, study: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "LMIALLib", "pipeline", str(study), *words, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def said(process: subprocess.Popen[str]) -> dict[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return {one["stage"]: one["sentence"] for one in json.loads(out)["stages"]}


def test_from_scans_to_lesions_with_a_kill_and_a_reader_in_between(study_folder: Path, nnunet: None) -> None:
    with Study.open(study_folder, reader="tests") as study:
        add_first_model(study, resource("Weights", "change.safetensors"))
    checkpoint = WorkFolder.pretraining(study_folder).fold("2d", 0) / LATEST
    killed = lmial(*TINY, *HERE, study=study_folder)
    while not checkpoint.exists() and killed.poll() is None:
        time.sleep(0.01)
    with Study.open(study_folder, reader="a person") as study:
        assert killed.poll() is None and not study.read_only, "who trains does not keep a reader from annotating"
        study.answers.save(NewAnswer("c1", 1, "nothing", reader="a person"))
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    state = json.loads((study_folder / "pipeline.json").read_text())
    assert state["stages"].keys() == {"teacher"}

    waiting = said(lmial("--resume", study=study_folder))
    assert waiting["teacher"].startswith("finished before")
    assert "3 epochs" in waiting["pretraining"] and waiting["reading"].startswith("20 of 20 chosen slices wait")
    refused = lmial(study=study_folder)
    assert "was begun before" in refused.communicate()[1] and refused.returncode == 2

    done = said(lmial("--resume", "--reader", "truth", study=study_folder))
    assert done["pretraining"].startswith("finished before") and done["core-set"].startswith("finished before")
    assert done["reading"] == "All 20 chosen slices are read."
    assert "learned from 21 read slices, 2 folds" in done["fine-tuning"]
    assert "changed lesions in 6 cases" in done["lesions"]
    with Study.open(study_folder, read_only=True) as study:
        assert not check_study(study)
        assert sum(len(study.answers.current(case.name)) for case in study.cases.all()) == 21
        losses = json.loads((study_folder / "pipeline.json").read_text())["stages"]["pretraining"]["result"]["losses"]
        assert len(losses) == 3 and losses[-1] < losses[0]
