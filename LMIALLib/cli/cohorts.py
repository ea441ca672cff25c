"""Commands on synthetic cohorts: pairs of whole scans whose change is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, guarded


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group = typer.Typer(no_args_is_help=True, help="Make pairs with known change.")
    group.command()(guarded(make))
    group.callback()(lambda: None)  # keeps "make" a word of its own while it is the only one
    app.add_typer(group, name="cohort")


def make(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make; it must not hold anything yet.")],
    subjects: Annotated[int, typer.Option("--subjects", metavar="N", help="How many pairs.")],
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed makes the same pairs.")] = 0,
    flavour: Annotated[
        str, typer.Option("--flavour", metavar="NAME", help="phantom, or real: change painted into real scans.")
    ] = "phantom",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="open_ms; found through LMIAL_DATA if not given.")
    ] = None,
    exclude: Annotated[
        list[str], typer.Option("--exclude", metavar="PATIENT", help="A patient whose images and masks are left out.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Make a synthetic longitudinal cohort: whole pairs with known change, and an index of what is in them."""
    import shlex

    from rich.progress import Progress

    from LMIALLib.datasets.open_ms_patient import open_ms_root
    from LMIALLib.laboratory.synthetic_data.cohort import make_cohort

    words = ["lmial", "cohort", "make", out.name, "--subjects", str(subjects), "--seed", str(seed)]
    words += ["--flavour", flavour, *(["--data", data.name] if data else [])]
    for patient in exclude:
        words += ["--exclude", patient]
    with Progress(console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task("cohort", total=subjects)
        cohort = make_cohort(
            out.absolute(),
            subjects,
            seed,
            flavour=flavour,
            root=data or open_ms_root(),
            exclude=tuple(exclude),
            command=shlex.join(words),
            watch=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for subject in cohort.subjects:
        volume, lesions = sum(subject.change_ml.values()), sum(subject.lesions.values())
        line = f"{subject.name}  {subject.part:10}  {subject.brain:30}  {lesions:2d} lesions changed, {volume:.2f} ml"
        OUT.print(line, markup=False)
    OUT.print(cohort.brains, markup=False)
    OUT.print(f"Index:  {out / 'cohort.json'}", markup=False)
