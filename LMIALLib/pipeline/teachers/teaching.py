"""Stage 1 of the pipeline: a teacher's opinion of every slice of every case, kept by `LMIALLib.pipeline.pseudo`.

A case is complete when each of its slices was judged or failed. What is there of a case is written every minute and
when the work is stopped, so that going on repeats a minute of it at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput, LMIALError, WrongUse, disk_errors
from LMIALLib.pipeline.pseudo import Pseudo, read_pseudo, write_pseudo
from LMIALLib.pipeline.teachers.one_case import CaseLesson
from LMIALLib.pipeline.teachers.teacher import Teacher
from LMIALLib.study.cases import Case
from LMIALLib.study.store import Study
from LMIALLib.worker.progress import Cancelled

Progress = Callable[[int, int, str], None]
EXISTING = ("refuse", "keep", "replace")


@dataclass(frozen=True)
class TaughtCase:
    """What a teacher left of one case.

    Attributes:
        case: its name.
        slices: of the pair, in all.
        empty: slices without brain; their probability is 0 with confidence 1, and nobody was asked.
        judged: slices with brain of which the teacher said something.
        failed: slice number to the sentence why it did not.
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
class Taught:
    """What a stage left: the teacher's id, and each case that is complete; ``cancelled``: whether others wait."""

    teacher: str
    cases: tuple[TaughtCase, ...]
    cancelled: bool


def teach(
    study: Study,
    teacher: Teacher,
    *,
    cases: Iterable[str] | None = None,
    existing: str = "refuse",
    progress: Progress = lambda done, total, sentence: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Taught:
    """Ask a teacher about every slice of some cases, and keep what it says in ``pseudo/`` of the study.

    Args:
        study: open, also read-only: a reader may annotate meanwhile; only files beside the study's own are written.
        cases: names; None for all.
        existing: what happens to pseudo-labels of this teacher that are there: "refuse", "keep" (go on with what is
            missing) or "replace".
        progress: called with slices done, slices in all (empty ones and those that were there already included), and
            where the work is.
        cancelled: asked between slices; what was done is kept.

    Raises WrongUse for another ``existing``, BadInput for an unknown case, for pseudo-labels that are there already
    or were made with other settings, and for a folder that may not be written to; LMIALError when the teacher fails
    on every slice of the first case, of which nothing is kept then.
    """
    if existing not in EXISTING:
        raise WrongUse(f"existing={existing!r} is unknown; use one of {', '.join(EXISTING)}.")
    wanted = [study.case(name) for name in cases] if cases is not None else list(study.cases())
    if not wanted:
        raise BadInput(f"the study {study.folder} has no case to teach about.", "Add one with: lmial add")
    there = _stored(study, teacher, wanted, existing)
    with disk_errors("making the folder of pseudo-labels"):
        (study.folder / "pseudo" / teacher.id).mkdir(parents=True, exist_ok=True)
    done, total = 0, sum(case.n_slices for case in wanted)
    finished: list[TaughtCase] = []
    for place, case in enumerate(wanted, start=1):
        before = there.get(case.name)
        if before is not None and _complete(before):
            finished.append(summary(case, before, already=True))
        elif cancelled():
            return Taught(teacher.id, tuple(finished), True)
        else:
            lesson = CaseLesson(study, teacher, case, before)
            where = f"{case.name}, case {place} of {len(wanted)}"

            def tell(slices: int, base: int = done, where: str = where) -> None:
                progress(base + slices, total, where)

            try:
                pseudo = lesson.finish(tell, cancelled)
            except Cancelled:
                return Taught(teacher.id, tuple(finished), True)
            if not finished and lesson.wholly_failed():
                why = next(iter(pseudo.failed.values()))
                raise LMIALError(f"The teacher failed on every slice of {case.name}, the first case: {why}")
            write_pseudo(study, teacher.id, case.name, pseudo)
            finished.append(summary(case, pseudo, already=False))
        done += case.n_slices
        progress(done, total, f"{case.name} is done")
    return Taught(teacher.id, tuple(finished), False)


def summary(case: Case, pseudo: Pseudo, *, already: bool) -> TaughtCase:
    """What stands in the pseudo-labels of a case."""
    called = np.moveaxis(pseudo.probability >= 0.5, case.axis, 0)
    empty = len(pseudo.made_by.get("slices_without_brain", ()))
    return TaughtCase(
        case.name,
        len(pseudo.done),
        empty,
        int(pseudo.done.sum()) - empty,
        pseudo.failed,
        int(called.any(axis=(1, 2)).sum()),
        float(called.sum() * np.prod(case.grid.spacing) / 1000),
        already,
    )


def _stored(study: Study, teacher: Teacher, cases: Iterable[Case], existing: str) -> dict[str, Pseudo]:
    """Pseudo-labels to go on from, by case. Raises BadInput for those that must neither be replaced nor mixed with."""
    if existing == "replace":
        return {}
    found: dict[str, Pseudo] = {}
    for case in cases:
        before = read_pseudo(study, teacher.id, case.name)
        if before is None or before.made_by.get("pair") != case.digest:
            continue  # nothing, or of another pair
        if existing == "refuse":
            raise BadInput(
                f"{case.name} has pseudo-labels of the teacher {teacher.id} already.",
                "Go on with what is missing: --resume. Make all anew: --again.",
            )
        if any(before.made_by.get(key) != teacher.made_by[key] for key in ("kind", "weights", "settings")):
            raise BadInput(
                f"The pseudo-labels of {case.name} were made by {teacher.id} with other weights or settings.",
                "Make all anew: --again.",
            )
        found[case.name] = before
    return found


def _complete(pseudo: Pseudo) -> bool:
    return int(pseudo.done.sum()) + len(pseudo.failed) >= len(pseudo.done)
