"""Simulated readers: their answers to slices, and how long they take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.laboratory.subjects import Subject
from LMIALLib.pairs.unread import UNREAD
from LMIALLib.queries.reading_time import ReadingTime, outline_mm

SECONDS_A_CASE = 30.0
"""Minutes = a + b per boundary mm + c per case switch: a and b are the constants of `reading_time.ReadingTime`, c is
this. No study of reading time stands behind the three; `TimeSpent.bounds` says how much the sum moves when one is 50 %
off."""

MISSED_AT_MOST = 0.5
MISSED_MM2 = 15.0
"""A lesion of a slice is missed with probability 0.5 exp(-area / 15 mm2): 0.4 at 3 mm2, 0.13 at 20, 0.002 at 80."""
FALSE_MARKS = 0.04
"""Share of the slices on which the noisy reader marks a spot of one to three pixels' radius that is none."""
UNEVEN_PIXELS = 2.0
"""Standard deviation of the Gaussian that makes the jitter of a boundary smooth."""


def answer(subject: Subject, number: int, reader: str, seed: int) -> np.ndarray:
    """A reader's answer to slice ``number`` (0-based), uint8 (rows, columns): 0, 1, and 255 where nothing is known.

    "exact": the truth. "noisy": a boundary moved by up to one pixel in or out, smoothly along it; small lesions missed
    more often than large ones; now and then a false mark. It depends on case, slice and seed alone, so that a slice is
    answered alike whichever strategy chose it. Raises ValueError for another reader.
    """
    truth = subject.truth[number]
    if reader == "exact":
        return truth.copy()
    if reader != "noisy":
        raise ValueError(f"there is no reader {reader!r}")
    name = int.from_bytes(hashlib.sha256(subject.name.encode()).digest()[:8], "big")
    rng = np.random.default_rng([seed, name, number, 0x6E6F6973])
    marked = _uneven(_noticed(truth == 1, float(np.prod(subject.pair.in_plane_spacing)), rng), rng)
    if rng.random() < FALSE_MARKS:
        marked |= _false_mark(subject.pair.mask[number], rng)
    marked &= subject.pair.mask[number] | (truth == 1)
    return np.where(truth == UNREAD, UNREAD, marked).astype(np.uint8)


def _noticed(change: np.ndarray, pixel_mm2: float, rng: np.random.Generator) -> np.ndarray:
    """The lesions (8-connected in the slice) that are not missed."""
    from scipy.ndimage import label

    numbered, count = label(change, np.ones((3, 3)))
    area = np.bincount(numbered.ravel(), minlength=count + 1) * pixel_mm2
    seen = rng.random(count + 1) >= MISSED_AT_MOST * np.exp(-area / MISSED_MM2)
    return np.asarray(change & seen[numbered])


def _uneven(marked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Boundaries moved outwards or inwards by at most one pixel."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    if not marked.any():
        return marked
    field = gaussian_filter(rng.standard_normal(marked.shape), UNEVEN_PIXELS)
    move = np.clip(field / field.std(), -1.0, 1.0)
    inside, outside = distance_transform_edt(marked), distance_transform_edt(~marked)
    # distances are to pixel centres: the boundary lies half a pixel nearer
    return np.asarray(np.where(marked, inside - 0.5, 0.5 - outside) + move > 0)


def _false_mark(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A disc of one to three pixels' radius somewhere in the brain."""
    places = np.argwhere(brain)
    if not len(places):
        return np.zeros_like(brain)
    row, column = places[rng.integers(len(places))]
    radius = rng.uniform(1.0, 3.0)
    rows, columns = np.ogrid[: brain.shape[0], : brain.shape[1]]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def correcting_seconds(suggested: np.ndarray, target: np.ndarray, in_plane_mm: tuple[float, float]) -> float:
    """Seconds of looking at a slice and correcting the suggestion: the outline of its wrong pixels is drawn.

    Args:
        suggested: bool (rows, columns).
        target: the answer, uint8 (rows, columns) of 0, 1 and 255 (not known, nothing to correct).
        in_plane_mm: mm between rows and between columns.
    """
    wrong = (suggested != (target == 1)) & (target != UNREAD)
    return float(ReadingTime().seconds(outline_mm(wrong[None], in_plane_mm))[0])


@dataclass(frozen=True)
class TimeSpent:
    """Seconds that reading took so far.

    Args:
        slices, outlines, switches: for looking at slices, for drawing outlines, for crossing to another case.
    """

    slices: float = 0.0
    outlines: float = 0.0
    switches: float = 0.0

    def after(self, answers: Sequence[tuple[Subject, np.ndarray]]) -> TimeSpent:
        """After a round of answers (targets as `answer` gives them), which are read case by case."""
        drawn = sum(float(outline_mm((target == 1)[None], s.pair.in_plane_spacing)[0]) for s, target in answers)
        return TimeSpent(
            self.slices + ReadingTime.base * len(answers),
            self.outlines + ReadingTime.per_mm * drawn,
            self.switches + SECONDS_A_CASE * len({subject.name for subject, _ in answers}),
        )

    @property
    def seconds(self) -> float:
        """All together."""
        return self.slices + self.outlines + self.switches

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the most seconds when one of the three constants is 50 % smaller or larger, whichever it is."""
        most = 0.5 * max(self.slices, self.outlines, self.switches)
        return self.seconds - most, self.seconds + most
