"""The stages of the pipeline, from nothing but scans to an nnU-Net that learned from a few answers.

A stage is finished for good as long as what it depends on stays the same. Each leaves its result in the study and goes
on by itself where it was stopped, so that a kill costs minutes whenever it comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.loop.learning import HEARTBEAT
from LMIALLib.pipeline.pseudo import read_pseudo
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.state import PipelineState, key_of
from LMIALLib.study.maps import read_map
from LMIALLib.study.store import Study

Progress = Callable[[int, int, str], None]
Chosen = Sequence[tuple[str, int]]
"""Slices: case and number, 0-based."""
Answer = Callable[[Study, Chosen], None]
"""Answers slices in place of a person, where the truth is known."""


@dataclass(frozen=True)
class Done:
    """What a stage says of itself.

    Args:
        sentence: for a person.
        result: JSON-ready, for the stages that follow.
        finished: False where a person has to do something before the pipeline can go on.
    """

    sentence: str
    result: dict[str, Any]
    finished: bool = True


@dataclass(frozen=True)
class Work:
    """What a stage works with: an open study, the settings, what came before, and who hears and decides."""

    study: Study
    settings: PipelineSettings
    state: PipelineState
    progress: Progress
    cancelled: Callable[[], bool]
    answer: Answer | None


@dataclass(frozen=True)
class Stage:
    """One stage: its name, what its result depends on (JSON-ready), and the work."""

    name: str
    depends: Callable[[Work], dict[str, Any]]
    run: Callable[[Work], Done]


def run_pipeline(
    study: Study,
    settings: PipelineSettings,
    *,
    only: str | None = None,
    stages: Sequence[Stage] | None = None,
    answer: Answer | None = None,
    say: Callable[[str, str], None] = lambda stage, sentence: None,
    progress: Progress = lambda done, total, sentence: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Run the stages that are not finished, in their order, until a person has to read.

    Args:
        study: open for writing; it is kept as ours meanwhile.
        settings: of all stages.
        only: run this stage alone, also where it is finished.
        stages: for tests; by default `STAGES`.
        answer: answers the chosen slices; None: a person does.
        say: hears the stage and a sentence at its end.
        progress: hears (done, total, sentence) now and then.
        cancelled: asked now and then; then the stage raises Cancelled.

    Returns whether the last stage is finished. Raises what a stage raises; whatever was finished stays finished.
    """
    chosen = list(STAGES if stages is None else stages)
    if only is not None:
        names = [stage.name for stage in chosen]
        if only not in names:
            raise WrongUse(f"there is no stage {only!r}.", f"There are {', '.join(names)}.")
        chosen = [chosen[names.index(only)]]
    _check(study, settings)
    state = PipelineState(settings, (PipelineState.read(study) or PipelineState(settings)).stages)
    state.write(study)
    alive = _Alive(study, cancelled)
    for stage in chosen:
        work = Work(study, settings, state, alive.heard(progress), alive.cancelled, answer)
        depends = stage.depends(work)
        if only is None and state.finished(stage.name, depends):
            say(stage.name, f"finished before: {state.stages[stage.name]['sentence']}")
            continue
        done = stage.run(work)
        say(stage.name, done.sentence)
        if not done.finished:
            return False
        state = state.with_stage(stage.name, depends, done.sentence, done.result)
        state.write(study)
    return True


def _check(study: Study, settings: PipelineSettings) -> None:
    """Refuse before hours of work what can be known before."""
    from LMIALLib.pipeline.budget import slices_of
    from LMIALLib.pipeline.nnunet.running import check_installed

    if study.read_only:
        raise BadInput(f"{study.folder} cannot be changed now: {study.why_read_only}")
    cases = study.cases()
    if not cases:
        raise BadInput(f"{study.folder} has no case.", "Add one: lmial add STUDY, or a data set: lmial import")
    if len({case.subject for case in cases}) < 2:
        raise BadInput(
            "nnU-Net is held against subjects that it did not learn from, which takes two; this study has one.",
            "Annotate it as it is: lmial annotate STUDY",
        )
    slices_of(settings.budget, sum(case.n_slices for case in cases))
    check_installed()


