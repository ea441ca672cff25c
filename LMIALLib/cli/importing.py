"""The command that brings a data set into a study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from LMIALLib.cli.cases import Align, checked_align
from LMIALLib.cli.console import ERR, OUT, document, guarded, progress_of
from LMIALLib.cli.opening import session_at
from LMIALLib.errors import BadInput, WrongUse

if TYPE_CHECKING:
    from LMIALLib.datasets import Remark
    from LMIALLib.loop.importing import ImportedCase


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command(name="import")(guarded(import_))


def import_(  # an option a parameter, each with its help
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study, made if it is not there.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the data set; for csv the table.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="NAME",
            help="How the data lie: bids, msseg2, open-ms, csv, or one that an installed package brings.",
        ),
    ],
    subjects: Annotated[
        str | None, typer.Option("--subjects", metavar="A,B", help="Only these subjects, by their names in the layout.")
    ] = None,
    contrast: Annotated[
        str | None, typer.Option("--contrast", metavar="SUFFIX", help="Which scans of BIDS; FLAIR by default.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            "--order",
            metavar="A,B",
            help="Sessions of BIDS, the earliest first, where neither dates nor their names show it.",
        ),
    ] = None,
    outside: Annotated[
        str | None,
        typer.Option(
            "--outside",
            metavar="background|unknown",
            help="What is known outside of a truth that is cut to a box; by default background for segmentations"
            " (.seg.nrrd, DICOM SEG), unknown for label maps.",
        ),
    ] = None,
    align: Align = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where LMIAL would ask (same file, other patient, dates).")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")
    ] = False,
) -> None:
    """Bring a whole data set into a study: pairs, subjects, and what is known of them.

    Cases that the study has already are left alone, so that an import that was stopped goes on when it is repeated.
    """
    from LMIALLib.datasets import Remark, list_cases
    from LMIALLib.datasets.truths import OUTSIDE
    from LMIALLib.loop.importing import Import
    from LMIALLib.study.connection import DATABASE

    wanted = None if subjects is None else [name.strip() for name in subjects.split(",") if name.strip()]
    if wanted == []:
        raise WrongUse("--subjects names no subject.")
    if outside is not None and outside not in OUTSIDE:
        raise WrongUse(f"--outside {outside} is unknown; use {' or '.join(OUTSIDE)}.")
    visits = None if order is None else [name.strip() for name in order.split(",") if name.strip()]
    if visits is not None and len(set(visits)) < 2:
        raise WrongUse("--order names the sessions in the order of time, as --order pre,post.")
    listing = list_cases(layout, root, contrast=contrast, subjects=wanted, order=visits)

    def say(outcome: ImportedCase | Remark) -> None:
        if isinstance(outcome, Remark):
            ERR.print(_remark(outcome), style="yellow", markup=False)
        else:
            for remark in outcome.remarks:
                ERR.print(f"{outcome.case}: {remark}", style="yellow", markup=False)
            if not as_json:
                _print_case(outcome)

    for note in listing.notes:
        ERR.print(_remark(note), markup=False)
    run = Import(listing, force=force, align=checked_align(align), outside=outside, watching=progress_of, say=say)
    made_here = not (study / DATABASE).is_file()
    if made_here:
        run.make_study(study)
    if run.waiting:
        with session_at(study) as session:
            run.extend(session)
    if as_json:
        document(
            {
                "study": str(study),
                "layout": layout,
                "imported": [asdict(case) for case in run.imported],
                "already": run.already,
                "left_out": [asdict(remark) for remark in run.left_out],
                "notes": [asdict(note) for note in listing.notes],
            }
        )
    already = f", {len(run.already)} there already" if run.already else ""
    summary = f"{len(run.imported)} cases imported, {len(run.left_out)} left out{already}."
    if not run.imported and not run.already:
        raise BadInput(summary, "No study was made." if made_here else "The study is as it was.")
    if not as_json:
        OUT.print(summary)
        OUT.print(f"Next: lmial rank {quote(str(study))}", markup=False)


def _remark(remark: Remark) -> str:
    return f"{remark.case}: {remark.sentence}" if remark.case else remark.sentence


def _print_case(case: ImportedCase) -> None:
    from LMIALLib.datasets.truths import percent

    covers = "no truth" if case.truth_covers is None else f"truth of {', '.join(case.truth_covers)}"
    if case.truth_unknown:
        covers += f" ({percent(case.truth_unknown)} of the brain region unknown)"
    OUT.print(f"{case.case}: subject {case.subject}, {case.slices} slices, {covers}. {case.registration}", markup=False)
    if case.truth:
        ERR.print(f"{case.case}: {case.truth}", style="yellow", markup=False)
    if case.alarm:
        ERR.print(f"{case.case}: the registration looks poor: look at the pair before you use it.", style="bold yellow")
