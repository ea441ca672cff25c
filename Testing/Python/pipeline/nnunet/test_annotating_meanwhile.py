"""While nnU-Net trains a person annotates; no answer is lost or counted as learned from; pipelines keep apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.pipeline import study_writer
from LMIALLib.pipeline.nnunet import running
from LMIALLib.pipeline.nnunet.finetuning import finetune
from LMIALLib.pipeline.nnunet.places import TRAINED, WorkFolder
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.pipeline_lock import alone
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.stage import Done, Stage, Work
from LMIALLib.pipeline.stages import run_pipeline
from LMIALLib.pipeline.study_writer import Writing
from LMIALLib.progress import Cancelled
from LMIALLib.study import lease
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.checks import check_study
from LMIALLib.study.store import Study
from LMIALLib.worker.transport import SubprocessTransport

SHORT = ("--config", "2d", "--size", "tiny", "--epochs", "2", "--iterations", "2", "--folds", "2")
HERE = ("--workers", "0", "--device", "cpu")


def training(study: Path) -> subprocess.Popen[str]:
    """``lmial nnunet finetune`` as a process of its own."""
    words = ["nnunet", "finetune", str(study), "--teacher", "tests", *SHORT, *HERE]
    return subprocess.Popen(
        [sys.executable, "-m", "LMIALLib", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )


@pytest.fixture
def read_folder(pretrained_folder: Path, reader: Callable) -> Path:
    """The pretrained study of which three slices of four cases were read."""
    with Study.open(pretrained_folder, reader="tests") as study:
        for case in ("a1", "b1", "c1", "d1"):
            for number in (3, 4, 5):
                reader(study, case, number)
    return pretrained_folder


def test_a_person_annotates_while_it_trains_and_a_kill_while_it_waits_for_them_costs_nothing(
    read_folder: Path, reader: Callable
) -> None:
    work = WorkFolder.finetuning(read_folder)
    first = training(read_folder)
    while not work.fold("2d", 0).exists() and first.poll() is None:
        time.sleep(0.01)
    with Study.open(read_folder, reader="anna") as study:
        assert not study.read_only
        learned_from = study.answers.highest_id()
        reader(study, "a2", 4)
        assert first.stderr is not None
        told = first.stderr.readline()
        assert "annotated by anna" in told and f"lmial pipeline {read_folder} --resume" in told
        assert (work.root / TRAINED).is_file() and not study.models.all()
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        reader(study, "a2", 5)

    second = training(read_folder)
    out, err = second.communicate(timeout=200)
    assert second.returncode == 0, err
    with Study.open(read_folder, read_only=True) as study:
        kept, more = study.models.all()
        assert (kept.report["upto"], kept.report["read"]) == (learned_from, 12)
        assert (more.report["upto"], more.report["read"]) == (study.answers.highest_id(), 14)
        assert more.id in out and study.answers.current("a2").keys() == {4, 5} and not check_study(study)


def test_what_was_trained_is_stored_without_training_again(
    read_folder: Path, tiny: NnunetSettings, transports: list[SubprocessTransport]
) -> None:
    settings = replace(tiny, epochs=1, iterations=2)

    @contextmanager
    def stopped() -> Iterator[Study]:
        raise Cancelled
        yield

    with Study.open(read_folder, read_only=True) as study, pytest.raises(Cancelled):
        finetune(study, writing=stopped, settings=settings)
    assert len(transports) == 1
    with Study.open(read_folder, reader="tests") as study:
        done = finetune(study, settings=settings)
        assert len(transports) == 1 and [model.id for model in study.models.all()] == [done.model]
        study.models.add(study.models.path(done.model), id="earlier", adopted=True)
        again = finetune(study, settings=settings)
        assert not again.adopted and study.models.in_use() == study.models.get("earlier"), "going back stays as it is"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not run nnU-Net."""
    monkeypatch.setattr(running, "check_installed", lambda: None)


