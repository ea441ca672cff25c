"""Which cases a training learns from and which it is held against: by subject, from the study's own split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LMIALLib.errors import BadInput, Do, Step


@dataclass(frozen=True)
class Member:
    """A case of a data set.

    Args:
        id: nnU-Net's name of it.
        case, subject: the study's names.
        split: "train" or "validation", as the study decided when the subject arrived.
        change: whether its labels mark any change.
    """

    id: str
    case: str
    subject: str
    split: str
    change: bool


Split = dict[str, list[str]]


def one_split(members: Sequence[Member]) -> list[Split]:
    """One split for a single training: the subjects that the study set aside are held out, else the last subject.

    Raises BadInput where fewer than two subjects are left, or none with change to learn from.
    """
    training, aside = _sides(members)
    if not aside:
        training, aside = training[:-1], training[-1:]
    if not training or not aside:
        raise _too_few(len(training) + len(aside))
    if not any(member.change for member in members if member.subject in training):
        raise BadInput(
            "the labels mark no change in any subject that may be learned from.",
            "Look at the pseudo-labels, or take another teacher.",
        )
    return [_split(members, training, aside)]


def fold_splits(members: Sequence[Member], folds: int) -> list[Split]:
    """Splits for an ensemble: each training subject is held out once, subjects set aside by the study always.

    Args:
        members: the data set.
        folds: how many, fewer where there are fewer subjects.

    Raises BadInput where fewer than two training subjects have labels, or fewer than two have change.
    """
    training, aside = _sides(members)
    if len(training) < 2:
        raise _too_few(len(training))
    changed = {member.subject for member in members if member.change}
    # subjects with change are dealt first, so that every fold has some to learn from
    dealt = sorted(training, key=lambda subject: subject not in changed)
    if len(changed & set(training)) < 2:
        raise BadInput(
            "change was marked in fewer than two subjects that may be learned from, so folds cannot be made.",
            "Read slices of more subjects on which something changed.",
            Step(Do.ANNOTATE),
        )
    count = min(folds, len(training))
    return [
        _split(members, set(dealt) - set(dealt[fold::count]), [*dealt[fold::count], *aside]) for fold in range(count)
    ]


def _sides(members: Sequence[Member]) -> tuple[list[str], list[str]]:
    """Subjects for training and subjects set aside, each in order of arrival."""
    by_subject = {member.subject: member.split for member in members}
    sides = {
        side: [subject for subject, split in by_subject.items() if split == side] for side in ("train", "validation")
    }
    return sides["train"], sides["validation"]


def _split(members: Sequence[Member], training: Sequence[str] | set[str], held_out: Sequence[str]) -> Split:
    return {
        "train": [member.id for member in members if member.subject in training],
        "val": [member.id for member in members if member.subject in held_out],
    }


def _too_few(count: int) -> BadInput:
    return BadInput(
        f"nnU-Net is held against subjects that it did not learn from, which takes two; labels are there for {count}.",
        "Add another subject, or read slices of one more.",
    )
