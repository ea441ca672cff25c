"""nnInteractive from a local folder: the real session where it is installed; what could run code is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interactive_models import save_model_folder
from teacher_models import GONE, NEW, small_pair, small_study

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.pipeline.teachers import nninteractive_folder
from LMIALLib.pipeline.teachers.nninteractive import NnInteractive, nninteractive_teacher
from LMIALLib.pipeline.teachers.nninteractive_folder import LoadedSession
from LMIALLib.pipeline.teachers.prompts import PromptSettings
from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
from LMIALLib.pipeline.teachers.teacher import PseudoLabel


def installed() -> str:
    """Why the real session cannot be had, or an empty string."""
    try:
        nninteractive_folder._session_class()
    except WrongUse as absent:
        return absent.sentence
    return ""


@pytest.fixture
def needs_the_real_one() -> None:
    absent = installed()
    if absent:
        pytest.skip(absent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose plans are real and whose weights are none."""
    return save_model_folder(tmp_path / "model", with_weights=False)


@pytest.mark.usefixtures("needs_the_real_one")
def test_a_real_session_is_asked_at_both_visits_and_leaves_opinions_of_every_slice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = nninteractive_teacher(save_model_folder(tmp_path / "model"), "cpu", 1)
    with small_study(tmp_path / "study", axis=2) as study:
        taught = make_pseudo_labels(study, teacher)
        pseudo = read_pseudo(study, teacher.id, "a")
    assert pseudo is not None and pseudo.made_by["kind"] == "nninteractive"
    assert set(np.flatnonzero(pseudo.done)) | set(pseudo.failed) == set(range(6))
    assert {0, 1, 4, 5} <= set(np.flatnonzero(pseudo.done))
    assert not [why for why in pseudo.failed.values() if "found no object" not in why]
    assert taught.cases[0].judged + len(taught.cases[0].failed) == 4
    assert capsys.readouterr().out == "", "standard output belongs to documents"
    assert nninteractive_folder.SWITCH not in os.environ


@pytest.mark.usefixtures("needs_the_real_one")
def test_a_checkpoint_that_holds_more_than_weights_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = save_model_folder(tmp_path / "model")
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    torch.save({**torch.load(checkpoint, weights_only=False), "logging": Evil()}, checkpoint)
    with pytest.raises(BadInput, match="holds more than weights"):
        nninteractive_teacher(folder, "cpu", 1)
    assert not (tmp_path / "ran").exists() and nninteractive_folder.SWITCH not in os.environ


@pytest.mark.usefixtures("needs_the_real_one")
def test_weights_that_are_cut_or_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model")
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cannot be loaded"):
        nninteractive_teacher(folder, "cpu", 1)
    checkpoint.write_bytes(whole)
    change_plans(folder, lambda described: described["arch_kwargs"].update(features_per_stage=[4, 16]))
    with pytest.raises(BadInput, match="its plans and its weights do not fit"):
        nninteractive_teacher(folder, "cpu", 1)