class _Alive:
    """Says now and then, while a stage works, that this session lives."""

    def __init__(self, study: Study, cancelled: Callable[[], bool]) -> None:
        self._study, self._cancelled, self._last = study, cancelled, time.monotonic()

    def cancelled(self) -> bool:
        """Whether to stop."""
        self._beat()
        return self._cancelled()

    def heard(self, progress: Progress) -> Progress:
        """The same progress, with a sign of life."""

        def told(done: int, total: int, sentence: str) -> None:
            self._beat()
            progress(done, total, sentence)

        return told

    def _beat(self) -> None:
        if time.monotonic() - self._last > HEARTBEAT:
            self._last = time.monotonic()
            self._study.heartbeat()


# What each stage depends on and does ------------------------------------------------------------------------------


def _pairs(work: Work) -> dict[str, str]:
    return {case.name: case.digest for case in work.study.cases()}


def _teacher_depends(work: Work) -> dict[str, Any]:
    return {"teacher": work.settings.teacher, "pairs": _pairs(work)}


def _teach(work: Work) -> Done:
    from LMIALLib.pipeline.teachers.choosing import teacher_named
    from LMIALLib.pipeline.teachers.teaching import teach
    from LMIALLib.worker.progress import Cancelled

    teacher = teacher_named(work.settings.teacher, device=work.settings.nnunet.device)
    taught = teach(work.study, teacher, existing="keep", progress=work.progress, cancelled=work.cancelled)
    if taught.cancelled:
        raise Cancelled
    judged, failed = sum(one.judged for one in taught.cases), sum(len(one.failed) for one in taught.cases)
    said = f"{taught.teacher} judged {judged} slices of {len(taught.cases)} cases"
    return Done(f"{said}, and failed on {failed}." if failed else f"{said}.", {"teacher": taught.teacher})


def _pretraining_depends(work: Work) -> dict[str, Any]:
    from LMIALLib.pipeline.nnunet.labels import PseudoLabels

    teacher = work.state.result("teacher")["teacher"]
    labels = PseudoLabels(work.study, teacher)
    settings = work.settings.pretraining
    return {
        "labels": {case.name: labels.key(case) for case in work.study.cases()},
        "pairs": _pairs(work),
        "nnunet": {"config": settings.config, "tiny": settings.tiny, **settings.of_training},
    }


def _pretrain(work: Work) -> Done:
    from LMIALLib.pipeline.nnunet.pretraining import pretrain

    teacher = work.state.result("teacher")["teacher"]
    done = pretrain(
        work.study, teacher, settings=work.settings.pretraining, progress=work.progress, cancelled=work.cancelled
    )
    return Done(
        f"nnU-Net learned from the pseudo-labels of {done.cases[0]} cases, {done.cases[1]} held out: loss "
        f"{done.losses[0]:.3f} to {done.losses[-1]:.3f} in {len(done.losses)} epochs.",
        asdict(done),
    )


def _core_set_depends(work: Work) -> dict[str, Any]:
    settings = work.settings
    told = {name: getattr(settings, name) for name in ("budget", "embedding", "distance", "seed")}
    return {**told, "teacher": work.state.result("teacher")["teacher"], "pairs": _pairs(work)}


def _choose(work: Work) -> Done:
    study, settings = work.study, work.settings
    if all(len(study.current(case.name)) == case.n_slices for case in study.cases()):
        return Done("Every slice is annotated already, so nothing is chosen.", {"chosen": []})
    from LMIALLib.pipeline.core_set import core_set

    found = core_set(
        study,
        budget=settings.budget,
        embedding=settings.embedding,
        distance=settings.distance,
        seed=settings.seed,
        teacher=work.state.result("teacher")["teacher"],
        device=settings.nnunet.device,
        progress=work.progress,
        cancelled=work.cancelled,
    )
    chosen = [[query.case, query.slice] for query in found.queries]
    said = f"{len(chosen)} of {found.slices} slices are chosen for a reader; see {found.report.name} in the study."
    return Done(" ".join([said, *found.notes]), {"chosen": chosen})


