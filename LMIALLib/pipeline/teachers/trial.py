"""A teacher tried on a few slices before it labels a whole study; nothing is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.prompts import PromptSettings, excess_of_slices, standardised_difference
from LMIALLib.pipeline.teachers.teacher import PseudoLabel, Teacher, objection
from LMIALLib.progress import Cancelled, Progress, ignore
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class TriedSlice:
    """What a teacher found on one slice.

    Attributes:
        case, slice: which.
        difference: how different the visits are there, see ``prompts.excess_of_slices``.
        changed_mm2: area with p >= 0.5; None where the teacher failed.
        highest: highest probability; None where it failed.
        confidence: mean over the brain of the slice; None where it failed.
        seconds: since the slice before.
        failed: why there is no pseudo-label, or an empty string.
    """

    case: str
    slice: int
    difference: float
    changed_mm2: float | None
    highest: float | None
    confidence: float | None
    seconds: float
    failed: str


def try_teacher(
    study: Study,
    teacher: Teacher,
    limit: int,
    *,
    cases: Sequence[str] | None = None,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TriedSlice, ...]:
    """Let a teacher label the ``limit`` most different slices of one case, or of each case that is named.

    The other arguments as in ``make_pseudo_labels``; when cancelled, what was tried by then is returned. Raises
    WrongUse for a limit below 1, BadInput for an unknown case or a study without any.
    """
    if limit < 1:
        raise WrongUse(f"A limit of {limit} slices was given; the least is 1.")
    names = list(cases) if cases else [case.name for case in study.cases.all()][:1]
    if not names:
        step = Step(Do.ADD, str(study.folder))
        raise BadInput(f"the study {study.folder} has no case to try a teacher on.", "Add one.", step)
    known = [study.cases.get(name) for name in names]

    def check() -> None:
        if cancelled():
            raise Cancelled

    tried: list[TriedSlice] = []
    total = sum(min(limit, case.n_slices) for case in known)
    for case in known:
        pair = study.cases.load_pair(case.name)
        differences = excess_of_slices(standardised_difference(pair, PromptSettings()), PromptSettings())
        started = time.monotonic()
        try:
            for number, found in teacher.judged(pair, most_different(pair, differences, limit), check):
                now = time.monotonic()
                tried.append(_tried(case.name, number, float(differences[number]), found, pair, now - started))
                started = now
                progress(f"{case.name}, slice {number}", len(tried), total)
        except Cancelled:
            break
    return tuple(tried)


def most_different(pair: Pair, differences: np.ndarray, limit: int) -> list[int]:
    """Numbers of the slices with brain whose visits differ most, the most different first."""
    brain = np.flatnonzero(pair.stack(pair.mask).any(axis=(1, 2)))
    return [int(number) for number in brain[np.argsort(-differences[brain], kind="stable")][:limit]]


def _tried(
    case: str, number: int, difference: float, found: PseudoLabel | str, pair: Pair, seconds: float
) -> TriedSlice:
    failed = objection(found, pair.slice_shape) if isinstance(found, PseudoLabel) else found
    if not isinstance(found, PseudoLabel) or failed:
        return TriedSlice(case, number, difference, None, None, None, seconds, failed)
    rows_mm, columns_mm = pair.in_plane_spacing
    brain = pair.stack(pair.mask)[number]
    return TriedSlice(
        case,
        number,
        difference,
        float((found.probability >= 0.5).sum() * rows_mm * columns_mm),
        float(found.probability.max()),
        float(found.confidence[brain].mean()),
        seconds,
        "",
    )
