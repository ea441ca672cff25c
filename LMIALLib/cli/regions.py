"""The command that chooses where a case is searched, and what commands say of a pair that needs a second look."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from LMIALLib.cli.console import ERR, OUT, guarded, progress_of
from LMIALLib.cli.opening import session_at
from LMIALLib.errors import WrongUse

if TYPE_CHECKING:
    from LMIALLib.pairs.registration_record import Alarm


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(guarded(region))


def region(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.", show_default=False)],
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="Which case.")],
    brain: Annotated[bool, typer.Option("--brain", help="The brain, found in the follow-up.")] = False,
    everything: Annotated[bool, typer.Option("--everything", help="The whole volume.")] = False,
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="M", help="A file on the pair's or the raw follow-up's grid.")
    ] = None,
) -> None:
    """Choose where a case is searched; its answers stay where they are, and the older pair stays stored."""
    if [brain, everything, mask is not None].count(True) != 1:
        raise WrongUse("Say one region: --brain, --everything or --mask FILE.")
    choice = "given" if mask is not None else "everything" if everything else "brain"
    with session_at(study) as session, progress_of("region") as watch:
        session.study.cases.get(case)
        job = session.learning.pairs.change_region(case, choice, mask)
        result = session.learning.wait(job, watch=watch)
        name = session.study.cases.get(case).name
        alarms = session.study.cases.alarms(name)
    found = result.registration["brain"]
    regions = {"foreground": "the whole body", "everything": "the whole volume", "given": "the region that was given"}
    where = regions.get(found["method"], "the brain")
    OUT.print(f"Case {name}: {where} is searched, {found['millilitres']:.0f} ml. {result.registration['sentence']}")
    tell_alarms(study, name, [alarm for alarm in alarms if alarm.about != "registration"])
    OUT.print(f"Next: lmial rank {quote(str(study))}")


def tell_alarms(study: Path, case: str, alarms: Iterable[Alarm], *, strategy: str = "") -> None:
    """Print each alarm of a case as one sentence on stderr, and how to do what it advises.

    ``strategy``: the one in use; what it does already is not advised.
    """
    from LMIALLib.loop.settings import BY_DIFFERENCE

    place, named = quote(str(study)), quote(case)
    for alarm in alarms:
        ERR.print(f"{case}: {alarm.sentence}", style="bold yellow")
        if alarm.about == "region":
            ERR.print(f"  lmial region {place} --case {named} --mask FILE (or --everything)")
        elif alarm.about == "family" and strategy != BY_DIFFERENCE:
            ERR.print(f"  lmial rank {place} --strategy {BY_DIFFERENCE}")
