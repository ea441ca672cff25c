"""What the ranking sees of a case: maps before scoring, numbers a slice after it, and the flat pool of all candidates.

Slice numbers are 0-based on the stored grid; stacks are (slices, rows, columns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import LMIALError

SMALLEST_SHARE = 0.1
"""A slice whose brain region is smaller than this share of the case's median is not queried."""

CHANCES = 3
"""Uniform numbers that each slice has for the strategy's own draws, and as many for noise: one for the score, the
others for further measures."""

OF_PIXELS = ("mean", "expected_entropy", "variance", "vote_entropy", "entropy", "mutual_information")
"""Maps of a case that a model made."""


@dataclass(frozen=True)
class CaseMaps:
    """The maps of every pixel of one case, from the network and the pair. Held for one case at a time.

    Args:
        case: name of the case.
        mean: (n, r, c) float32 in [0, 1], probability of change, averaged over passes where there are several.
        mask: (n, r, c) bool, the brain region.
        difference: (n, r, c) float32, follow-up minus baseline in units of the brain's robust spread.
        expected_entropy: (n, r, c) float32, nats, mean over passes of each pass's entropy; None with a single pass.
        variance: (n, r, c) float32, variance over passes of the probability; None with a single pass.
        vote_entropy: (n, r, c) float32, nats, entropy of the members' hard votes; None without a committee.
        entropy: (n, r, c) float32, nats, entropy of the mean as the network's own pixels have it; None where only the
            mean is known, from which it is then made.
        mutual_information: (n, r, c) float32, nats, entropy minus expected entropy, likewise; None where it is made
            from both.
        expected_dice: (n,) float32 in [0, 1], mean over passes of the soft Dice of a pass with the mean; None unless
            asked for.
        features: (n, d) float32, one vector a slice; None where the strategy needs none.
        gradients: (n, g) float32, gradient embedding of each slice at its pseudo-label; None unless needed.
        learned: (n,) float32, score of a learned scorer, higher is queried earlier; None unless needed.
        seconds: (n,) float32 above 0, predicted reading time; None unless needed.
        slice_spacing: mm between neighbouring slices.
        answered: slices that have an answer; never queried again.
        skipped: slices that were skipped; queried after all others.

    Raises:
        ValueError: for arrays that do not fit each other, slice numbers outside the stack, a spacing of 0 or less.
        LMIALError: for vectors that are not finite.
    """

    case: str
    mean: np.ndarray
    mask: np.ndarray
    difference: np.ndarray
    expected_entropy: np.ndarray | None = None
    variance: np.ndarray | None = None
    vote_entropy: np.ndarray | None = None
    entropy: np.ndarray | None = None
    mutual_information: np.ndarray | None = None
    expected_dice: np.ndarray | None = None
    features: np.ndarray | None = None
    gradients: np.ndarray | None = None
    learned: np.ndarray | None = None
    seconds: np.ndarray | None = None
    slice_spacing: float = 1.0
    answered: frozenset[int] = frozenset()
    skipped: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.mean.ndim != 3:
            raise ValueError(f"mean of case {self.case} has shape {self.mean.shape}; expected (slices, rows, columns)")
        for name in ("mask", "difference", *OF_PIXELS[1:]):
            array = getattr(self, name)
            if array is not None and array.shape != self.mean.shape:
                raise ValueError(f"{name} of case {self.case} has shape {array.shape}; expected {self.mean.shape}")
        if self.mask.dtype != bool:
            raise ValueError(f"mask of case {self.case} is {self.mask.dtype}; expected bool")
        for name in ("expected_dice", "learned", "seconds"):
            array = getattr(self, name)
            if array is not None and array.shape != (self.n_slices,):
                raise ValueError(f"{name} of case {self.case} has shape {array.shape}; expected ({self.n_slices},)")
        _check_rows(self.case, "features", self.features, self.n_slices)
        _check_rows(self.case, "gradients", self.gradients, self.n_slices)
        _check_slices(self.case, self.n_slices, self.slice_spacing, self.answered | self.skipped)

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.mean.shape[0])


@dataclass(frozen=True)
class CaseScores:
    """What remains of a case after scoring: a few numbers a slice.

    Args:
        case: name of the case.
        score: (n,) float64, higher is queried earlier.
        terms: (n,) float64 each, the numbers behind the score, see `ranking.score_case`.
        peak: (n, 2) int, row and column of the highest value of the lightly smoothed map.
        features: (n, d) float32 or None.
        slice_spacing: mm between neighbouring slices.
        answered: slices that are never queried again.
        skipped: slices that are queried after all others.
        eligible: (n,) bool, False where the brain region is empty or tiny.
        others: (n,) float64 each, scores by the further measures that the choice goes by.
        gradients: (n, g) float32 or None.

    Raises:
        ValueError: for arrays that do not fit each other, scores that are not finite, slice numbers outside the stack.
    """

    case: str
    score: np.ndarray
    terms: dict[str, np.ndarray]
    peak: np.ndarray
    features: np.ndarray | None
    slice_spacing: float
    answered: frozenset[int]
    skipped: frozenset[int]
    eligible: np.ndarray
    others: tuple[np.ndarray, ...] = ()
    gradients: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = self.n_slices
        others = {f"score {number} beside the first": array for number, array in enumerate(self.others, start=1)}
        for name, array in {"score": self.score, "eligible": self.eligible, **self.terms, **others}.items():
            if array.shape != (n,):
                raise ValueError(f"{name} of case {self.case} has shape {array.shape}; expected ({n},)")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} of case {self.case} holds values that are not finite")
        if self.peak.shape != (n, 2):
            raise ValueError(f"peak of case {self.case} has shape {self.peak.shape}; expected ({n}, 2)")
        _check_rows(self.case, "features", self.features, n)
        _check_rows(self.case, "gradients", self.gradients, n)
        _check_slices(self.case, n, self.slice_spacing, self.answered | self.skipped)

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return int(self.score.size)


def _check_rows(case: str, name: str, rows: np.ndarray | None, n: int) -> None:
    """Raise ValueError where there is not one vector for each of ``n`` slices, LMIALError where one is not finite."""
    if rows is not None and (rows.ndim != 2 or len(rows) != n):
        raise ValueError(f"{name} of case {case} have shape {rows.shape}; expected ({n}, d)")
    if rows is not None and not np.isfinite(rows).all():
        raise LMIALError(
            f"The {name} of case {case} hold values that are not finite.",
            "Go back to an earlier model; this one cannot be ranked with.",
        )


def _check_slices(case: str, n: int, spacing: float, numbers: frozenset[int]) -> None:
    """Raise ValueError where spacing or slice numbers do not fit a case of ``n`` slices."""
    if not (np.isfinite(spacing) and spacing > 0):
        raise ValueError(f"slice spacing of case {case} is {spacing}; expected millimetres above 0")
    if outside := sorted(number for number in numbers if not 0 <= number < n):
        raise ValueError(f"slice {outside[0]} of case {case} does not exist; it has slices 0 to {n - 1}")


def eligible_slices(mask: np.ndarray) -> np.ndarray:
    """Which slices may be queried, bool (n,): a brain region of at least `SMALLEST_SHARE` of the case's median.

    Args:
        mask: (n, r, c) bool; the median is taken over slices that have any.
    """
    area = mask.sum(axis=(1, 2))
    if not area.any():
        return np.zeros(len(area), dtype=bool)
    return area >= max(1.0, SMALLEST_SHARE * float(np.median(area[area > 0])))
