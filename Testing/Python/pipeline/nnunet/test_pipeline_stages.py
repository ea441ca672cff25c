"""The frame of the pipeline: finished stages stay finished, a kill costs one stage, bad input costs nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, Do, LMIALError, Step, WrongUse
from LMIALLib.loop.studies import add_first_model
from LMIALLib.pipeline.nnunet import running
from LMIALLib.pipeline.nnunet.pretraining import pretrained_weights
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.stage import Answer, Done, Stage, Work
from LMIALLib.pipeline.stage_definitions import STAGES
from LMIALLib.pipeline.stages import all_stages, run_pipeline
from LMIALLib.pipeline.state import PipelineState
from LMIALLib.resources import resource
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these tests runs nnU-Net."""
    monkeypatch.setattr(running, "check_installed", lambda: None)


def counted(name: str, ran: list[str], depends: Callable[[Work], dict] = lambda work: {}) -> Stage:
    def run(work: Work) -> Done:
        ran.append(name)
        return Done(f"{name} is done.", {"by": name})

    return Stage(name, depends, run)


def test_a_finished_stage_runs_again_only_when_what_it_depends_on_changes(study_folder: Path) -> None:
    ran: list[str] = []
    stages = [
        counted("first", ran),
        counted("second", ran, lambda work: {"budget": work.settings.budget}),
        counted("third", ran, lambda work: {"answers": work.study.answers.highest_id()}),
    ]
    assert run_pipeline(study_folder, PipelineSettings(), stages=stages)
    assert run_pipeline(study_folder, PipelineSettings(), stages=stages)
    assert ran == ["first", "second", "third"]
    run_pipeline(study_folder, PipelineSettings(budget="7"), stages=stages)
    with Study.open(study_folder, reader="tests") as study:
        study.answers.save(NewAnswer("c1", 4, "nothing", reader="tests"))
    run_pipeline(study_folder, PipelineSettings(budget="7"), stages=stages)
    assert ran[3:] == ["second", "third"]
    run_pipeline(study_folder, PipelineSettings(budget="7"), stages=stages, only="first")
    assert ran[5:] == ["first"]
    state = PipelineState.read(study_folder)
    assert state is not None and state.settings.budget == "7" and state.result("second") == {"by": "second"}


def test_a_work_folder_that_was_removed_is_made_again_only_where_there_is_something_new_to_learn(
    study_folder: Path,
) -> None:
    pretraining, tuning = STAGES[1], STAGES[4]
    ran: list[str] = []
    learned = replace(pretraining, run=lambda work: Done(str(ran.append("pretraining")), {"losses": [1.0]}))
    tuned = replace(tuning, run=lambda work: Done(str(ran.append("fine-tuning")), {}))
    taught = Stage("teacher", lambda work: {}, lambda work: Done("taught", {"teacher": "tests"}))
    settings = PipelineSettings()
    with Study.open(study_folder, read_only=True) as study:
        weights = pretrained_weights(study, settings.nnunet.config)

    def go_on() -> list[str]:
        ran.clear()
        run_pipeline(study_folder, settings, stages=[taught, learned, tuned])
        return list(ran)

    assert go_on() == ["pretraining", "fine-tuning"]
    assert go_on() == [], "all is learned"
    with Study.open(study_folder, reader="tests") as study:
        study.answers.save(NewAnswer("c1", 4, "nothing", reader="tests"))
    assert go_on() == ["pretraining", "fine-tuning"]
    weights.parent.mkdir(parents=True)
    weights.touch()
    with Study.open(study_folder, reader="tests") as study:
        study.answers.save(NewAnswer("c1", 5, "nothing", reader="tests"))
    assert go_on() == ["fine-tuning"]


