"""What a ranking takes from a study's history: which models make its committee, and how fast its readers are."""

from __future__ import annotations

from LMIALLib.queries.reading_time import ReadingTime, outline_mm
from LMIALLib.study.answer import KINDS
from LMIALLib.study.kept import goes_by_stored_maps
from LMIALLib.study.store import Study

COMMITTEE = 5
"""Models in a committee, at most."""


def committee_of(study: Study) -> list[str]:
    """Ids of the model in use and of the others that were ever in use, newest first; `COMMITTEE` at most."""
    in_use = study.models.in_use()
    if in_use is None:
        return []
    others = [
        model.id
        for model in reversed(study.models.all())
        if model.adopted and model.id != in_use.id and not goes_by_stored_maps(model.id)
    ]
    return [in_use.id, *others][:COMMITTEE]


def reading_time_of(study: Study) -> ReadingTime:
    """Seconds of a slice as its outline grows, from the newest timed answer of every slice, all readers together.

    Answers that say of every pixel whether it changed count; with fewer than `reading_time.TIMED_ANSWERS` of them the
    constants of `ReadingTime` hold.
    """
    seconds, outlines = [], []
    for case in study.cases.all():
        rows, columns = (axis for axis in range(3) if axis != case.axis)
        sides = case.grid.spacing[::-1][rows], case.grid.spacing[::-1][columns]
        for answer in study.answers.current(case.name).values():
            if KINDS[answer.answer].tests and answer.seconds:
                seconds.append(answer.seconds)
                outlines.append(0.0 if answer.mask is None else float(outline_mm(answer.mask[None] != 0, sides)[0]))
    return ReadingTime.fitted(seconds, outlines)
