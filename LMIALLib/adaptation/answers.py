"""A reader's answers to slices, as arrays that the head learns from and the delivered label is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

UNKNOWN = 255
"""Marks a pixel of which an answer says nothing: equivocal, outside a box that was read, or not on the screen."""


@dataclass(frozen=True)
class SliceAnswer:
    """One answer of one slice.

    Args:
        number: slice, 0-based.
        target: uint8 (rows, columns): 0 no change, 1 change, `UNKNOWN` ignored.
        read: whether the slice counts as read. A box that was read, and a lesion that was accepted or rejected as a
            whole, are evidence for the head and leave the slice unread.

    Raises ValueError for a negative number, another shape or another value.

    Example:
        >>> SliceAnswer(12, np.array([[0, 1], [255, 0]], np.uint8)).read
        True
    """

    number: int
    target: np.ndarray
    read: bool = True

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(f"slice number is {self.number}; expected 0 or more")
        if self.target.ndim != 2 or self.target.dtype != np.uint8:
            raise ValueError(f"target is {self.target.dtype} {self.target.shape}; expected uint8 (rows, columns)")
        if not np.isin(self.target, (0, 1, UNKNOWN)).all():
            raise ValueError("target holds other values than 0, 1 and 255")

    def digest(self) -> str:
        """SHA-256 over number, target and whether it is read."""
        start = f"{self.number} {self.target.shape} {self.read} ".encode()
        return hashlib.sha256(start + np.ascontiguousarray(self.target).tobytes()).hexdigest()


def mask_answer(number: int, mask: np.ndarray, equivocal: np.ndarray | None = None) -> SliceAnswer:
    """Make the answer of a drawn mask, or of a suggestion that was right.

    Args:
        number: slice, 0-based.
        mask: bool (rows, columns), change.
        equivocal: bool (rows, columns), pixels to ignore; None for none.

    Example:
        >>> mask_answer(12, np.array([[False, True], [False, False]])).target.tolist()
        [[0, 1], [0, 0]]
    """
    target = np.asarray(mask, dtype=bool).astype(np.uint8)
    if equivocal is not None:
        target[equivocal] = UNKNOWN
    return SliceAnswer(number, target)


def nothing_here(number: int, shape: tuple[int, int]) -> SliceAnswer:
    """Make the answer "looked at, no change".

    Args:
        number: slice, 0-based.
        shape: (rows, columns), as ``pair.slice_shape``.

    Example:
        >>> nothing_here(12, (2, 3)).target.tolist()
        [[0, 0, 0], [0, 0, 0]]
    """
    return SliceAnswer(number, np.zeros(shape, np.uint8))


def equivocal_slice(number: int, shape: tuple[int, int]) -> SliceAnswer:
    """Make the answer of a slice that is equivocal as a whole: it is read, and nothing is learnt from it."""
    return SliceAnswer(number, np.full(shape, UNKNOWN, np.uint8))


def box_answer(number: int, mask: np.ndarray, rows: slice, columns: slice) -> SliceAnswer:
    """Make the answer of a box on a slice: what lies in the box was read, all else is unknown, the slice stays unread.

    Args:
        number: slice, 0-based.
        mask: bool (rows, columns) of the whole slice; only its part in the box counts.
        rows, columns: the box.
    """
    target = np.full(mask.shape, UNKNOWN, np.uint8)
    target[rows, columns] = np.asarray(mask, dtype=bool)[rows, columns]
    return SliceAnswer(number, target, read=False)


def lesion_answers(lesion: np.ndarray, change: np.ndarray, shown: Iterable[int]) -> tuple[SliceAnswer, ...]:
    """Make the answers of a suggested lesion that was accepted, rejected or outlined anew as a whole.

    Args:
        lesion: bool (slices, rows, columns), what the answer speaks for.
        change: bool of the same shape, which of it is change: all, none, or the new outline.
        shown: slices, 0-based, that were on the screen; the lesion's voxels on others are not answered.

    No slice becomes read by it.
    """
    found = []
    for number in sorted(set(shown)):
        if lesion[number].any():
            target = np.where(lesion[number], change[number].astype(np.uint8), np.uint8(UNKNOWN))
            found.append(SliceAnswer(number, target.astype(np.uint8), read=False))
    return tuple(found)


@dataclass(frozen=True)
class Answered:
    """All answers of a patient, slice by slice.

    Args:
        targets: slice to target uint8 (rows, columns), `UNKNOWN` where nothing is known.
        read: slices that count as read.
        digest: SHA-256 over the answers in their order.
    """

    targets: Mapping[int, np.ndarray]
    read: frozenset[int]
    digest: str

    @property
    def marked(self) -> int:
        """Number of voxels that are answered as change."""
        return sum(int((target == 1).sum()) for target in self.targets.values())


def digests(answers: Iterable[SliceAnswer]) -> list[str]:
    """SHA-256 over the first 0, 1, 2 ... answers, in their order."""
    total = hashlib.sha256()
    found = [total.hexdigest()]
    for answer in answers:
        total.update(answer.digest().encode())
        found.append(total.hexdigest())
    return found


def gathered(answers: Sequence[SliceAnswer]) -> Answered:
    """Gather answers in their order: a read slice replaces all earlier answers to it, a part adds to them."""
    targets: dict[int, np.ndarray] = {}
    read: set[int] = set()
    for answer in answers:
        before = targets.get(answer.number)
        if answer.read or before is None:
            targets[answer.number] = answer.target.copy()
        else:
            targets[answer.number] = np.where(answer.target == UNKNOWN, before, answer.target)
        if answer.read:
            read.add(answer.number)
    return Answered(targets, frozenset(read), digests(answers)[-1])


def delivered_label(suggested: np.ndarray, answered: Answered) -> tuple[np.ndarray, np.ndarray]:
    """Make the delivered label: what was answered as it was answered, all else as suggested.

    Args:
        suggested: bool (slices, rows, columns), the adapted maps at the threshold.
        answered: see `gathered`.

    Returns the label, bool, equivocal pixels of read slices without change, and the provenance, uint8 of the same
    shape: 0 suggested, 1 read, 2 equivocal.
    """
    label, provenance = suggested.copy(), np.zeros(suggested.shape, np.uint8)
    for number, target in answered.targets.items():
        known = target != UNKNOWN
        label[number][known] = target[known] == 1
        provenance[number][known] = 1
        if number in answered.read:
            label[number][~known] = False
            provenance[number][~known] = 2
    return label, provenance