def test_an_answer_given_during_a_stage_makes_it_unfinished_again(study_folder: Path, installed: None) -> None:
    ran: list[int] = []

    def run(work: Work) -> Done:
        if not ran:
            with Study.open(study_folder, reader="anna") as study:
                study.answers.save(NewAnswer("c1", 4, "nothing", reader="anna"))
        ran.append(work.study.answers.highest_id())
        return Done("done", {})

    stages = [Stage("learning", lambda work: {"answers": work.study.answers.highest_id()}, run)]
    for _ in range(3):
        run_pipeline(study_folder, PipelineSettings(), stages=stages)
    assert len(ran) == 2


def test_a_second_pipeline_is_refused_until_the_first_is_killed(study_folder: Path, installed: None) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from LMIALLib.pipeline.nnunet import running
        from LMIALLib.pipeline.settings import PipelineSettings
        from LMIALLib.pipeline.stage import Stage
        from LMIALLib.pipeline.stages import run_pipeline

        running.check_installed = lambda: None

        def run(work):
            print("it works", flush=True)
            time.sleep(600)

        run_pipeline(Path(sys.argv[1]), PipelineSettings(), stages=[Stage("long", lambda work: {}, run)])
        """
    )
    first = subprocess.Popen([sys.executable, "-c", program, str(study_folder)], stdout=subprocess.PIPE)
    assert first.stdout is not None and first.stdout.readline().strip() == b"it works"
    ran: list[str] = []
    stages = [Stage("short", lambda work: {}, lambda work: Done(str(ran.append("short")), {}))]
    with pytest.raises(BadInput, match=rf"another pipeline works on .*process {first.pid}\)"):
        run_pipeline(study_folder, PipelineSettings(), stages=stages)
    other = training(study_folder)
    assert "another pipeline works on" in other.communicate(timeout=60)[1] and other.returncode == 3
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert run_pipeline(study_folder, PipelineSettings(), stages=stages) and ran == ["short"]


def test_the_lock_is_given_back_at_the_end_and_after_an_error(study_folder: Path) -> None:
    with pytest.raises(ValueError, match="whatever"), alone(study_folder):
        raise ValueError("whatever")
    with alone(study_folder), pytest.raises(BadInput, match="another pipeline"), alone(study_folder):
        pass
    with alone(study_folder):
        pass


def test_storing_waits_until_the_reader_leaves_and_can_be_cancelled(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_writer, "LOOK_EVERY", 0.1)
    told: list[tuple[str, Step]] = []
    asked: list[int] = []
    reading = Study.open(study_folder, reader="anna")

    def hears(sentence: str, step: Step) -> None:
        told.append((sentence, step))

    def leaves_at_the_third_time() -> bool:
        asked.append(0)
        if len(asked) == 3:
            reading.close()
        return False

    hold = Writing(
        study_folder, reader="pipeline", waiting=lambda *said: told.append(said), cancelled=leaves_at_the_third_time
    )
    with hold.study() as study:
        assert not study.read_only
        with pytest.raises(Cancelled), Writing(study_folder, cancelled=lambda: True).study():
            pass
    assert len(told) == 1 and "annotated by anna" in told[0][0] and told[0][1].do is Do.PIPELINE_RESUME
    with Study.open(study_folder, reader="anna") as study:
        assert not study.read_only, "the study was given back"


def test_while_it_stores_it_says_that_it_lives_and_being_taken_over_is_told(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_writer, "HEARTBEAT", 0.0)
    monkeypatch.setattr(lease.time, "time", lambda: 4e9)
    hold = Writing(study_folder)
    hold.alive()

    def store_too_late() -> None:
        with hold.study() as mine:
            hold.alive()
            held = mine.lease()
            assert held is not None and 4e9 < held.heartbeat < 4e9 + 1  # each sign of life has a time of its own
            with Study.open(study_folder, reader="anna", take_over=True):
                mine.log.record("too late")

    with pytest.raises(BadInput, match=r"taken over by another session .* Everything trained is kept"):
        store_too_late()


def test_a_study_that_cannot_be_written_is_not_waited_for(study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *asked: False)
    with pytest.raises(BadInput, match="cannot be changed now: its folder may not be written to"):
        Writing(study_folder).study().__enter__()
