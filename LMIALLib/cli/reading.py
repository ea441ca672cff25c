"""Commands of the loop: rank, show, label, finetune, export, replay."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LMIALLib.cli.console import ERR, OUT, document, guarded, print_queue, progress_of
from LMIALLib.cli.opening import session_at
from LMIALLib.cli.options import Json, StudyFolder
from LMIALLib.cli.regions import tell_alarms
from LMIALLib.errors import BadInput, LMIALError, WrongUse
from LMIALLib.pairs.unread import UNREAD

if TYPE_CHECKING:
    from LMIALLib.study.store import Study

Slice = Annotated[int, typer.Option("--slice", metavar="K", help="Slice number, 0-based on the stored grid.")]
OneCase = Annotated[str, typer.Option("--case", metavar="NAME", help="Which case.")]
AnyCase = Annotated[str | None, typer.Option("--case", metavar="NAME", help="Only this case.")]
Reader = Annotated[str | None, typer.Option("--reader", metavar="WHO", help="Only this reader's answers.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    for command in (rank, show, label, finetune, export, replay):
        app.command()(guarded(command))


def rank(
    study: StudyFolder,
    purpose: Annotated[
        str,
        typer.Option("--purpose", metavar="finish|train", help="Finish patient after patient, or train the network."),
    ] = "finish",
    strategy: Annotated[str | None, typer.Option("--strategy", metavar="NAME", help="How slices are chosen.")] = None,
    order: Annotated[
        str | None, typer.Option("--order", metavar="A,B", help="Which patients are finished first, by their cases.")
    ] = None,
    case: AnyCase = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many queries are printed.")] = 10,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of everything that is drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Rank the slices that nobody has answered, and print the reader's queue."""
    from LMIALLib.loop.queue import core_set_waits
    from LMIALLib.queries.strategies import DEFAULT_OF
    from LMIALLib.queries.strategies import strategy as strategy_named

    if purpose not in DEFAULT_OF:
        raise WrongUse(f"--purpose {purpose} is unknown; use {' or '.join(DEFAULT_OF)}.")
    chosen = strategy_named(strategy or DEFAULT_OF[purpose])
    first = tuple(name.strip() for name in (order or "").split(",") if name.strip())
    if first and chosen.purpose != "finish":
        raise WrongUse(f"--order means nothing to {chosen.name}, which ranks all cases together.")
    with session_at(study, strategy=chosen.name, seed=seed, order=first, may_only_look=True) as session:
        case = session.study.cases.get(case).name if case is not None else None
        if session.study.read_only:
            ERR.print(f"This is the ranking stored last, not the one asked for: {session.study.why_read_only}")
        else:
            if core_set_waits(session.study):
                ERR.print("Slices of a core-set still wait; this ranking takes its place as the queue.")
            with progress_of("rank") as watch:
                session.learning.wait(session.learning.request_ranking(), watch=watch)
        stored = session.study.rankings.latest()
        if stored is None:
            raise BadInput(f"{study} has no stored ranking, and none can be made.")
        queue = [query for query in session.queue() if case in (None, query.case)]
        counts = {one.name: one.n_slices for one in session.study.cases.all()}
        for name in [name for name in counts if case in (None, name)]:
            tell_alarms(study, name, session.study.cases.alarms(name), strategy=stored.strategy)
    if as_json:
        document(
            {
                "ranking": stored.number,
                "strategy": stored.strategy,
                "seed": stored.conditions.get("seed"),
                "conditions": stored.conditions,
                "waiting": len(queue),
                "queries": [query.to_dict() for query in queue[:top]],
            }
        )
        return
    print_queue(queue[:top], counts)
    if len({query.case for query in queue[:top]}) > 1 and not stored.finishes:
        OUT.print("This is the order in which a reader meets them: a batch of 6 stays together, grouped by case.")
    OUT.print(f"{len(queue)} slices wait. Slice numbers are 0-based.")
    OUT.print(f"See them: lmial show {quote(str(study))} --case NAME --out slices.png")


