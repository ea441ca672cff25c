"""Stage 1 of the pipeline: a pseudo-label for every slice of every case, stored by `LMIALLib.pipeline.pseudo`.

A case is complete when each of its slices was judged or failed. What is there of a case is written every minute and
when the work is stopped, so that going on repeats about a minute of it, at worst one case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput, Do, LMIALError, Step, WrongUse, disk_errors
from LMIALLib.pipeline.pseudo import Pseudo, PseudoRecord, read_pseudo, read_pseudo_record
from LMIALLib.pipeline.teachers.one_case import CaseInProgress, UnreadablePair
from LMIALLib.pipeline.teachers.teacher import Teacher
from LMIALLib.progress import Cancelled, Progress, ignore
from LMIALLib.study.case import Case
from LMIALLib.study.kept import PSEUDO_LABELS
from LMIALLib.study.store import Study

EXISTING = ("refuse", "keep", "replace")


@dataclass(frozen=True)
class LabelledCase:
    """The pseudo-labels of one case, counted.

    Attributes:
        case: its name.
        slices: of the pair, in all.
        empty: slices without brain; their probability is 0 with confidence 1, without asking the teacher.
        judged: slices with brain that the teacher labelled.
        failed: slice number to the sentence why it failed.
        changed: slices with a pixel of p >= 0.5.
        changed_ml: volume of p >= 0.5.
        already: whether nothing was left to do.
    """

    case: str
    slices: int
    empty: int
    judged: int
    failed: Mapping[int, str]
    changed: int
    changed_ml: float
    already: bool


@dataclass(frozen=True)
class PseudoLabelled:
    """The result of making pseudo-labels.

    Attributes:
        teacher: its id, the name of its folder.
        cases: those that are complete.
        left_out: case to the sentence why its pair could not be read; the others were labelled.
        cancelled: whether it was stopped before all cases were done.
    """

    teacher: str
    cases: tuple[LabelledCase, ...]
    left_out: Mapping[str, str]
    cancelled: bool


def make_pseudo_labels(  # half of it documents the arguments
    study: Study,
    teacher: Teacher,
    *,
    cases: Iterable[str] | None = None,
    existing: str = "refuse",
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> PseudoLabelled:
    """Let a teacher label every slice of some cases, and store the pseudo-labels in ``pseudo/`` of the study.

    Args:
        study: open, also read-only: a reader may annotate meanwhile; only files beside the study's own are written.
        cases: names; None for all.
        existing: what happens to pseudo-labels of this teacher that are there: "refuse", "keep" (go on with what is
            missing) or "replace".
        progress: called with slices done, slices in all (empty ones and those that were there already included), and
            where the work is.
        cancelled: called between slices; what was done is kept.

    Raises WrongUse for another ``existing``, BadInput for an unknown case, for pseudo-labels that are there already
    or were made with other settings, for a folder that may not be written to, and when no pair can be read; LMIALError
    when the teacher fails on every slice of the first case, of which nothing is kept then.
    """
    if existing not in EXISTING:
        raise WrongUse(f"existing={existing!r} is unknown; use one of {', '.join(EXISTING)}.")
    wanted = [study.cases.get(name) for name in cases] if cases is not None else list(study.cases.all())
    if not wanted:
        raise BadInput(f"the study {study.folder} has no case to label.", "Add one.", Step(Do.ADD, str(study.folder)))
    records = {} if existing == "replace" else _records(study, teacher, wanted, keep=existing == "keep")
    with disk_errors("making the folder of pseudo-labels"):
        (study.folder / PSEUDO_LABELS / teacher.id).mkdir(parents=True, exist_ok=True)
    done, total = 0, sum(case.n_slices for case in wanted)
    finished: list[LabelledCase] = []
    left_out: dict[str, str] = {}
    for place, case in enumerate(wanted, start=1):

        def report(slices: int, base: int = done, where: str = f"{case.name}, case {place} of {len(wanted)}") -> None:
            progress(where, base + slices, total)

        record = records.get(case.name)
        before = read_pseudo(study, teacher.id, case.name) if record else None
        if before is not None and record is not None and _complete(record):
            finished.append(summary(case, before, already=True))
        elif cancelled():
            return PseudoLabelled(teacher.id, tuple(finished), left_out, True)
        else:
            try:
                work = CaseInProgress(study, teacher, case, before)
                finished.append(_labelled(work, case, report, cancelled, first=not finished))
            except Cancelled:
                return PseudoLabelled(teacher.id, tuple(finished), left_out, True)
            except UnreadablePair as problem:
                left_out[case.name] = problem.sentence
        done += case.n_slices
        progress(f"{case.name} is done", done, total)
    if not finished:
        why, step = next(iter(left_out.values())), Step(Do.CHECK, str(study.folder))
        raise BadInput(f"No pair can be read. {why}", "Check the study.", step)
    return PseudoLabelled(teacher.id, tuple(finished), left_out, False)


def summary(case: Case, pseudo: Pseudo, *, already: bool) -> LabelledCase:
    """Count the pseudo-labels of a case."""
    called = np.moveaxis(pseudo.probability >= 0.5, case.axis, 0)
    without = pseudo.made_by.get("slices_without_brain", ())
    empty = len(without) if isinstance(without, (list, tuple)) else 0
    return LabelledCase(
        case.name,
        len(pseudo.done),
        empty,
        int(pseudo.done.sum()) - empty,
        pseudo.failed,
        int(called.any(axis=(1, 2)).sum()),
        float(called.sum() * np.prod(case.grid.spacing) / 1000),
        already,
    )


def _labelled(
    work: CaseInProgress, case: Case, report: Callable[[int], None], cancelled: Callable[[], bool], *, first: bool
) -> LabelledCase:
    """Finish a case and store it. Raises LMIALError when the teacher failed on all of the first one."""
    pseudo = work.finish(report, cancelled)
    if first and work.wholly_failed():
        work.forget()
        why = next(iter(pseudo.failed.values()))
        raise LMIALError(f"The teacher failed on every slice of {case.name}, the first case: {why}")
    work.write()
    return summary(case, pseudo, already=False)


def _records(study: Study, teacher: Teacher, cases: Iterable[Case], *, keep: bool) -> dict[str, PseudoRecord]:
    """The records of the pseudo-labels that are there, by case, without their volumes.

    Raises BadInput where there are some and they shall not be kept, and for those that must not be mixed with new ones.
    """
    found: dict[str, PseudoRecord] = {}
    for case in cases:
        record = read_pseudo_record(study, teacher.id, case.name)
        if record is None or record.made_by.get("pair") != case.digest:
            continue  # nothing, or of another pair
        if not keep:
            raise BadInput(
                f"{case.name} has pseudo-labels of the teacher {teacher.id} already.",
                "Go on with what is missing, or make all anew.",
                Step(Do.GO_ON),
                Step(Do.MAKE_ANEW),
            )
        settings = json.loads(json.dumps(dict(teacher.made_by)))
        if any(record.made_by.get(key) != settings[key] for key in ("kind", "weights", "settings")):
            raise BadInput(
                f"The pseudo-labels of {case.name} were made by {teacher.id} with other weights or settings.",
                "Make all anew.",
                Step(Do.MAKE_ANEW),
            )
        found[case.name] = record
    return found


def _complete(record: PseudoRecord) -> bool:
    """Whether each slice was judged or failed."""
    return len(record.done) + len(record.failed) >= record.slices
