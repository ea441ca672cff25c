"""The command ``core-set``: the few slices that stand for all of a study, as its readers' queue."""

from __future__ import annotations

import os
from dataclasses import replace
from shlex import quote
from typing import Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, document, guarded, sentences
from LMIALLib.cli.opening import study_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.errors import WrongUse


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command("core-set")(guarded(core_set))


def core_set(  # an option a parameter, each with its help
    study: StudyFolder,
    budget: Annotated[
        str, typer.Option("--budget", metavar="N|SHARE", help="How many slices: 40, or 5% of the study's.")
    ] = "5%",
    embedding: Annotated[
        str,
        typer.Option(
            "--embedding",
            metavar="bundled|mae|dinov2:FOLDER",
            help="What compares slices: the model in use, a masked autoencoder trained on this study, or DINOv2.",
        ),
    ] = "bundled",
    distance: Annotated[
        str, typer.Option("--distance", metavar="cosine|euclidean", help="How far two slices are apart.")
    ] = "cosine",
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", metavar="NAME", help="Whose pseudo-labels are suggested, where there are several."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=1, help="Steps that the masked autoencoder is trained for."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of everything that is drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Choose the few slices that stand for all of a study, make them its queue, and draw their map."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads slow a shared machine down
    from LMIALLib.pipeline.core_set import core_set as choose
    from LMIALLib.pipeline.core_set_choice import describe
    from LMIALLib.pipeline.embeddings.masked_autoencoder import MaskedTraining

    if steps is not None and embedding != "mae":
        raise WrongUse("--steps is for the masked autoencoder only.", "Give --embedding mae as well.")
    masked = MaskedTraining(seed=seed)
    if steps is not None:
        masked = replace(masked, steps=steps)
    with study_at(study, read_only=False) as opened, sentences("core-set") as follow:
        found = choose(
            opened,
            budget=budget,
            embedding=embedding,
            distance=distance,
            teacher=teacher,
            seed=seed,
            masked=masked,
            progress=follow,
        )
    if as_json:
        document(describe(found))
        return
    for note in found.notes:
        ERR.print(note)
    at_random = sum(query.drawn == "random" for query in found.queries)
    OUT.print(
        f"{len(found.queries)} of {found.slices} slices are the queue now (ranking {found.ranking}): "
        f"{len(found.queries) - at_random} chosen, {at_random} at random."
    )
    OUT.print(f"Map:   {found.report}")
    OUT.print(f"Read them: lmial annotate {quote(str(study))}")
