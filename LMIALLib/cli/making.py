"""Commands that make something from nothing: the demo and the bundled weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, guarded, progress_of


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (demo, pretrain):
        app.command()(guarded(command))


def demo(
    pair: Annotated[
        Path | None, typer.Argument(metavar="[PAIR]", help="Folder with your own pair; by default one is made.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where everything is written.")] = Path("demo"),
) -> None:
    """Run the whole loop on a sample pair and write a report."""
    from LMIALLib.evaluation.demo import run_demo

    with progress_of("demo") as watch:
        outcome = run_demo(pair, out.absolute(), say=lambda line: OUT.print(line, markup=False), watch=watch)
    OUT.print(f"Study:  {outcome.study}", markup=False)
    OUT.print(f"Report: {out.absolute() / 'report.html'}", markup=False)


def pretrain(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="TOML file; the shipped recipe if none.")
    ] = None,
    exclude: Annotated[
        list[str], typer.Option("--exclude", metavar="SUBJECT", help="A patient whose images and masks are left out.")
    ] = [],  # noqa: B006 - typer copies it
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The weights to write.")] = Path(
        "change.safetensors"
    ),
) -> None:
    """Train the network that sees change on the first day, on synthetic change. Seeded; resumes where it stopped."""
    from LMIALLib.network.pretraining import load_config
    from LMIALLib.network.pretraining import pretrain as train

    report = train(load_config(config), exclude=tuple(exclude), out=out, say=lambda line: ERR.print(line, markup=False))
    OUT.print(f"{out}: {report}", markup=False)
