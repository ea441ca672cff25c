"""How long a reader will take for a slice: a time for every slice, and more for every millimetre of outline to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TIMED_ANSWERS = 8
"""Fewer timed answers say too little of a reader; then the constants of `ReadingTime` hold."""

SHORTEST = 1.0
"""Seconds that no slice is read faster than."""


@dataclass(frozen=True)
class ReadingTime:
    """Seconds of a slice = ``base`` + ``per_mm`` x mm of outline.

    The constants are ours, for a reader who is not known yet: a look of 8 s, an outline of 2.5 mm a second.

    Args:
        base: seconds that every slice takes, 0 or more.
        per_mm: seconds for every millimetre of outline, 0 or more.
    """

    base: float = 8.0
    per_mm: float = 0.4

    def seconds(self, outline_mm: np.ndarray) -> np.ndarray:
        """Predicted seconds (n,) float32 of slices with outlines of so many mm (n,); `SHORTEST` or more."""
        return np.maximum(self.base + self.per_mm * np.asarray(outline_mm, np.float64), SHORTEST).astype(np.float32)

    @classmethod
    def fitted(cls, seconds: Sequence[float], outline_mm: Sequence[float]) -> ReadingTime:
        """Least squares of seconds on [1, outline], neither coefficient below 0 (Lawson and Hanson, scipy's ``nnls``).

        Args:
            seconds: of timed answers, (n,), above 0.
            outline_mm: of what was marked in each, (n,); 0 for "nothing here".

        With fewer than `TIMED_ANSWERS` answers the constants of the class are returned.
        """
        from scipy.optimize import nnls

        if len(seconds) < TIMED_ANSWERS:
            return cls()
        outline = np.asarray(outline_mm, np.float64)
        found, _ = nnls(np.stack((np.ones_like(outline), outline), axis=1), np.asarray(seconds, np.float64))
        return cls(float(found[0]), float(found[1]))


def outline_mm(marked: np.ndarray, in_plane_spacing: tuple[float, float]) -> np.ndarray:
    """Length of the outline of what is marked in each slice, mm, float64 (n,).

    Args:
        marked: bool (n, rows, columns).
        in_plane_spacing: mm between rows and between columns.

    Pixel edges between marked and not marked are added up, so that a rectangle has its own circumference; a slanting
    outline comes out longer than it is, by up to a factor of 1.41.
    """
    padded = np.pad(np.asarray(marked, bool), ((0, 0), (1, 1), (1, 1)))
    between_rows = (padded[:, 1:] != padded[:, :-1]).sum(axis=(1, 2))
    between_columns = (padded[:, :, 1:] != padded[:, :, :-1]).sum(axis=(1, 2))
    return between_rows * float(in_plane_spacing[1]) + between_columns * float(in_plane_spacing[0])
