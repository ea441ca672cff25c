"""The command for each thing that a person can do next: the one table from `errors.Do` to what is typed."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from LMIALLib.errors import Do, Step

PROGRAM = "lmial"

STUDY, STAGE, SUBJECT = "STUDY", "STAGE", "PATIENT"
"""What stands in the table for a field of a step, and in the command where the field is not known."""

OPTIONS = frozenset(
    {Do.CHOOSE_SERIES, Do.ALIGN_CENTRES, Do.NOTHING_HERE, Do.GO_ON, Do.MAKE_ANEW, Do.USE_CPU},
)
"""What is done by an option of the command that failed."""

COMMANDS: dict[Do, tuple[str, ...]] = {
    Do.NEW: ("new", STUDY, "--baseline", "FILE", "--follow-up", "FILE"),
    Do.ADD: ("add", STUDY, "--baseline", "FILE", "--follow-up", "FILE"),
    Do.IMPORT: ("import", STUDY, "DATASET", "--layout", "LAYOUT"),
    Do.ADD_WITH_MASK: ("add", STUDY, "--baseline", "FILE", "--follow-up", "FILE", "--mask", "FILE"),
    Do.MAKE_COHORT: ("cohort", "make", "OUT", "--subjects", "N"),
    Do.ANNOTATE: ("annotate", STUDY),
    Do.LABEL: ("label", STUDY, "--case", "NAME", "--slice", "K", "--reader", "WHO", "--mask", "FILE"),
    Do.RANK: ("rank", STUDY),
    Do.FINETUNE: ("finetune", STUDY),
    Do.STATUS: ("status", STUDY),
    Do.CHECK: ("check", STUDY),
    Do.REPLAY: ("replay", STUDY),
    Do.LESIONS: ("lesions", STUDY),
    Do.STRATEGIES: ("strategies",),
    Do.DOCTOR: ("doctor",),
    Do.PSEUDO_LABEL_AGAIN: ("pseudo-label", STUDY, "--teacher", "ID", "--again"),
    Do.PIPELINE_RESUME: ("pipeline", STUDY, "--resume"),
    Do.PIPELINE_STAGE: ("pipeline", STUDY, "--stage", STAGE),
    Do.SIMULATE_RESUME: ("simulate", STUDY, "--out", "OUT", "--resume"),
    Do.CHOOSE_SERIES: ("--series", "NAME"),
    Do.ALIGN_CENTRES: ("--align", "centres"),
    Do.NOTHING_HERE: ("--empty",),
    Do.GO_ON: ("--resume",),
    Do.MAKE_ANEW: ("--again",),
    Do.USE_CPU: ("--device", "cpu"),
    Do.PRETRAIN_WITHOUT: ("pretrain", "--out", "FILE", "--exclude", SUBJECT),
}


def arguments(step: Step, study: Path | None = None) -> list[str]:
    """The words of a step's command behind the program's name; ``study`` as the person typed it takes the place of the
    same folder, and of one that the step does not know."""
    folder = step.study
    if study is not None and (not folder or Path(folder) == study.absolute()):
        folder = str(study)
    known = {STUDY: folder, STAGE: step.stage, SUBJECT: step.subject}
    return [known.get(word) or word for word in COMMANDS[step.do]]


def command_for(step: Step, study: Path | None = None) -> str:
    """A step as one line that can be copied into a terminal, a whole command or an option; see ``arguments``."""
    words = [quote(word) for word in arguments(step, study)]
    return " ".join(words if step.do in OPTIONS else [PROGRAM, *words])