def change_plans(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    plans = json.loads((folder / "plans.json").read_text())
    change(plans["configurations"]["3d_fullres"]["architecture"])
    (folder / "plans.json").write_text(json.dumps(plans))


def second_fold(folder: Path) -> None:
    shutil.copytree(folder / "fold_0", folder / "fold_1")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "is missing": (shutil.rmtree, "does not exist"),
    "has no plans": (lambda folder: (folder / "plans.json").unlink(), "plans.json is missing"),
    "has no data set": (lambda folder: (folder / "dataset.json").unlink(), "dataset.json is missing"),
    "is another nnU-Net": (
        lambda folder: (folder / "inference_session_class.json").unlink(),
        "is no model of nnInteractive or is incomplete",
    ),
    "has no weights": (lambda folder: shutil.rmtree(folder / "fold_0"), "holds 0 files"),
    "has two folds": (second_fold, "holds 2 files"),
    "has no configurations": (lambda folder: (folder / "plans.json").write_text("{}"), "is no plan of nnU-Net v2"),
    "names a foreign network": (
        lambda folder: change_plans(folder, lambda described: described.update(network_class_name="os.system")),
        "names 'os.system' as a part of the network",
    ),
    "names a foreign layer": (
        lambda folder: change_plans(folder, lambda described: described["arch_kwargs"].update(nonlin="evil.Layer")),
        "names 'evil.Layer' as a part of the network",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(what: str, folder: Path) -> None:
    spoil, sentence = SPOILT[what]
    spoil(folder)
    with pytest.raises(BadInput) as refused:
        nninteractive_teacher(folder, "cpu", 1)
    assert sentence in refused.value.sentence and "\n" not in refused.value.sentence


def test_where_the_package_is_missing_the_way_to_get_it_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nnInteractive.inference.inference_session", None)
    with pytest.raises(WrongUse, match="needs the package nnInteractive 2") as refused:
        nninteractive_teacher(folder, "cpu", 1)
    assert "pip install 'lmial[nninteractive]'" in refused.value.hint


class Session:
    """Stands for nnInteractive's session: marks what is bright in the box, one row more after the point."""

    def __init__(self, grows: bool = False) -> None:
        self.grows, self.asked = grows, []

    def set_image(self, image: np.ndarray) -> None:
        self.image = image[0]

    def set_target_buffer(self, target: np.ndarray) -> None:
        self.target = target

    def reset_interactions(self) -> None:
        self.target[:] = 0

    def add_bbox_interaction(self, box: list[list[int]], include_interaction: bool) -> None:
        self.asked.append(box)
        place = tuple(slice(*side) for side in box)
        self.target[place] = self.image[place] > 2

    def add_point_interaction(self, point: tuple[int, ...], include_interaction: bool) -> None:
        assert self.target[point] or self.image[point] < 2
        if self.grows:
            self.target[:] = 0


def stand_in(session: Session) -> NnInteractive:
    return NnInteractive(LoadedSession(session, "0", ""), PromptSettings(), {}, 1, "nninteractive-1")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_boxes_and_points_lie_where_the_pair_differs_along_any_axis(axis: int) -> None:
    session, pair = Session(), small_pair(axis)
    said = dict(stand_in(session).judged(pair, [1, 2, 3, 4], lambda: None))
    for number, rows, columns in (NEW, GONE):
        truth = np.zeros((48, 40), bool)
        truth[rows, columns] = True
        opinion = said[number]
        assert isinstance(opinion, PseudoLabel) and ((opinion.probability >= 0.5) == truth).all()
        assert (opinion.confidence[truth] == 1).all()
    assert len(session.asked) == 4 and all(box[axis][1] - box[axis][0] == 1 for box in session.asked)


def test_only_components_of_the_asked_slices_are_asked_about() -> None:
    session = Session()
    list(stand_in(session).judged(small_pair(), [NEW[0]], lambda: None))
    assert [box[0] for box in session.asked] == [[2, 3], [2, 3]]
    session = Session()
    list(stand_in(session).judged(small_pair(), [1], lambda: None))
    assert not session.asked


def test_an_object_that_does_not_stay_under_a_second_prompt_is_not_believed() -> None:
    said = dict(stand_in(Session(grows=True)).judged(small_pair(), [NEW[0]], lambda: None))
    assert said[NEW[0]] == "The teacher found no object at the one place where the visits differ."


def test_an_error_of_the_session_fails_the_slices_of_that_component_only() -> None:
    class Broken(Session):
        def add_point_interaction(self, point: tuple[int, ...], include_interaction: bool) -> None:
            if point[0] == NEW[0]:
                raise RuntimeError("no patch\nmore lines")

    said = dict(stand_in(Broken()).judged(small_pair(), [1, 2, 3, 4], lambda: None))
    assert said[NEW[0]] == "The teacher failed: RuntimeError: no patch"
    assert all(isinstance(said[number], PseudoLabel) for number in (1, 3, 4))
