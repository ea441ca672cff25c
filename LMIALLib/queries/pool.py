"""What the ranking sees of a case: maps before scoring, numbers a slice after it, and the flat pool of all candidates.

Slice numbers are 0-based on the stored grid; stacks are (slices, rows, columns).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import LMIALError

SMALLEST_SHARE = 0.1
"""A slice whose brain region is smaller than this share of the case's median is not asked for."""

CHANCES = 3
"""Uniform numbers that each slice has for the strategy's own draws, and as many for noise: one for the score, the
others for further measures."""

OF_PIXELS = ("mean", "expected_entropy", "variance", "vote_entropy", "entropy", "mutual_information")
"""Maps of a case that a model made."""


@dataclass(frozen=True)
class CaseMaps:
    """What the network and the pair say of every pixel of one case. Held for one case at a time.

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
        gradients: (n, g) float32, gradient embedding of each slice at its pseudo-label; None unless asked for.
        learned: (n,) float32, score of a learned scorer, higher is asked earlier; None unless asked for.
        seconds: (n,) float32 above 0, predicted reading time; None unless asked for.
        slice_spacing: mm between neighbouring slices.
        answered: slices that have an answer; never asked again.
        skipped: slices that were skipped; asked after all others.

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
        score: (n,) float64, higher is asked earlier.
        terms: (n,) float64 each, the numbers behind the score, see `ranking.score_case`.
        peak: (n, 2) int, row and column of the highest value of the lightly smoothed map.
        features: (n, d) float32 or None.
        slice_spacing: mm between neighbouring slices.
        answered: slices that are never asked again.
        skipped: slices that are asked after all others.
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
    """Which slices may be asked for, bool (n,): a brain region of at least `SMALLEST_SHARE` of the case's median.

    Args:
        mask: (n, r, c) bool; the median is taken over slices that have any.
    """
    area = mask.sum(axis=(1, 2))
    if not area.any():
        return np.zeros(len(area), dtype=bool)
    return area >= max(1.0, SMALLEST_SHARE * float(np.median(area[area > 0])))


@dataclass(frozen=True)
class Candidates:
    """All slices that may be asked for, flat, in an order that does not depend on how the cases were given.

    Args:
        cases: names, sorted.
        case: (N,) int, index into ``cases``.
        slice: (N,) int.
        position: (N,) float64, mm along the slice axis of its case.
        score: (N,) float64.
        skipped: (N,) bool.
        tie: (N,) float64 in [0, 1), seeded; decides between equal scores.
        lot: (N,) float64 in [0, 1), seeded and independent of ``tie``; the order of random draws.
        chance: (`CHANCES`, N) float64 in [0, 1), seeded and independent of both; what a strategy draws for itself.
        noise: (`CHANCES`, N) float64 in [0, 1), the same, but drawn anew once more was answered.
        features: (N, d) float64 or None.
        gradients: (N, g) float64 or None.
        labelled: (A, d) float64, features of the answered slices; None without features.
        n_answered: number of answered slices over all cases.
        reserved: (N,) bool, slices that are asked for by lot and never chosen by a strategy.
        others: (N,) float64 each, scores by the further measures of the choice.
        seed: 0 or more, of what is drawn anew at every turn.
        batch: how many queries are chosen together.
    """

    cases: tuple[str, ...]
    case: np.ndarray
    slice: np.ndarray
    position: np.ndarray
    score: np.ndarray
    skipped: np.ndarray
    tie: np.ndarray
    lot: np.ndarray
    chance: np.ndarray
    noise: np.ndarray
    features: np.ndarray | None
    gradients: np.ndarray | None
    labelled: np.ndarray | None
    n_answered: int
    reserved: np.ndarray
    others: tuple[np.ndarray, ...]
    seed: int
    batch: int

    def __len__(self) -> int:
        return int(self.slice.size)


def gather(cases: Sequence[CaseScores], seed: int, *, batch: int = 6, reserved: Collection[str] = ()) -> Candidates:
    """The flat pool of unanswered, eligible slices of several cases.

    A slice's chance depends on the seed, its case's name and its number only: it stays the same when other cases come
    or go, and from one ranking to the next. Its noise depends on the number of answers as well, because stochastic
    batches (Kirsch et al., arXiv 2106.12059) draw theirs anew in every round: a slice that chance held back once is not
    held back for the whole study. Slices of the cases in ``reserved`` are marked as such. Raises ValueError
    for two cases of one name or vectors of unequal length.
    """
    ordered = sorted(cases, key=lambda scores: scores.case)
    names = tuple(scores.case for scores in ordered)
    if len(set(names)) != len(names):
        raise ValueError("two cases have the same name; a slice is known by its case's name and its number")
    open_slices = [np.flatnonzero(s.eligible & ~_flags(s.answered, s.n_slices)) for s in ordered]
    pairs = list(zip(ordered, open_slices, strict=True))
    n_answered = sum(len(s.answered) for s in ordered)
    lots = _joined_chances(pairs, 2 + CHANCES, [seed])
    noise = _joined_chances(pairs, CHANCES, [seed, 1 + n_answered])

    def joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
        return np.concatenate([np.empty(0, dtype=kind), *parts]).astype(kind)

    features = [s.features for s in ordered]
    return Candidates(
        cases=names,
        case=joined([np.full(k.size, index) for index, k in enumerate(open_slices)], int),
        slice=joined(open_slices, int),
        position=joined([k * s.slice_spacing for s, k in pairs], float),
        score=joined([s.score[k] for s, k in pairs], float),
        skipped=joined([_flags(s.skipped, s.n_slices)[k] for s, k in pairs], bool),
        tie=lots[0],
        lot=lots[1],
        chance=lots[2:],
        noise=noise,
        features=_stacked("features", features, open_slices),
        gradients=_stacked("gradients", [s.gradients for s in ordered], open_slices),
        labelled=_stacked("features", features, [np.array(sorted(s.answered), dtype=int) for s in ordered]),
        n_answered=n_answered,
        reserved=joined([np.full(k.size, s.case in set(reserved)) for s, k in pairs], bool),
        others=tuple(
            joined([s.others[number][k] for s, k in pairs], float)
            for number in range(min((len(s.others) for s in ordered), default=0))
        ),
        seed=seed,
        batch=batch,
    )


def _stacked(name: str, vectors: Sequence[np.ndarray | None], rows: Sequence[np.ndarray]) -> np.ndarray | None:
    """The chosen rows of all cases under each other, float64; None where a case has none."""
    given = [array for array in vectors if array is not None]
    widths = {array.shape[1] for array in given}
    if len(widths) > 1:
        raise ValueError(f"{name} of the cases have different lengths {sorted(widths)}; expected one")
    if len(given) < len(vectors):
        return None
    parts = [array[k] for array, k in zip(given, rows, strict=True)]
    return np.concatenate([np.empty((0, max(widths, default=0))), *parts])


def _flags(numbers: frozenset[int], n: int) -> np.ndarray:
    """Bool (n,), True at the given slice numbers."""
    flags = np.zeros(n, dtype=bool)
    flags[sorted(numbers)] = True
    return flags


def _joined_chances(pairs: Sequence[tuple[CaseScores, np.ndarray]], count: int, seeds: Sequence[int]) -> np.ndarray:
    """Uniform numbers (``count``, N) of the chosen slices of all cases, by each case's name and the seeds."""
    chances = [_chances(scores.case, scores.n_slices, count, seeds)[:, k] for scores, k in pairs]
    return np.concatenate([np.empty((count, 0)), *chances], axis=1)


def _chances(case: str, n: int, count: int, seeds: Sequence[int]) -> np.ndarray:
    """Independent uniform numbers for each slice of a case, (``count``, n)."""
    name = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
    return np.random.default_rng([seeds[0], name, *seeds[1:]]).random((count, n))
