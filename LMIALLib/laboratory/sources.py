"""Where the cases of a simulation come from: a cohort on disk, or a study whose truth is known."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from LMIALLib.errors import BadInput, Do, Step, WrongUse
from LMIALLib.json_data import Limits, read_json
from LMIALLib.laboratory.synthetic_data.parts import parts_of

SUBJECTS_TO_SPLIT = 5
"""From so many subjects on a study is judged on subjects of its own."""


@dataclass(frozen=True)
class Source:
    """Where a case comes from.

    Args:
        name, part: as in `Subject`.
        raw: whether ``folder`` holds raw files, as in a cohort, or is a study with a stored pair.
        folder: of the subject, or of the study.
        truth: file of the truth.
        pixel_mm: in-plane pixel size to bring it to; None keeps it.
        brain: where the brain comes from: in a study the subject.
    """

    name: str
    part: str
    raw: bool
    folder: Path
    truth: Path
    pixel_mm: float | None
    brain: str


def found_sources(
    place: Path,
    truths: Mapping[str, Path],
    pixel_mm: float | None,
    judge: str | None = None,
    judged: str = "test",
) -> tuple[str, list[Source]]:
    """The cases of a folder, and how they are judged: "cohort" (other subjects) or "study" (other slices).

    Args:
        place: a cohort or a study.
        truths: of a study, a file for each case by its name.
        pixel_mm: see `Source`.
        judge: "subjects" or "slices"; None: subjects where there is a cohort, or a study with five subjects or more.
        judged: the part whose subjects are judged, "test" or "validation".

    Raises BadInput where the folder is neither, a cohort lacks a training part, the part ``judged`` or a file, a case
    of a study has no truth; WrongUse for a truth of an unknown case or of a cohort, and for judging what cannot be
    judged that way.
    """
    place = Path(place).absolute()
    if (place / "cohort.json").is_file():
        if truths:
            raise WrongUse("A cohort brings its own truth.", "Leave --truth out.")
        if judge == "slices":
            raise WrongUse("A cohort is judged on its subjects.", "Leave --judge out.")
        return "cohort", _of_cohort(place, pixel_mm, judged)
    if (place / "study.sqlite").is_file():
        sources = _of_study(place, truths, pixel_mm)
        parts = parts_of_subjects({source.brain for source in sources})
        if judge == "slices" or (judge is None and len(parts) < SUBJECTS_TO_SPLIT):
            return "study", sources
        if len(parts) < 2:
            raise WrongUse("One subject cannot be judged on others.", "Use --judge slices.")
        return "cohort", [replace(source, part=parts[source.brain]) for source in sources]
    raise BadInput(f"{place} is neither a study nor a cohort.", "Make one of them.", Step(Do.NEW), Step(Do.MAKE_COHORT))


def parts_of_subjects(subjects: Collection[str]) -> dict[str, str]:
    """The part of each subject of a study: a fifth is for test and a fifth for validation, by the hash of its name."""
    drawn = sorted(subjects, key=lambda name: hashlib.sha256(b"lmial simulate " + name.encode()).digest())
    return dict(zip(drawn, parts_of(len(drawn)), strict=True))


@dataclass(frozen=True)
class _Subject:
    name: Annotated[str, Limits(pattern="[A-Za-z0-9][A-Za-z0-9._-]{0,99}")]  # the name of a folder beside the index
    part: str
    brain: str


@dataclass(frozen=True)
class _Cohort:
    """What cohort.json holds."""

    subjects: tuple[_Subject, ...]


def _of_cohort(place: Path, pixel_mm: float | None, judged: str) -> list[Source]:
    try:
        subjects = read_json(place / "cohort.json", _Cohort).subjects
        listed = [(one.name, one.part, one.brain) for one in subjects]
    except BadInput as error:
        raise BadInput(f"{place / 'cohort.json'}: this index of a cohort is broken ({error.sentence})") from error
    for part in ("train", judged):
        if part not in {found for _, found, _ in listed}:
            raise BadInput(
                f"{place}: this cohort has no subject of the part {part!r}, so nothing can be "
                f"{'queried' if part == 'train' else 'judged'}.",
                "Make a larger one.",
            )
    sources = [
        Source(name, part, True, place / name, place / name / "truth.nii.gz", pixel_mm, brain)
        for name, part, brain in listed
    ]
    for source in sources:
        for name in ("baseline", "follow_up", "brain", "truth"):
            if not (source.folder / f"{name}.nii.gz").is_file():
                raise BadInput(f"{source.folder / name}.nii.gz: this file of the cohort is missing.")
    return sources


def _of_study(place: Path, truths: Mapping[str, Path], pixel_mm: float | None) -> list[Source]:
    from LMIALLib.study.store import Study

    with Study.open(place, read_only=True) as study:
        cases = study.cases.all()
    names = [case.name for case in cases]
    for name in truths:
        if name not in names:
            raise WrongUse(f"--truth names the case {name}, which the study has not.", f"It has {', '.join(names)}.")
    sources = []
    for case in cases:
        stored = place / "cases" / case.name / "truth.nrrd"
        truth = Path(truths.get(case.name, stored)).absolute()
        if not truth.is_file():
            if case.name in truths:
                raise BadInput(f"{truth}: there is no such file.")
            raise BadInput(f"The case {case.name} has no truth.", f"Give it: --truth {case.name}=FILE")
        sources.append(Source(case.name, "pool", False, place, truth, pixel_mm, case.subject))
    if not sources:
        raise BadInput(f"{place} holds no case.")
    return sources
