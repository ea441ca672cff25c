"""One answer: the fields that a reader's action fills, and those that saving adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class AnswerKind:
    """One way to answer a slice. To add one: an entry here, and its name among the column's values in `schema`.

    Args:
        name: as stored.
        action: what keys and buttons call it, see ``loop.shortcuts``.
        word: the answer in words, for lists and tables.
        saved: the message that is shown once it is saved.
        mask: whether a mask must come along, may, or must not.
        tests: whether the answer labels every pixel as changed or not, so that a model can be scored on the slice.
        left_out: whether nothing is learnt from what the mask marks, or from the whole slice where there is none.
        settles: whether the slice counts as read; one that was put off stays in the pool and keeps its draft.
    """

    name: str
    action: str
    word: str
    saved: str
    mask: Literal["needed", "possible", "none"]
    tests: bool = False
    left_out: bool = False
    settles: bool = True


KINDS = {
    kind.name: kind
    for kind in (
        AnswerKind("mask", "save", "change drawn", "saved", "needed", tests=True),
        AnswerKind("nothing", "nothing_here", "nothing here", "nothing here", "none", tests=True),
        AnswerKind("equivocal", "equivocal", "equivocal", "equivocal", "possible", left_out=True),
        AnswerKind("skip", "skip", "skipped for now", "skipped for now", "none", settles=False),
    )
}
"""Every kind of answer by its stored name; faces, tables, training and exports go by what stands here."""
KIND_OF = {kind.action: kind for kind in KINDS.values()}
"""The same by the action that keys and buttons name."""
ANSWERS = tuple(KINDS)
DRAWN = ("strategy", "random", "reader")


@dataclass(frozen=True)
class SliceTest:
    """How the model in use did on a slice before it learned from it, as voxel counts.

    Args:
        model: id of the model.
        overlap, predicted, marked: voxels in both, in the model's change, in the reader's change.
    """

    model: str
    overlap: int
    predicted: int
    marked: int


@dataclass(frozen=True)
class Viewed:
    """What of a slice was on the screen before it was answered.

    Args:
        mask: (rows, columns) bool, the voxels that were shown at one or more screen pixels each for long enough.
        share: of the searched region of the slice, 0 to 1; 1 where the region has no voxel there.
    """

    mask: np.ndarray
    share: float


@dataclass(frozen=True)
class NewAnswer:
    """A reader's answer to a slice, about to be saved.

    Args:
        case, slice: which slice, 0-based.
        answer: name of one of `KINDS`.
        mask: (rows, columns), values of the label schema, where its kind takes one: what changed for "mask", the
            doubtful spot or None for "equivocal".
        reader: who answers.
        seconds: active reading time.
        suggestion_seen, suggestion_seconds: whether the suggestion was shown, and how long after the slice was opened.
        accepted_unchanged: whether the mask is the suggestion as it was.
        model: id of the model, or name of the teacher's maps, that the suggestion came from.
        ranking, query_rank: the ranking and the place in it that brought the reader here.
        drawn: "strategy", "random", or "reader" for a slice that the reader chose.
        test: how the model in use did on this slice before training on it.
        viewed: what was on the screen; None where no screen was looked at (the command line).
    """

    case: str
    slice: int
    answer: str
    mask: np.ndarray | None = None
    reader: str = ""
    seconds: float | None = None
    suggestion_seen: bool = False
    suggestion_seconds: float | None = None
    accepted_unchanged: bool = False
    model: str | None = None
    ranking: int | None = None
    query_rank: int | None = None
    drawn: str = "reader"
    test: SliceTest | None = None
    viewed: Viewed | None = None


@dataclass(frozen=True)
class Answer:
    """One saved version of the answer to a slice: the fields of ``NewAnswer`` and those that saving added.

    ``answer`` may also be "withdrawn": the slice is back in the pool. ``version`` counts from 1 for each slice.
    ``viewed_share`` is the part of the searched region that was on the screen, None where that is not known; which part
    says ``viewed_of``.
    """

    id: int
    version: int
    saved_at: str
    case: str
    slice: int
    answer: str
    mask: np.ndarray | None
    reader: str
    seconds: float | None
    suggestion_seen: bool
    suggestion_seconds: float | None
    accepted_unchanged: bool
    model: str | None
    ranking: int | None
    query_rank: int | None
    drawn: str
    test: SliceTest | None
    viewed_share: float | None = None
