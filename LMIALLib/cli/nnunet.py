"""The two nnU-Net stages of the pipeline as commands of their own, and the options that they share with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from LMIALLib.cli.commands import command_for
from LMIALLib.cli.console import ERR, OUT, document, guarded, sentences
from LMIALLib.cli.opening import COMMAND, study_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.errors import Step

Config = Annotated[str | None, typer.Option("--config", metavar="2d|3d_fullres", help="What nnU-Net sees at once.")]
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", help="Of each training; 250.")]
Iterations = Annotated[int | None, typer.Option("--iterations", metavar="N", help="Batches in an epoch; 250.")]
Folds = Annotated[int | None, typer.Option("--folds", metavar="N", help="Trainings of the ensemble; 5.")]
Device = Annotated[str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes that prepare cases, and batches for a GPU; 4.")
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="full|small|tiny", help="Of the network; small: without a GPU; tiny: to try."),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="S", help="Of everything that is drawn.")]
Above = Annotated[
    float | None,
    typer.Option("--opinions-above", metavar="C", help="Learn also from pseudo-labels at least so confident, 0 to 1."),
]
Teacher = Annotated[str, typer.Option("--teacher", metavar="ID", help="Whose pseudo-labels; a folder in STUDY/pseudo.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(no_args_is_help=True, help="Train nnU-Net on a study.")
    group.command()(guarded(pretrain))
    group.command()(guarded(finetune))
    app.add_typer(group, name="nnunet")


def pretrain(
    study: StudyFolder,
    teacher: Teacher,
    above: Above = None,
    config: Config = None,
    epochs: Epochs = None,
    iterations: Iterations = None,
    seed: Seed = None,
    device: Device = None,
    workers: Workers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Let nnU-Net plan itself for a study and learn from a teacher's pseudo-labels; repeated it goes on."""
    from LMIALLib.pipeline.nnunet.pretraining import pretrain as run
    from LMIALLib.pipeline.pipeline_lock import alone
    from LMIALLib.pipeline.settings import PipelineSettings

    given: dict[str, Any] = {"config": config, "epochs": epochs, "iterations": iterations, "seed": seed}
    given |= {"device": device, "workers": workers, "size": size}
    settings = PipelineSettings().changed(given)
    with study_at(study) as opened, alone(study), sentences("pretraining") as follow:
        done = run(opened, teacher, settings=settings.pretraining, above=above or 0.0, progress=follow)
    if as_json:
        document(asdict(done))
        return
    OUT.print(f"Learned from {done.cases[0]} cases, {done.cases[1]} held out: {done.plan}", markup=False)
    OUT.print(f"Loss {done.losses[0]:.3f} to {done.losses[-1]:.3f} in {len(done.losses)} epochs.")
    OUT.print(f"Next: lmial annotate {quote(str(study))}")


def finetune(
    study: StudyFolder,
    teacher: Teacher,
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
    """Fine-tune the pretrained nnU-Net on what was read; its folds together are a model of the study."""
    from LMIALLib.pipeline.nnunet.finetuning import finetune as run
    from LMIALLib.pipeline.pipeline_lock import alone
    from LMIALLib.pipeline.settings import PipelineSettings
    from LMIALLib.pipeline.study_writer import Writing

    given: dict[str, Any] = {"config": config, "epochs": epochs, "iterations": iterations, "folds": folds, "seed": seed}
    given |= {"device": device, "workers": workers, "size": size}
    settings = PipelineSettings().changed(given)
    hold = Writing(study, reader=COMMAND, waiting=waits_for(study))
    with study_at(study) as opened, alone(study), sentences("fine-tuning") as follow:
        done = run(
            opened,
            writing=hold.study,
            teacher=teacher,
            opinions_above=above,
            settings=settings.finetuning,
            progress=follow,
        )
    if as_json:
        document(asdict(done))
        return
    OUT.print(f"{done.model}: {done.folds} folds, {done.read} read slices. {done.reason}", markup=False)
    if done.adopted:
        OUT.print(f"Next: lmial rank {quote(str(study))} --strategy bald")


def waits_for(study: Path) -> Callable[[str, Step], None]:
    """Says on standard error, whatever is printed at the end, that a result waits for somebody to leave the study."""
    return lambda sentence, step: ERR.print(f"{sentence} To go on: {command_for(step, study)}", markup=False)