def test_a_kill_in_a_stage_costs_that_stage_alone(study_folder: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from LMIALLib.pipeline.nnunet import running
        from LMIALLib.pipeline.settings import PipelineSettings
        from LMIALLib.pipeline.stage import Done, Stage
        from LMIALLib.pipeline.stages import run_pipeline

        running.check_installed = lambda: None
        folder, marks = Path(sys.argv[1]), Path(sys.argv[2])

        def stage(name, deadly=False):
            def run(work):
                with open(marks / name, "a") as file:
                    file.write("x")
                if deadly and (marks / name).stat().st_size == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return Done("done", {})
            return Stage(name, lambda work: {}, run)

        run_pipeline(folder, PipelineSettings(), stages=[stage("one"), stage("two", True), stage("three")])
        """
    )
    marks = study_folder.parent / "marks"
    marks.mkdir()
    command = [sys.executable, "-c", program, str(study_folder), str(marks)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert json.loads((study_folder / "pipeline.json").read_text())["stages"].keys() == {"one"}
    assert subprocess.run(command, check=False).returncode == 0
    assert {mark.name: mark.stat().st_size for mark in marks.iterdir()} == {"one": 1, "two": 2, "three": 1}


def test_the_pipeline_waits_for_a_reader_and_goes_on_when_all_chosen_slices_are_read(
    study_folder: Path, reader: Callable
) -> None:
    heard: list[tuple[str, str, tuple[Step, ...]]] = []
    ran: list[str] = []
    chosen = Stage("core-set", lambda work: {}, lambda work: Done("chosen", {"chosen": [["c1", 4], ["d1", 5]]}))
    reading = next(stage for stage in STAGES if stage.name == "reading")
    stages = [chosen, reading, counted("after", ran)]

    def go_on(answer: Answer | None = None) -> bool:
        say = lambda stage, sentence, *steps: heard.append((stage, sentence, steps))  # noqa: E731 - shorter so
        return run_pipeline(study_folder, PipelineSettings(), stages=stages, say=say, answer=answer)

    assert not go_on() and not ran
    assert heard[-1][1].startswith("2 of 2 chosen slices wait for a reader.")
    assert [step.do for step in heard[-1][2]] == [Do.ANNOTATE, Do.PIPELINE_RESUME]
    with Study.open(study_folder, reader="tests") as study:
        reader(study, "c1", 4)
    assert not go_on() and heard[-1][1].startswith("1 of 2")
    assert go_on(lambda study, waiting: [reader(study, case, number) for case, number in waiting])
    assert ran == ["after"] and heard[-2][1] == "All 2 chosen slices are read."


def test_a_skipped_slice_is_not_waited_for(study_folder: Path, reader: Callable) -> None:
    heard: list[tuple[str, str]] = []
    chosen = Stage("core-set", lambda work: {}, lambda work: Done("chosen", {"chosen": [["c1", 4], ["d1", 5]]}))
    with Study.open(study_folder, reader="tests") as study:
        reader(study, "c1", 4)
        study.answers.save(NewAnswer("d1", 5, "skip", reader="tests"))
    stages = [chosen, STAGES[3]]
    assert run_pipeline(study_folder, PipelineSettings(), stages=stages, say=lambda *said: heard.append(said))
    assert heard[-1] == ("reading", "1 of 2 chosen slices were skipped, the others are read.")


def test_a_core_set_whose_place_another_ranking_took_is_the_queue_again(study_folder: Path) -> None:
    def stored(study: Study, **conditions: object) -> None:
        queries = [{"case": "c1", "slice": 4}] if conditions else []
        told = {"strategy": "entropy", "seed": 0, "queries": queries}
        study.rankings.store(StoredRanking(told, {"model": "m", **conditions}, {}, 0))

    chosen = Stage("core-set", lambda work: {}, lambda work: Done("chosen", {"chosen": [["c1", 4]]}))
    for rankings in (2, 3, 3):
        if rankings == 2:
            with Study.open(study_folder, reader="tests") as study:
                stored(study, core_set={"count": 1})
                stored(study)
        assert not run_pipeline(study_folder, PipelineSettings(), stages=[chosen, STAGES[3]])
        with Study.open(study_folder, read_only=True) as study:
            latest = study.rankings.latest()
            assert latest is not None and latest.is_core_set and latest.ranking["queries"][0]["case"] == "c1"
            assert len(study.rankings.all()) == 3, "put back once, not at every look"


def test_going_on_asks_for_the_same_also_where_the_first_stage_was_not_finished(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from LMIALLib.cli.main import app
    from LMIALLib.pipeline import stages

    asked: list[PipelineSettings] = []
    monkeypatch.setattr(stages, "run_pipeline", lambda study, settings, **others: asked.append(settings) or False)
    PipelineState(PipelineSettings(budget="12", teacher="sam:somewhere")).write(study_folder)
    for words in (["--resume"], ["--stage", "teacher"], []):
        assert CliRunner().invoke(app, ["pipeline", str(study_folder), *words]).exit_code == 0
    assert [one.teacher for one in asked] == ["sam:somewhere", "sam:somewhere", "default"]
    assert [one.budget for one in asked] == ["12", "12", "5%"]


def test_advice_names_the_study(study_folder: Path) -> None:
    from typer.testing import CliRunner

    from LMIALLib.cli.main import app

    told = CliRunner().invoke(app, ["pipeline", str(study_folder), "--stage", "lesions"])
    words = "".join(told.output.split())
    assert told.exit_code == 3 and "STUDY" not in words and f"lmialpipeline{study_folder}--stage" in words


def test_where_every_slice_is_annotated_nothing_is_chosen_and_nobody_is_waited_for(study_folder: Path) -> None:
    ran: list[str] = []
    teacher = Stage("teacher", lambda work: {}, lambda work: Done("taught", {"teacher": "tests"}))
    named = {stage.name: stage for stage in STAGES}
    heard: list[tuple[str, str]] = []
    with Study.open(study_folder, reader="tests") as study:
        for case in study.cases.all():
            for number in range(case.n_slices):
                study.answers.save(NewAnswer(case.name, number, "nothing", reader="tests"))
    stages = [teacher, named["core-set"], named["reading"], counted("after", ran)]
    assert run_pipeline(study_folder, PipelineSettings(), stages=stages, say=lambda *said: heard.append(said))
    assert heard[1] == ("core-set", "Every slice is annotated already, so nothing is chosen.") and ran == ["after"]
    assert heard[2] == ("reading", "Nothing was chosen to be read.")


def test_where_every_slice_with_brain_is_annotated_nothing_is_chosen_either(study_folder: Path) -> None:
    heard: list[tuple[str, str]] = []
    teacher = Stage("teacher", lambda work: {}, lambda work: Done("taught", {"teacher": "tests"}))
    core_set = next(stage for stage in STAGES if stage.name == "core-set")
    with Study.open(study_folder, reader="tests") as study:
        add_first_model(study, resource("Weights", "change.safetensors"))
        for case in study.cases.all():
            brain = np.moveaxis(study.cases.load_pair(case.name).mask, case.axis, 0).any(axis=(1, 2))
            assert not brain.all()
            for number in np.flatnonzero(brain):
                study.answers.save(NewAnswer(case.name, int(number), "nothing", reader="tests"))
    assert run_pipeline(
        study_folder, PipelineSettings(), stages=[teacher, core_set], say=lambda *said: heard.append(said)
    )
    assert heard[1] == ("core-set", "Every slice that holds brain is annotated already, so nothing is chosen.")


@pytest.mark.parametrize(
    ("budget", "words"), [("0%", "is no slice at all"), ("100%", "takes in the whole study"), ("many", "neither")]
)
def test_an_impossible_budget_is_refused_before_any_stage_runs(study_folder: Path, budget: str, words: str) -> None:
    ran: list[str] = []
    with pytest.raises(BadInput, match=words):
        run_pipeline(study_folder, PipelineSettings(budget=budget), stages=[counted("first", ran), *STAGES[2:]])
    assert not ran and not (study_folder / "pipeline.json").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"embedding": "astrology"}, "no embedding 'astrology'"),
        ({"distance": "far"}, "no distance 'far'"),
        ({"embedding": "dinov2:/nowhere"}, "does not exist"),
    ],
)
def test_a_core_set_that_cannot_be_chosen_is_refused_before_hours_of_training(
    study_folder: Path, wrong: dict[str, str], words: str
) -> None:
    ran: list[str] = []
    with pytest.raises(LMIALError, match=words):
        run_pipeline(study_folder, PipelineSettings(**wrong), stages=[counted("first", ran), *STAGES[2:]])
    assert not ran and not (study_folder / "pipeline.json").exists()


def test_settings_that_are_refused_are_not_those_of_the_next_run(study_folder: Path) -> None:
    fails = next(stage for stage in STAGES if stage.name == "teacher")
    with pytest.raises(WrongUse, match="teacher 'martians' is unknown"):
        run_pipeline(study_folder, PipelineSettings(teacher="martians"), stages=[fails])
    assert PipelineState.read(study_folder) is None
    run_pipeline(study_folder, PipelineSettings(), stages=[counted("first", [])])
    for wrong, words in (("martians", "is unknown"), ("sam:/nowhere", "/nowhere .* does not exist")):
        with pytest.raises(LMIALError, match=words):
            run_pipeline(study_folder, PipelineSettings(teacher=wrong), stages=[counted("first", []), fails])
        state = PipelineState.read(study_folder)
        assert state is not None and state.settings.teacher == "default" and state.stages.keys() == {"first"}


def test_a_study_of_one_subject_is_refused_before_any_stage_runs(study_folder: Path) -> None:
    ran: list[str] = []
    with Study.open(study_folder, reader="tests") as study:
        for case in ("b1", "c1", "d1", "e1"):
            study.cases.remove(case)
    with pytest.raises(BadInput, match="this study has one"):
        run_pipeline(study_folder, PipelineSettings(), stages=[counted("first", ran)])
    assert not ran


def test_a_stage_whose_forerunner_is_missing_names_it(study_folder: Path) -> None:
    with pytest.raises(BadInput, match="stage teacher of this study's pipeline is not finished"):
        run_pipeline(study_folder, PipelineSettings(), only="pretraining")
    with pytest.raises(WrongUse, match="no stage 'nonsense'"):
        run_pipeline(study_folder, PipelineSettings(), only="nonsense")


def test_a_broken_state_is_told_and_can_be_removed_without_loss(study_folder: Path) -> None:
    (study_folder / "pipeline.json").write_text("{")
    with pytest.raises(BadInput, match=r"pipeline\.json is broken"):
        run_pipeline(study_folder, PipelineSettings(), stages=[])
    (study_folder / "pipeline.json").unlink()
    assert run_pipeline(study_folder, PipelineSettings(), stages=[])


def test_settings_survive_the_file_and_only_what_is_given_changes() -> None:
    settings = PipelineSettings(budget="12").changed({"epochs": 7, "config": "2d", "seed": 4, "budget": None})
    assert PipelineSettings.from_dict(json.loads(json.dumps(settings.to_dict())), "here") == settings
    assert settings.budget == "12" and settings.pretraining.epochs == 7 and settings.finetuning.seed == 4
    assert settings.finetuning.learning_rate < settings.pretraining.learning_rate


COUNTING = """
from LMIALLib.pipeline.stage import Done, Stage

STAGE = Stage(
    "counting",
    depends=lambda work: {"cases": [case.name for case in work.study.cases.all()]},
    run=lambda work: Done(f"{len(work.study.cases.all())} cases.", {"cases": len(work.study.cases.all())}),
    after="core-set",
)
"""


def test_a_stage_is_added_in_one_file(install, study_folder: Path) -> None:
    install("lmial-counting", {"counting_cases.py": COUNTING}, {"counting": "counting_cases:STAGE"},
            "lmial.pipeline_stages")  # fmt: skip
    names = [stage.name for stage in all_stages()]
    assert names == ["teacher", "pretraining", "core-set", "counting", "reading", "fine-tuning", "lesions"]
    heard: list[tuple[str, ...]] = []
    run_pipeline(study_folder, PipelineSettings(), only="counting", say=lambda *said: heard.append(said))
    assert heard[0][0] == "counting"
    state = PipelineState.read(study_folder)
    assert state is not None and state.result("counting")["cases"] >= 2


def test_a_stage_that_follows_nothing_or_has_the_name_of_ours_is_refused(install) -> None:
    lost = COUNTING.replace('after="core-set"', 'after="martians"')
    install("lmial-lost", {"lost_stage.py": lost}, {"counting": "lost_stage:STAGE"}, "lmial.pipeline_stages")
    with pytest.raises(WrongUse, match="'counting' follows 'martians'"):
        all_stages()
