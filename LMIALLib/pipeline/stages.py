"""Running the stages of the pipeline, from nothing but scans to an nnU-Net that learned from a few answers.

A stage is finished for good as long as what it depends on stays the same. Each leaves its result in the study and goes
on by itself where it was stopped, so that a kill costs minutes whenever it comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.loop.learning import HEARTBEAT
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.stage import Answer, Progress, Stage, Work
from LMIALLib.pipeline.stage_table import STAGES
from LMIALLib.pipeline.state import PipelineState
from LMIALLib.study.store import Study


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
