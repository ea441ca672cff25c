"""Whether a study is whole: database, files, masks and rankings, each problem as one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from LMIALLib.errors import BadInput
from LMIALLib.files import sha256_of
from LMIALLib.study.inside import inside
from LMIALLib.study.lesion_numbers import NUMBERS, read_numbers
from LMIALLib.study.staging import STAGING
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, and a sentence that says what."""

    where: str
    sentence: str


def check_study(study: Study) -> tuple[Problem, ...]:
    """Everything that is wrong with the study; empty when it is whole. Reads every file."""
    return (*_database_problems(study), *_file_problems(study), *_mask_problems(study), *_ranking_problems(study))


def _database_problems(study: Study) -> list[Problem]:
    reported = [row[0] for row in study.database.rows("PRAGMA integrity_check")]
    found = [Problem("study.sqlite", f"the database is damaged: {line}.") for line in reported if line != "ok"]
    for row in study.database.rows("PRAGMA foreign_key_check"):
        found.append(Problem("study.sqlite", f"row {row[1]} of {row[0]} names a row of {row[2]} that is missing."))
    return found


def _file_problems(study: Study) -> list[Problem]:
    found = []
    for row in study.database.rows("SELECT path, digest FROM files ORDER BY path"):
        try:
            path = inside(study.folder, row["path"])
        except BadInput as foreign:
            found.append(Problem("study.sqlite", foreign.sentence))
            continue
        if not path.is_file():
            found.append(Problem(row["path"], "the file is missing; restore it from a backup."))
        elif sha256_of(path) != row["digest"]:
            found.append(Problem(row["path"], "the file is not the one that was stored; restore it from a backup."))
    known = {case.name for case in study.cases.all()}
    cases = study.folder / "cases"
    for folder in sorted(cases.iterdir()) if cases.is_dir() else ():
        if folder.name.startswith(STAGING):
            sentence = "an unfinished case lies here; it goes when the study is next opened for annotating."
            found.append(Problem(f"cases/{folder.name}", sentence))
        elif folder.name not in known:
            sentence = "no case of the study; it moves to removed/ when the study is next opened for annotating."
            found.append(Problem(f"cases/{folder.name}", sentence))
        else:
            try:
                read_numbers(folder / NUMBERS)
            except BadInput as damage:
                found.append(Problem(f"cases/{folder.name}/{NUMBERS}", f"{damage.sentence} {damage.hint}"))
    return found


def _mask_problems(study: Study) -> list[Problem]:
    found = []
    for case in study.cases.all():
        for number in study.answers.ids(case.name):
            where = f"annotation {number} of {case.name}"
            try:
                answer = study.answers.get(number)
                if answer.mask is not None:
                    study.label_schema.checked_mask(answer.mask, case.slice_shape, where)
                study.answers.viewed_of(answer)
            except BadInput as damage:
                found.append(Problem(where, damage.sentence))
                continue
            if answer.answer == "mask" and answer.mask is None:
                found.append(Problem(where, "the answer is a mask, but no mask is stored."))
            if answer.slice >= case.n_slices:
                found.append(Problem(where, f"slice {answer.slice} does not exist; there are {case.n_slices}."))
    return found


def _ranking_problems(study: Study) -> list[Problem]:
    found = []
    cases = {case.name: case for case in study.cases.all()}
    for number in study.rankings.numbers():
        try:
            stored = study.rankings.get(number)
        except (BadInput, ValueError) as damage:
            found.append(Problem(f"ranking {number}", f"it cannot be read: {damage}"))
            continue
        for name, scores in stored.scores.items():
            if name in cases and len(scores) != cases[name].n_slices:
                sentence = f"it has {len(scores)} scores for {name}, which has {cases[name].n_slices} slices."
                found.append(Problem(f"ranking {number}", sentence))
    return found
