"""Where a study stands: counts for a person to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from LMIALLib.study.places import place_warning
from LMIALLib.study.schema import SCHEMA_VERSION
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class CaseStatus:
    """Progress of one case: its slices, how many have an answer, and how many of each answer; how many others were
    looked at in a sweep; and whether a reader called its patient finished."""

    name: str
    subject: str
    split: str
    n_slices: int
    read: int
    answers: dict[str, int]
    skipped: int
    viewed: int = 0
    finished: bool = False


@dataclass(frozen=True)
class StudyStatus:
    """Where a study stands.

    Args:
        study_id: random, given at creation.
        folder: where it lies; schema_version: of its database.
        cases: progress of each case.
        readers: reader -> number of slices whose current answer is theirs.
        seconds: active reading time of all versions together.
        models, model_in_use: how many, and the id of the one in use or None.
        rankings: how many.
        held_by: who annotates now, as a phrase, or empty; why_read_only: why this session cannot save, or empty.
        warning: why the study lies in a bad place, or empty.
    """

    study_id: str
    folder: str
    schema_version: int
    cases: tuple[CaseStatus, ...]
    readers: dict[str, int]
    seconds: float
    models: int
    model_in_use: str | None
    rankings: int
    held_by: str
    why_read_only: str
    warning: str


def status_of(study: Study) -> StudyStatus:
    """Counts of cases, answers, readers, models, rankings; who holds the study; whether its place is safe."""
    readers: Counter[str] = Counter()
    cases = []
    for case in study.cases.all():
        current = study.answers.current(case.name)
        readers.update(a.reader for a in current.values())
        answers = dict(Counter(a.answer for a in current.values()))
        skipped = len(study.answers.skipped(case.name))
        viewed = len(study.sweeps.viewed(case.name) - current.keys())
        cases.append(
            CaseStatus(
                case.name, case.subject, case.split, case.n_slices, len(current), answers, skipped, viewed,
                study.patients.finished(case.name) is not None,
            )
        )  # fmt: skip
    in_use = study.models.in_use()
    lease = study.lease()
    return StudyStatus(
        study_id=study.study_id,
        folder=str(study.folder),
        schema_version=SCHEMA_VERSION,
        cases=tuple(cases),
        readers=dict(sorted(readers.items())),
        seconds=study.answers.seconds_spent(),
        models=len(study.models.all()),
        model_in_use=in_use.id if in_use else None,
        rankings=len(study.rankings.numbers()),
        held_by=lease.described if lease and lease.alive else "",
        why_read_only=str(study.why_read_only or ""),
        warning=place_warning(study.folder),
    )
