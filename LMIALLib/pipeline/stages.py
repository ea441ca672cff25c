"""Running the stages of the pipeline, from nothing but scans to an nnU-Net that learned from a few answers.

A stage is finished for good as long as what it depends on stays the same. Each leaves its result in the study and goes
on by itself where it was stopped, so that a kill costs minutes whenever it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.installed import Group
from LMIALLib.pipeline.pipeline_lock import alone
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.stage import Answer, Stage, Work
from LMIALLib.pipeline.stage_definitions import STAGES
from LMIALLib.pipeline.state import PipelineState
from LMIALLib.pipeline.study_writer import Writing
from LMIALLib.progress import Progress, ignore
from LMIALLib.study.kept import PIPELINE_STATE
from LMIALLib.study.store import Study

INSTALLED = Group("lmial.pipeline_stages", "stage of the pipeline", Stage)
"""What installed packages bring."""


def all_stages() -> list[Stage]:
    """Our stages in their order, with those of installed packages behind the ones that they name.

    Raises WrongUse where an installed one cannot be used, has the name of ours, or follows a stage that there is not.
    """
    stages = list(STAGES)
    for name, stage in INSTALLED.all(taken={one.name for one in STAGES}).items():
        names = [one.name for one in stages]
        if stage.after and stage.after not in names:
            raise WrongUse(f"The stage {name!r} follows {stage.after!r}, and there is no such stage.")
        stages.insert(names.index(stage.after) + 1 if stage.after else len(stages), stage)
    return stages


def run_pipeline(  # half of it says what the arguments mean
    folder: Path,
    settings: PipelineSettings,
    *,
    reader: str = "",
    only: str | None = None,
    stages: Sequence[Stage] | None = None,
    answer: Answer | None = None,
    say: Callable[..., None] = lambda stage, sentence, *steps: None,
    waiting: Callable[[str, Step], None] = lambda sentence, step: None,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Run the stages that are not finished, in their order, until a person has to read.

    The study is held only while something is stored in it, so that a person can annotate while nnU-Net trains; what is
    answered meanwhile makes the stages that learn from answers unfinished again. No second pipeline works beside it.

    Args:
        folder: of the study.
        settings: of all stages.
        reader: under which name the study is held.
        only: run this stage alone, also where it is finished.
        stages: for tests; by default `all_stages`.
        answer: answers the chosen slices; None: a person does.
        say: called with the stage, a sentence at its end and each `Step` that a person can do next.
        waiting: called with a sentence and a `Step` when a result waits for somebody to leave the study.
        progress: called with (sentence, done, total) now and then.
        cancelled: called now and then; then the stage raises Cancelled.

    Returns whether the last stage is finished. Raises what a stage raises; whatever was finished stays finished.
    """
    chosen = list(all_stages() if stages is None else stages)
    if only is not None:
        names = [stage.name for stage in chosen]
        if only not in names:
            raise WrongUse(f"there is no stage {only!r}.", f"There are {', '.join(names)}.")
        chosen = [chosen[names.index(only)]]
    with Study.open(folder, read_only=True) as study:
        _check(study, settings, [stage.name for stage in chosen])
    hold = Writing(folder, reader=reader, waiting=waiting, cancelled=cancelled)

    def report_progress(stage: str, done: int, total: int, **figures: Any) -> None:
        hold.alive()
        progress(stage, done, total, **figures)

    def stopped() -> bool:
        hold.alive()
        return cancelled()

    with alone(folder):
        before = PipelineState.read(folder)
        state = PipelineState(settings, before.stages if before else {})
        state.write(folder)
        for stage in chosen:
            with Study.open(folder, read_only=True) as study, _refused(before, state, folder):
                work = Work(study, settings, state, report_progress, stopped, answer, hold.study)
                depends = stage.depends(work)
                if only is None and state.finished(stage.name, depends) and stage.there(work):
                    say(stage.name, f"finished before: {state.stages[stage.name].sentence}")
                    continue
                done = stage.run(work)
            say(stage.name, done.sentence, *done.steps)
            if not done.finished:
                return False
            state = state.with_stage(stage.name, depends, done.sentence, done.result)
            state.write(folder)
    return True


@contextmanager
def _refused(before: PipelineState | None, state: PipelineState, folder: Path) -> Iterator[None]:
    """Forget settings that are refused before anything was done with them, so that going on uses the former ones."""
    try:
        yield
    except (BadInput, WrongUse):
        if before is not None and state.stages == before.stages:
            before.write(folder)
        elif not state.stages:
            (folder / PIPELINE_STATE).unlink()
        raise


def _check(study: Study, settings: PipelineSettings, stages: Sequence[str]) -> None:
    """Refuse before hours of work what can be known before."""
    from LMIALLib.pipeline.budget import slices_of
    from LMIALLib.pipeline.nnunet.running import check_installed

    cases = study.cases.all()
    if not cases:
        steps = Step(Do.ADD, str(study.folder)), Step(Do.IMPORT, str(study.folder))
        raise BadInput(f"{study.folder} has no case.", "Add one, or a data set.", *steps)
    if len({case.subject for case in cases}) < 2:
        raise BadInput(
            "nnU-Net is held against subjects that it did not learn from, which takes two; this study has one.",
            "Annotate it as it is.",
            Step(Do.ANNOTATE, str(study.folder)),
        )
    check_installed()
    if "core-set" in stages:
        from LMIALLib.pipeline.core_set import check_asked

        slices_of(settings.budget, sum(case.n_slices for case in cases))
        check_asked(settings.embedding, settings.distance)
