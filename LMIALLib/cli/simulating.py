"""The command that compares query strategies where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LMIALLib.cli.console import ERR, OUT, guarded
from LMIALLib.errors import WrongUse

STRATEGIES = "default,random,foreground-random-prediction,entropy,core-set"
"""Compared where none are named."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(guarded(simulate))


def simulate(  # an option a parameter, each with its help
    source: Annotated[Path, typer.Argument(metavar="STUDY_OR_COHORT", help="A study, or a cohort of known change.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for tables, report and every job.")],
    truth: Annotated[
        list[str], typer.Option("--truth", metavar="CASE=FILE", help="Of a study: a label in the follow-up's space.")
    ] = [],  # noqa: B006 - typer copies it
    judge: Annotated[
        str | None,
        typer.Option("--judge", metavar="subjects|slices", help="On what; a study of five subjects or more: subjects."),
    ] = None,
    strategies: Annotated[str, typer.Option("--strategies", metavar="A,B,C", help="Names of strategies.")] = STRATEGIES,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How many seeds.")] = 5,
    first_seed: Annotated[int, typer.Option("--first-seed", metavar="S", help="The first of them.")] = 0,
    initial: Annotated[
        int | None,
        typer.Option("--initial", metavar="N", help="Random slices first; 2 % of the pool, none from weights."),
    ] = None,
    query: Annotated[
        int | None, typer.Option("--query", metavar="N", help="Slices queried in a round; 2 % of the pool.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Rounds of queries.")] = 9,
    training: Annotated[
        str, typer.Option("--training", metavar="fresh|warm", help="Each round from the start, or from the last model.")
    ] = "fresh",
    learning: Annotated[
        str | None,
        typer.Option(
            "--learning",
            metavar="none|head|finetune|both",
            help="What learns from answers: the patient's head, the network; strategies that finish ask one by one.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="scratch|bundled|FILE", help="A cohort from scratch, a study bundled weights."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="plain|product", help="How a model learns; product: as in a study."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", help="Of every training; plain 200, product 30.")
    ] = None,
    reader: Annotated[str, typer.Option("--reader", metavar="exact|noisy", help="Who answers.")] = "exact",
    part: Annotated[
        str,
        typer.Option(
            "--part", metavar="test|validation", help="Whose subjects judge; test when nothing is left to choose."
        ),
    ] = "test",
    pixel: Annotated[
        float | None, typer.Option("--pixel", metavar="MM", help="Pixels that cases are brought to; a cohort 1.6.")
    ] = None,
    widths: Annotated[
        str, typer.Option("--widths", metavar="A,B,...", help="Of a network from scratch.")
    ] = "16,32,48,64",
    spacing: Annotated[float, typer.Option("--spacing", metavar="MM", help="Between queries of a round.")] = 12.0,
    threads: Annotated[int, typer.Option("--threads", metavar="N", help="CPU threads of a job.")] = 1,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Processes on this machine.")] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, instead of this machine.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a scheduler on another machine without TLS.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where it stopped, or add strategies and seeds.")
    ] = False,
) -> None:
    """Compare query strategies where the truth is known: a simulated reader answers, and models learn from it."""
    from LMIALLib.laboratory.settings import SimulationSettings
    from LMIALLib.laboratory.simulation import Where
    from LMIALLib.laboratory.simulation import simulate as run

    if judge not in (None, "subjects", "slices"):
        raise WrongUse(f"--judge {judge} is unknown; use subjects or slices.")
    of_cohort = (source / "cohort.json").is_file()
    begin = start or ("scratch" if of_cohort else "bundled")
    way = recipe or ("plain" if of_cohort or begin == "scratch" else "product")
    settings = SimulationSettings(
        strategies=tuple(name.strip() for name in strategies.split(",") if name.strip()),
        seeds=seeds,
        first_seed=first_seed,
        initial=initial,
        query=query,
        rounds=rounds,
        training=training,
        start=begin if begin in ("scratch", "bundled") else str(Path(begin).absolute()),
        recipe=way,
        steps=steps or (30 if way == "product" else 200),
        reader=reader,
        judged=part,
        pixel_mm=pixel or (1.6 if of_cohort else None),
        widths=_numbers(widths),
        spacing_mm=spacing,
        threads=threads,
        learning=learning,
    )
    with _bars() as watch:
        run(
            source,
            out,
            settings,
            truths=_truths(truth),
            judge=judge,
            where=Where(scheduler, insecure, workers),
            resume=resume,
            watch=watch,
        )
    _print_summary(out)


def _print_summary(out: Path) -> None:
    """The outcome as a short table, or two where a kind of learning was named, and where everything lies."""
    from rich.table import Table

    from LMIALLib.laboratory.headline import headline
    from LMIALLib.laboratory.report_tables import delivered_table, screening_table
    from LMIALLib.laboratory.summary import summarise

    summary = summarise(out)
    delivered = delivered_table(summary) if summary.config.get("settings", {}).get("learning") else None
    for found in (screening_table(summary), *([delivered] if delivered else [])):
        shown = Table(box=None)
        for place, name in enumerate(found.head):
            shown.add_column(name, justify="right" if place else "left")
        for row in found.rows:
            shown.add_row(*row)
        OUT.print(shown)
    for sentence in (*headline(summary), *summary.notes):
        OUT.print(sentence, markup=False)
    OUT.print(f"Tables: {out / 'rounds.csv'}", markup=False)
    OUT.print(f"Report: {out / 'report.html'}", markup=False)


def _truths(words: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        case, equals, file = word.partition("=")
        if not (case and equals and file):
            raise WrongUse(f"--truth {word} was not understood.", "Write the case and its file: case1=truth.nii.gz")
        if case in found:
            raise WrongUse(f"--truth names the case {case} twice.")
        found[case] = Path(file)
    return found


def _numbers(words: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in words.split(","))
    except ValueError:
        raise WrongUse(f"--widths {words} was not understood.", "Write whole numbers: 16,32,48,64") from None


def _bars() -> Any:
    """A progress bar on stderr for each stage; nothing is drawn where stderr is not a terminal."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def bars() -> Any:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
            tasks: dict[str, Any] = {}

            def watch(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.update(tasks[stage], completed=done, total=total)

            yield watch

    return bars()