def show(
    study: StudyFolder,
    case: OneCase,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The picture to write.")],
    number: Annotated[
        int | None, typer.Option("--slice", metavar="K", help="One slice, 0-based; by default the next queries.")
    ] = None,
) -> None:
    """Picture of slices: baseline, follow-up, difference, uncertainty, suggestion and label, one row a slice."""
    from LMIALLib.evaluation.case_views import case_montage
    from LMIALLib.evaluation.pictures import save_png

    with session_at(study, read_only=True) as session:
        wanted = session.study.cases.get(case)
        case = wanted.name
        if number is not None:
            wanted.check_slice(number)
            slices = [number]
        else:
            slices = [query.slice for query in session.queue() if query.case == case][:5] or [wanted.n_slices // 2]
        save_png(case_montage(session.study, case, slices), out)
    OUT.print(f"{out}: slices {', '.join(str(k) for k in slices)} of {case}")


def label(
    study: StudyFolder,
    case: OneCase,
    number: Slice,
    reader: Annotated[str, typer.Option("--reader", metavar="WHO", help="Who says so; a pseudonym.")],
    mask: Annotated[Path | None, typer.Option("--mask", metavar="FILE", help="The drawn label.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Nothing changed here.")] = False,
    equivocal: Annotated[
        bool, typer.Option("--equivocal", help="Leave out what --mask marks, or the whole slice.")
    ] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Not now: no annotation.")] = False,
    box: Annotated[
        str | None,
        typer.Option("--box", metavar="R0:R1,C0:C1", help="Only rows R0 to R1 - 1 and columns C0 to C1 - 1 were read."),
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", metavar="T", min=0, help="Time it took.")] = None,
) -> None:
    """Store what a reader says of one slice. It is on disk when this returns."""

    answers = [empty, equivocal, skip, mask is not None and not equivocal]
    if sum(answers) != 1:
        raise WrongUse("Say one thing of the slice: --mask FILE, --empty, --equivocal (also with --mask) or --skip.")
    if box is not None and (equivocal or skip or seconds is not None):
        raise WrongUse("A box takes --mask FILE or --empty alone.")
    part = None if box is None else _box_of(box)
    if not reader.strip():
        raise WrongUse("--reader is empty; annotations carry the pseudonym of the person who made them.")
    with session_at(study, reader=reader.strip()) as session:
        known = session.study.cases.get(case)
        known.check_slice(number)
        case = known.name
        drawn = _drawn_label(session.study, mask, case, number) if mask is not None else None
        if part is not None:
            session.patient.answer_box(case, number, part, drawn)
            if drawn is not None and (drawn[part] > 1).any():
                ERR.print("A box is stored as change, without its classes.", style="yellow", markup=False)
            OUT.print(f"Saved: {case}, slice {number}, box {box}, by {session.reader}; the slice is still unread.")
            return
        session.choose(case, number, timed=False)
        if empty:
            annotation = session.nothing_here(seconds=seconds)
        elif equivocal:
            annotation = session.equivocal(drawn, seconds=seconds)
        elif skip:
            annotation = session.skip(seconds=seconds)
        else:
            assert drawn is not None
            annotation = session.save(drawn, seconds=seconds)
    OUT.print(
        f"Saved: {case}, slice {number}, {annotation.answer}, version {annotation.version}, by {annotation.reader}"
    )


def _box_of(text: str) -> tuple[slice, slice]:
    """The rows and columns that ``--box`` names. Raises WrongUse."""
    found = re.fullmatch(r"(\d{1,6}):(\d{1,6}),(\d{1,6}):(\d{1,6})", text.strip(), re.ASCII)
    if found is None:
        raise WrongUse(f"--box {text} was not understood.", "Write rows and columns, for example 40:60,100:130.")
    top, bottom, left, right = (int(part) for part in found.groups())
    return slice(top, bottom), slice(left, right)


def _drawn_label(study: Study, file: Path, case: str, number: int) -> Any:
    """Values of the label schema (rows, columns) from a file that lies where the pair does, or a picture."""
    from LMIALLib.pairs.labels import read_label_slice

    found = study.cases.get(case)
    return read_label_slice(
        file,
        grid=found.grid,
        axis=found.axis,
        number=number,
        allowed=study.label_schema.values,
        say=lambda sentence: ERR.print(sentence, style="yellow", markup=False),
    )


def finetune(
    study: StudyFolder,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", min=0.05, help="About how long; the default is one round.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Of everything that is drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Train the model on the annotated slices; it is adopted only if it did not get worse."""
    with session_at(study, seed=seed) as session:
        session.learning.request_training(minutes=minutes or None)
        assert session.learning.training is not None
        with progress_of("finetune") as watch:
            result = session.learning.wait(session.learning.training, watch=watch)
    if as_json:
        document(asdict(result))
        return
    report = result.report
    OUT.print(f"{result.model}: {report['steps']} steps on {report['read']} annotated slices.")
    if result.adopted:
        OUT.print(f"Adopted. Rank again: lmial rank {quote(str(study))}")
    else:
        OUT.print("Not adopted; the model in use stays. " + " ".join(result.reasons))


def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.", show_default=False)],
    case: AnyCase = None,
    what: Annotated[
        str, typer.Option("--what", metavar="labels|delivered|lesions|suggestion|uncertainty|table|report")
    ] = "labels",
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="seg.nrrd|nrrd|nifti", help="Of volumes; tables are CSV.")
    ] = None,
    reader: Reader = None,
    unread: Annotated[
        int, typer.Option("--unread", metavar="V", help="Value of slices nobody read in plain label maps.")
    ] = UNREAD,
    suggestions: Annotated[
        bool,
        typer.Option(
            "--suggestions", help="Lesions, tables and reports hold what is suggested where nobody read, too."
        ),
    ] = False,
) -> None:
    """Write labels, lesions one by one, the network's suggestion, the uncertainty, or tables.

    Slices nobody read are marked as such.
    """
    from LMIALLib.loop.exporting import export_files

    with session_at(study, may_only_look=True) as session:
        files = export_files(
            session.learning,
            out.absolute(),
            case=case,
            what=what,
            file_format=file_format,
            reader=reader,
            unread=unread,
            suggestions=suggestions,
        )
    for file in files:
        OUT.print(str(file), markup=False)


def replay(study: StudyFolder, as_json: Json = False) -> None:
    """Compute every stored ranking again and say whether it comes out the same, bit for bit."""
    from LMIALLib.loop.replay import replay as replay_one

    results = []
    with session_at(study, read_only=True) as session:
        for stored in session.study.rankings.all():
            with progress_of(f"ranking {stored.number}") as watch:
                results.append(replay_one(session, stored, watch=watch))
            if not as_json:
                OUT.print(results[-1].sentence, markup=False)
    if as_json:
        document([{**vars(result), "sentence": result.sentence} for result in results])
    wrong = [result for result in results if not result.identical and not result.differing and not result.error]
    if wrong:
        raise LMIALError(f"{len(wrong)} of {len(results)} rankings came out otherwise under the same conditions.")