def _reading_depends(work: Work) -> dict[str, Any]:
    return {"chosen": work.state.result("core-set")["chosen"]}


def _read(work: Work) -> Done:
    chosen = [(str(case), int(number)) for case, number in work.state.result("core-set")["chosen"]]
    waiting = _unread(work.study, chosen)
    if waiting and work.answer is not None:
        work.answer(work.study, waiting)
        waiting = _unread(work.study, chosen)
    if waiting:
        return Done(
            f"{len(waiting)} of {len(chosen)} chosen slices wait for a reader: lmial annotate STUDY. "
            "Then go on: lmial pipeline STUDY --resume",
            {},
            finished=False,
        )
    return Done(f"All {len(chosen)} chosen slices are read.", {})


def _unread(study: Study, chosen: Chosen) -> list[tuple[str, int]]:
    answered = {case.name: study.current(case.name).keys() for case in study.cases()}
    return [(case, number) for case, number in chosen if case in answered and number not in answered[case]]


def _finetuning_depends(work: Work) -> dict[str, Any]:
    settings = work.settings.finetuning
    return {
        "pretraining": key_of(work.state.result("pretraining")),
        "answers": work.study.highest_annotation(),
        "opinions_above": work.settings.opinions_above,
        "nnunet": {"config": settings.config, "folds": settings.folds, **settings.of_training},
    }


def _finetune(work: Work) -> Done:
    from LMIALLib.pipeline.nnunet.finetuning import finetune

    done = finetune(
        work.study,
        teacher=work.state.result("teacher")["teacher"],
        opinions_above=work.settings.opinions_above,
        settings=work.settings.finetuning,
        progress=work.progress,
        cancelled=work.cancelled,
    )
    said = f"{done.model} learned from {done.read} read slices, {done.folds} folds. {done.reason}"
    if done.adopted:
        _ask_by_disagreement(work)
        said += " The queue goes by the disagreement of its folds now."
    return Done(said, asdict(done))


def _ask_by_disagreement(work: Work) -> None:
    """Rank the open slices with the new model, as every face shows them, by the mutual information of its folds."""
    from LMIALLib.loop.session import LoopSettings, Session

    session = Session(work.study, settings=LoopSettings(strategy="bald", seed=work.settings.seed, train=False))
    try:
        session.learning.wait(session.learning.request_ranking())
    finally:
        session.close()


def _lesions_depends(work: Work) -> dict[str, Any]:
    model = work.state.result("fine-tuning")["model"]
    return {"model": model, "answers": work.study.highest_annotation(), "pairs": _pairs(work)}


def _lesions(work: Work) -> Done:
    from LMIALLib.study.lesions import case_lesions

    cases, total = work.study.cases(), 0
    for number, case in enumerate(cases):
        work.progress(number, len(cases), f"lesions of {case.name}")
        total += len(case_lesions(work.study, case.name, _opinion(work, case.name), keep=True).lesions)
    return Done(f"{total} changed lesions in {len(cases)} cases; see them: lmial lesions STUDY", {"lesions": total})


def _opinion(work: Work, case: str) -> np.ndarray | None:
    """Probability of change (k, j, i) where nobody read: nnU-Net's if it is in use, else the teacher's, NaN where it
    said nothing."""
    tuned = work.state.result("fine-tuning")
    if tuned["adopted"]:
        return read_map(work.study, str(tuned["model"]), case, "mean")
    pseudo = read_pseudo(work.study, work.state.result("teacher")["teacher"], case)
    if pseudo is None:
        return None
    probability = pseudo.probability.copy()
    np.moveaxis(probability, work.study.case(case).axis, 0)[~pseudo.done] = np.nan
    return probability


STAGES = (
    Stage("teacher", _teacher_depends, _teach),
    Stage("pretraining", _pretraining_depends, _pretrain),
    Stage("core-set", _core_set_depends, _choose),
    Stage("reading", _reading_depends, _read),
    Stage("fine-tuning", _finetuning_depends, _finetune),
    Stage("lesions", _lesions_depends, _lesions),
)
"""In their order."""
