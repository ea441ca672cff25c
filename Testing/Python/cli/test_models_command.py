"""``lmial models``: what a study has, going back to an earlier one, and what cannot be used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.loop.choosing_model import take_into_use
from LMIALLib.loop.queue import of_another_model
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.study.maps import STORED_MAPS
from LMIALLib.study.store import Study


@pytest.fixture
def learned_folder(study_folder: Path) -> Path:
    """The prepared study after two rounds: one whose model is in use now, and one that was refused."""
    with Study.open(study_folder, reader="setup") as study:
        first = study.models.in_use()
        assert first is not None
        weights = shutil.copyfile(study.models.path(first.id), study_folder.parent / "weights")
        reasons = ["The annotated slices are fitted no worse."]
        report = {"held_out_after": 0.61, "reasons": reasons}
        study.models.add(weights, id="model-001", parent=first.id, round=1, adopted=True, report=report)
        report = {"held_out_after": None, "reasons": ["It forgot."]}
        study.models.add(weights, id="model-002", parent="model-001", round=2, report=report)
    return study_folder


def lmial(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "LMIALLib", "models", *map(str, words)],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


def test_models_are_listed_with_round_dice_reasons_and_which_is_in_use(learned_folder: Path) -> None:
    told = json.loads(lmial(learned_folder, "--json").stdout)["models"]
    assert [(one["round"], one["in_use"], one["ever_in_use"]) for one in told] == [
        (0, False, True), (1, True, True), (2, False, False),
    ]  # fmt: skip
    assert (
        told[1]["dice_held_out"] == 0.61 and told[2]["reasons"] == ["It forgot."] and told[1]["parent"] == told[0]["id"]
    )
    lines = lmial(learned_folder).stdout.splitlines()
    assert "was in use" in lines[1] and "0.610  in use" in lines[2] and "not taken   It forgot." in lines[3]


def test_going_back_is_followed_by_rankings_and_by_training(learned_folder: Path) -> None:
    with Study.open(learned_folder, read_only=True) as study:
        first = study.models.all()[0].id
        assert of_another_model(study), "the ranking is the first model's, and another is in use"
    done = lmial(learned_folder, "--use", first)
    assert done.returncode == 0 and f"{first} is in use now; before it was model-001." in done.stdout, done.stderr
    assert f"lmial rank {learned_folder}" in done.stdout
    again = lmial(learned_folder, "--use", first)
    assert again.returncode == 0 and "in use already" in again.stdout
    with Study.open(learned_folder, reader="anna") as study:
        assert not of_another_model(study)
        assert [event.kind for event in study.log.events()].count("model adopted") == 1
        session = Session(study, reader="anna", settings=LoopSettings(train=False))
        query = session.next()
        assert query is not None
        session.save(np.ones(study.cases.get("head").slice_shape, np.uint8))
        session.learning.request_training(steps=2)
        assert session.learning.training is not None
        result = session.learning.wait(session.learning.training)
        assert result.parent == first and study.models.get(result.model).round == 1
        session.close()


def test_a_refused_model_can_be_used_by_who_wants_it(learned_folder: Path) -> None:
    assert lmial(learned_folder, "--use", "model-002").returncode == 0
    with Study.open(learned_folder, read_only=True) as study:
        assert study.models.in_use() == study.models.get("model-002") and study.models.get("model-002").adopted


def test_what_cannot_be_used_is_refused_with_a_sentence_and_changes_nothing(learned_folder: Path) -> None:
    with Study.open(learned_folder, reader="anna") as study:
        study.models.add(study.models.path("model-001"), id="nnunet-2d-1234")
        volume = np.zeros(study.cases.get("head").grid.shape, np.float32)
        study.maps.write("nnunet-2d-1234", "head", dict.fromkeys(STORED_MAPS[:-1], volume), {"passes": 2})
        with pytest.raises(BadInput, match="known by its maps alone, and those of head are missing"):
            take_into_use(study, "nnunet-2d-1234")
        study.maps.write("nnunet-2d-1234", "head", dict.fromkeys(STORED_MAPS, volume), {"passes": 2})
        assert take_into_use(study, "nnunet-2d-1234").adopted
        study.models.adopt("model-001")
        study.models.path("model-002").write_bytes(b"other weights")
        study.models.path(study.models.all()[0].id).unlink()
        for wrong, words in (
            ("model-002", "is not the one that was stored"),
            (study.models.all()[0].id, "is missing, so it cannot be used"),
            ("model-9", "has no model 'model-9'; it has: start-"),
        ):
            with pytest.raises(BadInput, match=words):
                take_into_use(study, wrong)
        held = lmial(learned_folder, "--use", "model-001"), lmial(learned_folder, "--use", "nnunet-2d-1234")
        assert held[1].returncode == 3 and "annotated by anna" in held[1].stderr and "Traceback" not in held[1].stderr
        assert study.models.in_use() == study.models.get("model-001")
