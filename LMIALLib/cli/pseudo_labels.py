"""The command that lets a teacher, a model from elsewhere or the bundled one, label every slice of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LMIALLib.cli.console import ERR, OUT, document, guarded
from LMIALLib.cli.opening import study_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.errors import WrongUse
from LMIALLib.progress import Progress

if TYPE_CHECKING:
    from LMIALLib.pipeline.teachers.pseudo_labelling import LabelledCase, PseudoLabelled
    from LMIALLib.pipeline.teachers.trial import TriedSlice

MOST_REASONS = 5
"""Failed slices that are printed one by one; the study records all of them."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    command = guarded(pseudo_label)
    app.command("pseudo-label")(command)
    app.command("teach", hidden=True)(command)  # its name until 2026-11-29


def pseudo_label(
    study: StudyFolder,
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher", metavar="default|sam:FOLDER|nninteractive:FOLDER|onnx:FILE", help="What labels the slices."
        ),
    ] = "default",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Only try the N most different slices of the first (or each) case."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Make again what this teacher has made already.")] = False,
    case: Annotated[
        list[str], typer.Option("--case", metavar="NAME", help="Only this case; may be given several times.")
    ] = [],  # noqa: B006 - typer copies it
    onnx_input: Annotated[
        Path | None, typer.Option("--onnx-input", metavar="FILE", help="States what an ONNX file takes; FILE.json.")
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where it computes.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", min=1, help="CPU threads.")] = None,
    as_json: Json = False,
) -> None:
    """Let a teacher make pseudo-labels of every slice, with confidence. As suggestions they never count as read."""
    from LMIALLib.pipeline.teachers.choosing import teacher_named
    from LMIALLib.pipeline.teachers.pseudo_labelling import make_pseudo_labels
    from LMIALLib.pipeline.teachers.trial import try_teacher

    if resume and again:
        raise WrongUse("--resume goes on with what is there, --again makes it again: choose one.")
    if limit is not None and (resume or again):
        raise WrongUse("--limit only tries the teacher and stores nothing; --resume and --again do not go with it.")
    with study_at(study) as opened:
        cases = [opened.cases.get(name).name for name in case] or None
        chosen = teacher_named(teacher, device=device, threads=threads, onnx_input=onnx_input)
        with _bar() as progress:
            if limit is not None:
                tried = try_teacher(opened, chosen, limit, cases=cases, progress=progress)
            else:
                existing = "keep" if resume else "replace" if again else "refuse"
                made = make_pseudo_labels(opened, chosen, cases=cases, existing=existing, progress=progress)
    if limit is not None:
        if as_json:
            document({"teacher": chosen.id, "made_by": dict(chosen.made_by), "tried": [asdict(one) for one in tried]})
        else:
            _print_trial(tried, study, teacher)
    elif as_json:
        document({**asdict(made), "made_by": dict(chosen.made_by)})
    else:
        _print_result(made)


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar on stderr with the time left; nothing is drawn where stderr is not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task("pseudo-labels", total=None)

        def update(stage: str, done: int, total: int, **figures: Any) -> None:
            bar.update(task, completed=done, total=total, description=stage)

        yield update


def _print_result(made: PseudoLabelled) -> None:
    for case in made.cases:
        already = " There already." if case.already else ""
        OUT.print(
            f"{case.case}: {case.judged} of {case.slices - case.empty} slices judged, {case.empty} empty (no brain), "
            f"{len(case.failed)} failed; change on {case.changed} slices, {case.changed_ml:.2f} ml.{already}",
            markup=False,
        )
        _print_failures(case)
    for name, why in made.left_out.items():
        ERR.print(f"{name} was left out: {why}", style="yellow", markup=False)
    OUT.print(f"Teacher: {made.teacher}. These are suggestions: no slice counts as read.", markup=False)


def _print_failures(case: LabelledCase) -> None:
    for number, why in sorted(case.failed.items())[:MOST_REASONS]:
        ERR.print(f"{case.case}, slice {number}: {why}", style="yellow", markup=False)
    if len(case.failed) > MOST_REASONS:
        ERR.print(f"{case.case}: {len(case.failed) - MOST_REASONS} more slices failed.", style="yellow", markup=False)


def _print_trial(tried: tuple[TriedSlice, ...], study: Path, teacher: str) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("case", "slice", "difference", "changed mm²", "highest p", "confidence", "seconds", "failed"):
        table.add_column(name, justify="left" if name in ("case", "failed") else "right")
    for one in tried:
        figures = [
            "" if value is None else f"{value:.{digits}f}"
            for value, digits in ((one.changed_mm2, 0), (one.highest, 2), (one.confidence, 2))
        ]
        table.add_row(
            one.case, str(one.slice), f"{one.difference:.0f}", *figures, f"{one.seconds:.1f}", one.failed or "no"
        )
    OUT.print(table)
    OUT.print(
        f"Nothing was stored. All slices: lmial pseudo-label {quote(str(study))} --teacher {quote(teacher)}",
        markup=False,
    )
