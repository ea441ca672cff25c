"""The slices that may be queried, of all cases together, as a choice sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.queries.pool import CHANCES, CaseScores


@dataclass(frozen=True)
class Candidates:
    """All slices that may be queried, flat, in an order that does not depend on how the cases were given.

    Args:
        cases: names, sorted.
        case: (N,) int, index into ``cases``.
        slice: (N,) int.
        position: (N,) float64, mm along the slice axis of its case.
        score: (N,) float64.
        skipped: (N,) bool.
        tie: (N,) float64 in [0, 1), seeded; decides between equal scores.
        draw: (N,) float64 in [0, 1), seeded and independent of ``tie``; random queries come in its ascending order.
        chance: (`CHANCES`, N) float64 in [0, 1), seeded and independent of both; what a strategy draws for itself.
        noise: (`CHANCES`, N) float64 in [0, 1), the same, but drawn again after further answers.
        features: (N, d) float64 or None.
        gradients: (N, g) float64 or None.
        labelled: (A, d) float64, features of the answered slices; None without features.
        n_answered: number of answered slices over all cases.
        reserved: (N,) bool, slices that only a random draw may choose, never a strategy.
        others: (N,) float64 each, scores by the further measures of the choice.
        seed: 0 or more, of what is drawn again at every turn.
        batch: how many queries are chosen together.
    """

    cases: tuple[str, ...]
    case: np.ndarray
    slice: np.ndarray
    position: np.ndarray
    score: np.ndarray
    skipped: np.ndarray
    tie: np.ndarray
    draw: np.ndarray
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
    batches (Kirsch et al., arXiv 2106.12059) draw theirs again in every round: a slice that chance held back once is
    not held back for the whole study. Slices of the cases in ``reserved`` are marked as such. Raises ValueError
    for two cases of one name or vectors of unequal length.
    """
    ordered = sorted(cases, key=lambda scores: scores.case)
    names = tuple(scores.case for scores in ordered)
    if len(set(names)) != len(names):
        raise ValueError("two cases have the same name; a slice is known by its case's name and its number")
    open_slices = [np.flatnonzero(s.eligible & ~_flags(s.answered, s.n_slices)) for s in ordered]
    pairs = list(zip(ordered, open_slices, strict=True))
    n_answered = sum(len(s.answered) for s in ordered)
    draws = _joined_chances(pairs, 2 + CHANCES, [seed])
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
        tie=draws[0],
        draw=draws[1],
        chance=draws[2:],
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
