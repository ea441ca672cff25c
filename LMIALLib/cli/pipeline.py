"""The command pipeline: from nothing but scans to an nnU-Net that learned from a few answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LMIALLib.cli.commands import command_for
from LMIALLib.cli.console import OUT, document, guarded, print_steps, sentences
from LMIALLib.cli.nnunet import (
    Above,
    Config,
    Device,
    Epochs,
    Folds,
    Iterations,
    Seed,
    Size,
    Workers,
    waits_for,
)
from LMIALLib.cli.opening import COMMAND
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.errors import BadInput, Do, Step, WrongUse

if TYPE_CHECKING:
    from LMIALLib.study.store import Study


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(guarded(pipeline))


def pipeline(  # an option a parameter, each with its help
    study: StudyFolder,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher", metavar="default|sam:FOLDER|nninteractive:FOLDER|onnx:FILE", help="Who labels first; default."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="N|SHARE", help="Slices that a person reads: 40, or 5%.")
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option("--embedding", metavar="bundled|mae|dinov2:FOLDER", help="What compares slices; bundled."),
    ] = None,
    distance: Annotated[
        str | None, typer.Option("--distance", metavar="cosine|euclidean", help="How far two slices are apart; cosine.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Only this stage, also where it is finished.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where it stopped; options not given stay as they were.")
    ] = False,
    reader: Annotated[
        str | None,
        typer.Option("--reader", metavar="truth", help="Let a simulated reader answer from the stored truth."),
    ] = None,
    above: Above = None,
    config: Config = None,
    epochs: Epochs = None,
    iterations: Iterations = None,
    folds: Folds = None,
    seed: Seed = None,
    device: Device = None,
    workers: Workers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Teacher, nnU-Net, core-set, reading, fine-tuning, lesions: whatever of it is not finished, in this order."""
    from LMIALLib.pipeline.settings import PipelineSettings
    from LMIALLib.pipeline.stages import run_pipeline
    from LMIALLib.pipeline.state import PipelineState

    if reader not in (None, "truth"):
        raise WrongUse(f"--reader {reader} is unknown; the simulated one is called truth.")
    given: dict[str, Any] = {"teacher": teacher, "budget": budget, "embedding": embedding, "distance": distance}
    given |= {"config": config, "epochs": epochs, "iterations": iterations, "folds": folds, "seed": seed}
    given |= {"device": device, "workers": workers, "size": size, "opinions_above": above}
    reported: list[dict[str, Any]] = []
    before = PipelineState.read(study)
    if before is not None and before.stages and not (resume or stage):
        raise WrongUse(f"the pipeline of {study} was begun before.", "Go on: --resume. One stage: --stage NAME.")
    going_on = before is not None and (before.stages or resume or stage)
    if before is not None and going_on:
        before.check_places(given)
    settings = (before.settings if before is not None and going_on else PipelineSettings()).changed(given)

    def say(name: str, sentence: str, *steps: Step) -> None:
        reported.append({"stage": name, "sentence": sentence, "next": [command_for(step, study) for step in steps]})
        if not as_json:
            OUT.print(f"{name}: {sentence}", markup=False)
            print_steps(steps, study, on=OUT)

    with sentences("pipeline") as follow:
        finished = run_pipeline(
            study,
            settings,
            reader=COMMAND,
            only=stage,
            answer=_from_truth if reader else None,
            say=say,
            waiting=waits_for(study),
            progress=follow,
        )
    if as_json:
        document({"finished": finished, "stages": reported})


def _from_truth(study: Study, waiting: Sequence[tuple[str, int]]) -> None:
    """Answer slices from the truth that is stored with their cases, through the session that a person uses."""
    import numpy as np

    from LMIALLib.evaluation.simulated_reader import ExactReader
    from LMIALLib.loop.session import LoopSettings, Session
    from LMIALLib.study.labels import UNREAD

    stacks = {}
    for name in sorted({case for case, _ in waiting}):
        truth = study.truths.read(name)
        if truth is None:
            step = Step(Do.ANNOTATE, str(study.folder))
            raise BadInput(f"{name} has no stored truth to answer from.", "Read it yourself.", step)
        # what the truth does not cover is no change for a reader who knows nothing else
        stacks[name] = np.moveaxis(np.where(truth == UNREAD, 0, truth), study.cases.get(name).axis, 0)
    session = Session(study, reader="simulated reader", settings=LoopSettings(train=False))
    reader, wanted = ExactReader(stacks), set(waiting)
    try:
        for query in session.queue():
            if (query.case, query.slice) in wanted:
                reader.answer(session, query)
    finally:
        session.close()
