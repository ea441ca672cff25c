"""The command models: every model of a study, and taking another one into use."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LMIALLib.cli.console import OUT, document, guarded
from LMIALLib.cli.opening import study_at
from LMIALLib.cli.options import Json, StudyFolder

if TYPE_CHECKING:
    from LMIALLib.study.models import Model


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(guarded(models))


def models(
    study: StudyFolder,
    use: Annotated[
        str | None, typer.Option("--use", metavar="ID", help="Take this model into use, also an earlier one again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models of a study, or go back to an earlier one."""
    from LMIALLib.loop.choosing_model import take_into_use
    from LMIALLib.study.kept import goes_by_stored_maps

    with study_at(study, read_only=use is None) as opened:
        before = opened.models.in_use()
        chosen = take_into_use(opened, use) if use is not None else None
        in_use = opened.models.in_use()
        listed = [_listed(model, in_use) for model in opened.models.all()]
    if as_json:
        document({"models": listed})
    elif chosen is None:
        _print(listed)
    elif before is not None and before.id == chosen.id:
        OUT.print(f"{chosen.id} is in use already.", markup=False)
    else:
        OUT.print(f"{chosen.id} is in use now; before it was {before.id if before else 'none'}.", markup=False)
        if goes_by_stored_maps(chosen.id):
            command = f"lmial pipeline {quote(str(study))} --resume trains it on all of them."
            OUT.print(f"It does not learn between answers: {command}", markup=False)
        OUT.print(f"Rank again: lmial rank {quote(str(study))} (lmial annotate does so by itself)", markup=False)


def _listed(model: Model, in_use: Model | None) -> dict[str, Any]:
    """A model, JSON-ready. Its Dice is that on read slices from which it, or one made the same way, did not learn."""
    report = model.report
    return {
        "id": model.id,
        "in_use": in_use is not None and in_use.id == model.id,
        "ever_in_use": model.adopted,
        "round": model.round,
        "parent": model.parent,
        "created": model.created,
        "dice_held_out": report.get("dice_held_out", report.get("held_out_after")),
        "reasons": list(report.get("reasons", ())),
    }


def _print(listed: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("model", "round", "made", "from", "held-out Dice", "", "why"):
        table.add_column(name, justify="right" if name in ("round", "held-out Dice") else "left")
    for one in listed:
        stands = "in use" if one["in_use"] else "was in use" if one["ever_in_use"] else "not taken"
        dice = "" if one["dice_held_out"] is None else f"{one['dice_held_out']:.3f}"
        made = one["created"][:16].replace("T", " ")
        row = one["id"], str(one["round"]), made, one["parent"] or "", dice, stands, " ".join(one["reasons"])
        table.add_row(*row)
    OUT.print(table)
