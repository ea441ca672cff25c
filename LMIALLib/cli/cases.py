"""Commands that make a study from two scans, and add, register again and remove its cases."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, guarded, progress_of
from LMIALLib.cli.opening import session_at, study_at
from LMIALLib.cli.options import StudyFolder
from LMIALLib.cli.regions import tell_alarms
from LMIALLib.errors import WrongUse

if TYPE_CHECKING:
    from LMIALLib.loop.session import Session
    from LMIALLib.pairs.request import PairRequest
    from LMIALLib.worker.requests import Prepared

Baseline = Annotated[
    Path, typer.Option("--baseline", metavar="B", help="The earlier scan: NRRD, NIfTI, MetaImage or a DICOM folder.")
]
FollowUp = Annotated[Path, typer.Option("--follow-up", metavar="F", help="The later scan.")]
Mask = Annotated[Path | None, typer.Option("--mask", metavar="M", help="Brain region, in the follow-up's space.")]
Everything = Annotated[bool, typer.Option("--everything", help="Search the whole volume, not only the brain.")]
Also = Annotated[
    list[str],
    typer.Option("--also", metavar="NAME=BASELINE,FOLLOW_UP", help="A further contrast of both visits, for display."),
]
CaseName = Annotated[str | None, typer.Option("--case", metavar="NAME", help="Name of the case; not the patient's.")]
Subject = Annotated[str | None, typer.Option("--subject", metavar="ID", help="Pseudonym of the subject.")]
GridChoice = Annotated[str, typer.Option("--grid", metavar="follow-up|baseline|midway", help="The common grid.")]
Axis = Annotated[
    str | None, typer.Option("--axis", metavar="axial|coronal|sagittal|0|1|2", help="Along which slices are counted.")
]
Series = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="NAME[,NAME]",
        help="Which DICOM volume of a folder, by the name that LMIAL lists: UID, UID:2, or :2 for the second volume "
        "(echo, b-value) of both visits' series.",
    ),
]
NoRegister = Annotated[bool, typer.Option("--no-register", help="The scans are aligned already.")]
Align = Annotated[
    str | None,
    typer.Option(
        "--align",
        metavar="headers|centres",
        help="Where registration begins: as the headers say (the default), or centre on centre, for headers that lost"
        " the position.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Go on where LMIAL would ask (same file, other patient, dates).")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (new, add, remove):
        app.command()(guarded(command))
    app.command("register")(guarded(register_case))


def new(
    study: StudyFolder,
    baseline: Baseline,
    follow_up: FollowUp,
    mask: Mask = None,
    everything: Everything = False,
    also: Also = [],  # noqa: B006 - typer copies it
    case: CaseName = None,
    subject: Subject = None,
    grid: GridChoice = "follow-up",
    axis: Axis = None,
    series: Series = None,
    no_register: NoRegister = False,
    align: Align = None,
    force: Force = False,
) -> None:
    """Make a study from two scans: read, register, scale, and store them."""
    from LMIALLib.loop.studies import new_study

    request = _pair_request(
        baseline, follow_up, (mask, everything), also, grid, axis, series, no_register, align, force
    )
    with progress_of("new") as watch:
        name = "case1" if case is None else case
        result = new_study(study, name, request, subject=subject, watch=watch)
    _tell_case(study, name, result)
    OUT.print(f"Next: lmial rank {quote(str(study))}")


def add(
    study: StudyFolder,
    baseline: Baseline,
    follow_up: FollowUp,
    mask: Mask = None,
    everything: Everything = False,
    also: Also = [],  # noqa: B006 - typer copies it
    case: CaseName = None,
    subject: Subject = None,
    grid: GridChoice = "follow-up",
    axis: Axis = None,
    series: Series = None,
    no_register: NoRegister = False,
    align: Align = None,
    force: Force = False,
) -> None:
    """Add one more case to a study; same options as new."""
    from LMIALLib.loop.studies import new_case

    request = _pair_request(
        baseline, follow_up, (mask, everything), also, grid, axis, series, no_register, align, force
    )
    with session_at(study) as session, progress_of("add") as watch:
        name = _free_name(session) if case is None else case
        result = new_case(session, name, request, subject=subject, watch=watch)
    _tell_case(study, name, result)


def register_case(
    study: StudyFolder,
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="Which case.")],
    kind: Annotated[str, typer.Option("--kind", metavar="rigid|affine", help="The transform that is wanted.")],
) -> None:
    """Register a case again, more thoroughly; its answers stay where they are, and the older pair stays stored."""
    with session_at(study) as session, progress_of("register") as watch:
        session.study.cases.get(case)
        job = session.learning.pairs.register_again(case, kind)
        result = session.learning.wait(job, watch=watch)
    found = result.registration
    OUT.print(f"Case {case} is registered again ({found['kind']}). {found['sentence']}")
    OUT.print(f"Next: lmial rank {quote(str(study))}")


def _free_name(session: Session) -> str:
    taken = {case.name for case in session.study.cases.all()}
    return next(name for number in range(1, 100_000) if (name := f"case{number}") not in taken)


def _pair_request(
    baseline: Path,
    follow_up: Path,
    region: tuple[Path | None, bool],
    also: list[str],
    grid: str,
    axis: str | None,
    series: str | None,
    no_register: bool,
    align: str | None,
    force: bool,
) -> PairRequest:
    from LMIALLib.pairs.geometry import AXIS_NAMES
    from LMIALLib.pairs.request import PairRequest

    mask, everything = region
    if mask is not None and everything:
        raise WrongUse("Say one region: --mask FILE or --everything.")
    if grid not in ("follow-up", "baseline", "midway"):
        raise WrongUse(f"--grid {grid} is unknown; use follow-up, baseline or midway.")
    if axis is not None and axis not in (*AXIS_NAMES, "0", "1", "2"):
        raise WrongUse(f"--axis {axis} is unknown; use {', '.join(AXIS_NAMES)}, 0, 1 or 2.")
    contrasts = []
    for text in also:
        name, equals, files = text.partition("=")
        parts = files.split(",")
        if not (name and equals and len(parts) == 2 and all(parts)):
            raise WrongUse(f"--also {text} was not understood.", "Write NAME=BASELINE_FILE,FOLLOW_UP_FILE.")
        contrasts.append((name, Path(parts[0]).absolute(), Path(parts[1]).absolute()))
    return PairRequest(
        baseline=baseline.absolute(),
        follow_up=follow_up.absolute(),
        mask=mask.absolute() if mask else None,
        everything=everything,
        contrasts=tuple(contrasts),
        grid=grid,
        axis=axis,
        series=series,
        register=not no_register,
        force=force,
        align=checked_align(align) or "headers",
    )


def checked_align(align: str | None) -> str | None:
    """The word of ``--align``, if it is one. Raises WrongUse."""
    from LMIALLib.pairs.request import ALIGN

    if align is not None and align not in ALIGN:
        raise WrongUse(f"--align {align} is unknown; use {' or '.join(ALIGN)}.")
    return align


def _tell_case(study: Path, name: str, result: Prepared) -> None:
    from LMIALLib.pairs.registration_record import alarms

    registration = result.registration
    OUT.print(f"Case {name}: {result.slices} slices. {registration.get('sentence', '')}")
    for remark in registration.get("remarks", []):
        ERR.print(remark, style="yellow")
    if registration.get("alarm"):
        ERR.print("The registration looks poor: look at the pair before you annotate.", style="bold yellow")
    tell_alarms(study, name, [alarm for alarm in alarms(registration) if alarm.about != "registration"])


def remove(
    study: StudyFolder,
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="Which case.")],
) -> None:
    """Take a case out of a study; its files and annotations move to STUDY/removed/."""
    with study_at(study, read_only=False) as opened:
        place = opened.cases.remove(case)
    OUT.print(f"Case {case} was moved to {place}")
