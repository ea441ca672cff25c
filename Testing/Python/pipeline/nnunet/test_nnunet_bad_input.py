"""What nnU-Net cannot be asked for is refused with a sentence, and nothing is lost."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.pipeline.nnunet.finetuning import finetune
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.pretraining import pretrain, pretrained_weights
from LMIALLib.pipeline.nnunet.process import NO_MEMORY, _explained, run_steps
from LMIALLib.pipeline.nnunet.running import check_installed, sentence
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, Plan, PredictAll, Train, read_steps, steps_message
from LMIALLib.pipeline.pseudo import Pseudo, write_pseudo
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study


def test_a_missing_nnunet_is_told_with_the_command_that_installs_it(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    with pytest.raises(BadInput, match=r"not installed here. Install it: pip install 'lmial\[nnunet\]'"):
        run_steps(study_folder, NnunetRequest("cpu", 0, ()), lambda *words, **figures: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="not installed here"):
        check_installed()


def test_running_out_of_memory_is_told_with_what_to_do() -> None:
    import torch

    assert _explained(MemoryError()) == _explained(torch.OutOfMemoryError()) == NO_MEMORY
    assert "goes on from its last checkpoint" in NO_MEMORY[1]


def test_nothing_pretrained_and_nothing_read_are_told_apart(study_folder: Path, tiny: NnunetSettings) -> None:
    with Study.open(study_folder, reader="tests") as study:
        with pytest.raises(BadInput, match="has not learned from pseudo-labels in the configuration 2d"):
            finetune(study, settings=tiny)
        weights = pretrained_weights(study, "2d")
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"")
        with pytest.raises(BadInput, match="no slice that may be learned from has been read"):
            finetune(study, settings=tiny)
        study.answers.save(NewAnswer("e1", 4, "nothing", reader="tests"))
        assert study.cases.get("e1").split == "validation"
        with pytest.raises(BadInput, match="no slice that may be learned from has been read"):
            finetune(study, settings=tiny)


def test_change_in_one_subject_alone_is_refused_and_the_answers_stay(
    study_folder: Path, tiny: NnunetSettings, reader: Callable
) -> None:
    with Study.open(study_folder, reader="tests") as study:
        weights = pretrained_weights(study, "2d")
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"")
        for number in range(2, 8):
            reader(study, "c1", number)
        study.answers.save(NewAnswer("d1", 0, "nothing", reader="tests"))
        with pytest.raises(BadInput, match="fewer than two subjects"):
            finetune(study, settings=tiny)
        assert len(study.answers.current("c1")) == 6 and not study.models.all()


def test_a_study_without_pseudo_labels_is_refused_before_anything_runs(
    study_folder: Path, tiny: NnunetSettings
) -> None:
    with Study.open(study_folder, reader="tests") as study, pytest.raises(BadInput, match="no case has labels"):
        pretrain(study, "nobody", settings=tiny)
    assert not WorkFolder.pretraining(study_folder).preprocessed.exists()


def test_a_study_without_any_brain_is_refused_and_few_of_its_cases_are_named(
    study_folder: Path, tiny: NnunetSettings, case_adder: Callable, pair_maker: Callable
) -> None:
    with Study.open(study_folder, reader="tests") as study:
        for case in study.cases.all():
            study.cases.remove(case.name)
        for number in range(5):
            pair, _ = pair_maker(number)
            case_adder(study, f"h{number}", f"subject{number}", replace(pair, mask=np.zeros_like(pair.mask)))
            silent = np.zeros(pair.grid.shape, np.float32)
            write_pseudo(study, "tests", f"h{number}", Pseudo(silent, silent, np.ones(pair.n_slices, bool), {}, {}))
        with pytest.raises(BadInput) as refused:
            pretrain(study, "tests", settings=tiny)
    told = "no case can be used: " + "".join(f"h{k}: no brain was found in it; " for k in range(3)) + "and 2 more."
    assert refused.value.sentence == told and refused.value.steps == (Step(Do.ADD_WITH_MASK),)


def test_a_data_set_that_cannot_be_used_takes_nothing_away(
    study_folder: Path, tiny: NnunetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.pipeline.nnunet import pretraining
    from LMIALLib.pipeline.nnunet.places import read_record

    class Ran(Exception):
        pass

    def ran(*words: object, **options: object) -> None:
        raise Ran

    monkeypatch.setattr(pretraining, "run", ran)
    work = WorkFolder.pretraining(study_folder)
    with Study.open(study_folder, reader="tests") as study:
        with pytest.raises(Ran):
            pretrain(study, "tests", settings=tiny)
        weights = pretrained_weights(study, "2d")
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"days of work")
        before = read_record(work.raw)
        silent = Pseudo(
            *(np.zeros(study.cases.get("c1").grid.shape, np.float32) for _ in range(2)), np.ones(10, bool), {}, {}
        )
        write_pseudo(study, "silent", "c1", silent)
        write_pseudo(study, "silent", "d1", silent)
        for teacher, words in (("nobody", "no case has labels"), ("silent", "no change in any subject")):
            with pytest.raises(BadInput, match=words):
                pretrain(study, teacher, settings=tiny)
        assert weights.read_bytes() == b"days of work" and read_record(work.raw) == before


@pytest.mark.parametrize("wrong", [{"config": "4d"}, {"epochs": 0}, {"folds": 1}, {"workers": -1}])
def test_settings_outside_their_range_are_refused(wrong: dict) -> None:
    with pytest.raises(WrongUse):
        NnunetSettings(**wrong)


def test_progress_says_epoch_loss_pseudo_dice_and_time_left() -> None:
    told = {"stage": "train", "fold": 1, "epoch": 3, "epochs": 50, "loss": -0.41234, "dice": 0.6, "seconds_left": 600}
    assert sentence(told) == "nnU-Net, fold 2, epoch 3 of 50, loss -0.412, pseudo Dice 0.600, 10 min left"
    assert sentence({"stage": "predict", "case": "c1"}) == "nnU-Net, maps: c1"


def test_a_request_arrives_as_it_was_sent_and_a_wrong_field_is_named() -> None:
    planning = Plan(data="fine", config="2d", size="tiny", plans_of="pre")
    training = Train(data="fine", config="2d", fold=1, of_training={"seed": 3}, weights="start.pth")
    maps = PredictAll(data="fine", config="2d", folds=2, weights="start.pth", teacher=None, prefix="nnunet-2d-")
    asked = NnunetRequest("cpu", 2, (planning, training, maps))
    message = json.loads(json.dumps(steps_message(asked)))
    assert read_steps({"protocol": 1, **message}) == asked
    for wrong, said in (
        ({"fold": "one"}, r"steps\[1\]: fold is 'one'"),
        ({"do": "dance"}, r"steps\[1\] is unknown"),
        ({"colour": 3}, r"steps\[1\]: colour is unknown"),
    ):
        steps = [message["steps"][0], {**message["steps"][1], **wrong}]
        with pytest.raises(BadInput, match=f"a request to nnU-Net: {said}"):
            read_steps({**message, "steps": steps})
