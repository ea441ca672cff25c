"""Commands that describe and look after a study, and the machine that it lies on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from LMIALLib.cli.console import OUT, document, guarded, print_queue
from LMIALLib.cli.opening import study_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.cli.regions import tell_alarms
from LMIALLib.errors import BadInput

if TYPE_CHECKING:
    from LMIALLib.pairs.registration_record import Alarm
    from LMIALLib.study.status import StudyStatus


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (status, history, check, backup, doctor):
        app.command()(guarded(command))


def status(study: StudyFolder, as_json: Json = False) -> None:
    """What a study holds, who works on it, how far the reading is, and whether more of it promises anything."""
    from LMIALLib.loop.advice import advice_for
    from LMIALLib.loop.patient import estimates_of
    from LMIALLib.loop.queue import queue_of
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.study.status import status_of

    with study_at(study) as opened:
        state = status_of(opened)
        alarms = {case.name: opened.cases.alarms(case.name) for case in state.cases}
        advice = advice_for(opened)
        stored = opened.rankings.latest()
        estimates = estimates_of(opened)
        core_set = stored if stored is not None and stored.is_core_set else None
        queue = queue_of(opened, LoopSettings.batch) if core_set is not None else []
    asked = len(core_set.ranking["queries"]) if core_set is not None else 0
    if as_json:
        of_core_set = (
            {"slices": asked, "waiting": [query.to_dict() for query in queue]} if core_set is not None else None
        )
        expected = {name: asdict(one) | {"sentence": one.sentence} for name, one in estimates.items()}
        found = {"advice": asdict(advice), "core_set": of_core_set, "alarms": _plain(alarms), "estimates": expected}
        document(asdict(state) | found)
        return
    for line in _status_lines(state, {name: one.sentence for name, one in estimates.items()}):
        OUT.print(line, markup=False)
    for name, told_of in alarms.items():
        tell_alarms(study, name, told_of)
    if core_set is not None:
        OUT.print(f"The queue is a core-set: {len(queue)} of {asked} slices wait.")
        print_queue(queue[:5], {case.name: case.n_slices for case in state.cases})
    OUT.print(advice.sentence)


def _plain(alarms: dict[str, tuple[Alarm, ...]]) -> dict[str, list[dict[str, str]]]:
    return {case: [asdict(alarm) for alarm in found] for case, found in alarms.items() if found}


def _status_lines(state: StudyStatus, estimates: dict[str, str]) -> Iterator[str]:
    yield f"Study {state.folder}"
    for case in state.cases:
        answers = ", ".join(f"{count} {answer}" for answer, count in sorted(case.answers.items())) or "no answer yet"
        skipped = f", {case.skipped} skipped" if case.skipped else ""
        skipped += f", {case.viewed} more looked at" if case.viewed else ""
        split = ", set aside for validation" if case.split == "validation" else ""
        finished = ", finished" if case.finished else ""
        yield f"  {case.name}: {case.read} of {case.n_slices} slices read ({answers}{skipped}){split}{finished}"
        if estimates.get(case.name):
            yield f"    {estimates[case.name]}"
    if state.readers:
        yield "Readers: " + ", ".join(f"{reader} {count}" for reader, count in state.readers.items())
    if state.seconds:
        yield f"Reading time: {state.seconds / 60:.1f} minutes"
    yield f"Model in use: {state.model_in_use or 'none'} ({state.models} stored); rankings: {state.rankings}"
    yield f"Annotated now by {state.held_by}" if state.held_by else "Nobody annotates now."
    if state.warning:
        yield state.warning


def history(study: StudyFolder, as_json: Json = False) -> None:
    """Everything that was done to a study, oldest first."""
    with study_at(study) as opened:
        events = opened.log.events()
    if as_json:
        document([asdict(event) for event in events])
        return
    for event in events:
        details = ", ".join(f"{key} {value}" for key, value in event.details.items() if value not in (None, "", []))
        OUT.print(f"{event.at}  {event.kind:<16} {event.reader:<12} {details}".rstrip(), markup=False)


def check(study: StudyFolder, as_json: Json = False) -> None:
    """Look whether everything a study should hold is there and whole."""
    from LMIALLib.study.checks import check_study

    with study_at(study) as opened:
        problems = check_study(opened)
    if as_json:
        document([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            OUT.print(f"{problem.where}: {problem.sentence}")
    if problems:
        raise BadInput(f"{study}: {len(problems)} problem(s) found.", "Nothing was changed.")
    if not as_json:
        OUT.print("Everything is there and whole.")


def backup(
    study: StudyFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A zip file to write.", show_default=False)],
) -> None:
    """Write the whole study into one zip file, also while someone works on it."""
    from LMIALLib.study.backup import write_backup

    with study_at(study) as opened:
        write_backup(opened, file)
    OUT.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB. Unzip it anywhere to use it.")


def doctor(as_json: Json = False) -> None:
    """Whether this machine has what LMIAL needs: packages, weights, the worker, the disk."""
    from LMIALLib.cli.doctor import examine

    findings = examine()
    if as_json:
        document([{"what": f.what, "good": f.good, "found": f.found} for f in findings])
    else:
        for finding in findings:
            mark, style = ("ok ", "green") if finding.good else ("bad", "red")
            OUT.print(mark, style=style, end="  ")
            OUT.print(f"{finding.what}: {finding.found}")
    if not all(finding.good for finding in findings):
        raise BadInput("This machine lacks something that LMIAL needs.", "See the lines marked bad.")
