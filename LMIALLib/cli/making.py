"""Commands that make something from nothing: the demo and the bundled weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from LMIALLib.cli.commands import command_for
from LMIALLib.cli.console import ERR, OUT, guarded, progress_of
from LMIALLib.errors import Do, Step


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (demo, pretrain):
        app.command()(guarded(command))


def demo(
    pair: Annotated[
        Path | None, typer.Argument(metavar="[PAIR]", help="Folder with your own pair; by default one is made.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where everything is written.")] = Path("demo"),
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Then go on annotating in the browser, where this machine can show it.")
    ] = False,
) -> None:
    """Run the whole loop on a sample pair and write a report."""
    from LMIALLib.evaluation.demo import run_demo

    with progress_of("demo") as watch:
        outcome = run_demo(
            pair,
            out.absolute(),
            say=lambda line: OUT.print(line, markup=False),
            watch=watch,
            commands=lambda study: [command_for(Step(do, str(study))) for do in (Do.RANK, Do.STATUS, Do.REPLAY)],
        )
    OUT.print(f"Study:  {outcome.study}", markup=False)
    OUT.print(f"Report: {out.absolute() / 'report.html'}", markup=False)
    if annotate:
        _go_on(outcome.study)


def _go_on(study: Path) -> None:
    """Open the browser face on the demo's study, or say what this machine lacks for it."""
    from LMIALLib.browser.machine import obstacles
    from LMIALLib.cli.annotate import annotate_here

    lacking = obstacles()
    if lacking:
        command = command_for(Step(Do.ANNOTATE, str(study)))
        OUT.print(f"The same loop runs in your browser: {command}. For that this machine lacks:", markup=False)
        for line in lacking:
            OUT.print(f"  {line}", markup=False)
        return
    OUT.print("Opening the loop in your browser ...")
    annotate_here(study)


def pretrain(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="JSON file of settings; the shipped recipe if none.")
    ] = None,
    exclude: Annotated[
        list[str], typer.Option("--exclude", metavar="SUBJECT", help="A patient whose images and masks are left out.")
    ] = [],  # noqa: B006 - typer copies it
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The weights to write.")] = Path(
        "change.safetensors"
    ),
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="open_ms; found through LMIAL_DATA if not given.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--start", metavar="FILE", help="Weights to go on from, instead of random ones.")
    ] = None,
) -> None:
    """Train the network that sees change on the first day, on synthetic change. Seeded; resumes where it stopped.

    Without real scans it trains on phantoms alone, and says so. On several GPUs:
    torchrun --nproc-per-node 4 -m LMIALLib pretrain
    """
    import shlex
    from dataclasses import replace

    from LMIALLib.datasets.open_ms_patient import open_ms_root
    from LMIALLib.network.pretraining import PretrainConfig
    from LMIALLib.network.pretraining import pretrain as train

    settings = PretrainConfig.from_file(config) if config else PretrainConfig()
    found = data or (Path(settings.data) if settings.data else open_ms_root())
    if found is None:
        ERR.print("No real scans were found; training on phantoms alone.")
    begin = start or (Path(settings.start) if settings.start else None)
    options: list[str] = [config.name] if config else []
    for patient in exclude:
        options += ["--exclude", patient]
    for option, path in (("--out", out), ("--data", data), ("--start", start)):
        options += [option, path.name] if path else []
    report = train(
        replace(settings, data=str(found) if found else None, start=str(begin) if begin else None),
        tuple(exclude),
        out,
        log=lambda entry: ERR.print(json.dumps(entry), markup=False),
        about={"command": shlex.join(["lmial", "pretrain", *options])},
    )
    if report is not None:
        minutes = report.seconds / 60
        OUT.print(f"{out}: {report.steps} steps in {minutes:.1f} minutes, digest {report.digest[:12]}", markup=False)
