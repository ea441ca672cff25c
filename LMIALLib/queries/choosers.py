"""Choosers: what hands out candidates one at a time, and the ones that need no feature vectors.

All obey the same rules: a slice is handed out once; skipped slices come after all others; equal scores are decided by
the seeded tie of `Candidates`; a batch keeps its distance, so that neighbouring slices are not queried together, except
where slices are drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from LMIALLib.queries.candidates import Candidates

FOREGROUND_SHARE = 2 / 3
"""Share of foreground-aware random queries that are drawn among slices with signs of change (nnActive's 66 %)."""


class Chooser(Protocol):
    """Hands out candidates one by one, never those that are reserved."""

    def take(self, index: int) -> None:
        """Mark a candidate as used, whether this chooser chose it or not."""

    def following(self, batch: Sequence[int]) -> int | None:
        """The next candidate, given the batch's own so far; None when none is left."""

    def score(self, index: int) -> float:
        """What the choice went by: the candidate's score, or its distance when it was handed out."""

    def terms(self, index: int) -> dict[str, float]:
        """Further numbers that a candidate was handed out by, for its reason; empty where there are none."""


class HighestFirst:
    """Highest score first; within a batch and a case at least ``spacing`` mm apart unless nothing else is left."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        order = np.lexsort((candidates.tie, -candidates.score, candidates.skipped))
        self._order: list[int] = order.tolist()
        self._spaced = Spacing(candidates, spacing)
        self._skipped: list[bool] = candidates.skipped.tolist()
        self._scores = candidates.score
        self._taken = bytearray(candidates.reserved.astype(np.uint8).tobytes())
        self._first = 0
        self._advance()

    def take(self, index: int) -> None:
        self._taken[index] = 1
        self._advance()

    def _advance(self) -> None:
        while self._first < len(self._order) and self._taken[self._order[self._first]]:
            self._first += 1

    def following(self, batch: Sequence[int]) -> int | None:
        too_near = None
        for place in range(self._first, len(self._order)):
            index = self._order[place]
            if self._taken[index]:
                continue
            if too_near is not None and self._skipped[index] and not self._skipped[too_near]:
                break
            if self._spaced.free(index, batch):
                return index
            too_near = index if too_near is None else too_near
        return too_near

    def score(self, index: int) -> float:
        return float(self._scores[index])

    def terms(self, index: int) -> dict[str, float]:
        return {}


class RandomOrder:
    """A uniform draw without replacement, in a seeded random order; keeping a distance would make it uneven.

    Args:
        candidates: the pool; by default all of it, reserved slices too.
        spacing: not kept.
        draw: (N,), other random numbers than the pool's own.
        among: (N,) bool, the only ones that are drawn.
    """

    def __init__(
        self,
        candidates: Candidates,
        spacing: float = 0.0,
        *,
        draw: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> None:
        order = np.lexsort((candidates.draw if draw is None else draw, candidates.skipped))
        self._order: list[int] = (order if among is None else order[among[order]]).tolist()
        self._scores = candidates.score
        self._taken = bytearray(len(candidates))
        self._first = 0

    def take(self, index: int) -> None:
        self._taken[index] = 1
        while self._first < len(self._order) and self._taken[self._order[self._first]]:
            self._first += 1

    def following(self, batch: Sequence[int]) -> int | None:
        return self._order[self._first] if self._first < len(self._order) else None

    def score(self, index: int) -> float:
        return float(self._scores[index])

    def terms(self, index: int) -> dict[str, float]:
        return {}


class ForegroundRandom:
    """Foreground-aware random (nnActive, arXiv 2511.19183): of every three queries two are drawn among signs of change.

    Two are drawn at random among the slices whose score is above 0, one among all; where none of the former is left,
    all are drawn among all. Counted from the study's first answer. Its random numbers are not those of the random
    share, whose draws would otherwise be left with what the strategy did not want.
    """

    def __init__(self, candidates: Candidates, spacing: float = 0.0) -> None:
        draw, free = candidates.chance[0], ~candidates.reserved
        marked = free & (candidates.score > 0)
        self._marked = RandomOrder(candidates, draw=draw, among=marked & ~candidates.skipped)
        self._all = RandomOrder(candidates, draw=draw, among=free)
        self._number = candidates.n_answered
        self._handed: int | None = None
        self._terms: dict[int, dict[str, float]] = {}

    def take(self, index: int) -> None:
        self._marked.take(index)
        self._all.take(index)
        self._number += index == self._handed

    def following(self, batch: Sequence[int]) -> int | None:
        index = self._marked.following(batch) if self._number % 3 < 3 * FOREGROUND_SHARE else None
        among_foreground = index is not None
        if index is None:
            index = self._all.following(batch)
        if index is not None:
            self._terms[index] = {"among_foreground": float(among_foreground)}
        self._handed = index
        return index

    def score(self, index: int) -> float:
        return self._all.score(index)

    def terms(self, index: int) -> dict[str, float]:
        return self._terms.get(index, {})


class InTurns:
    """Several scores take turns: each hands out its highest, in the order of `pattern`, over and over.

    Counted from the study's first answer, so that the turns are kept in small batches as well.
    """

    pattern: tuple[int, ...] = ()
    """Whose turn it is: 0 for the strategy's own score, from 1 on for the further ones."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self._turns = [
            HighestFirst(replace(candidates, score=score), spacing) for score in (candidates.score, *candidates.others)
        ]
        self._number = candidates.n_answered
        self._handed: int | None = None
        self._turn: dict[int, int] = {}

    def take(self, index: int) -> None:
        for chooser in self._turns:
            chooser.take(index)
        self._number += index == self._handed

    def following(self, batch: Sequence[int]) -> int | None:
        turn = self.pattern[self._number % len(self.pattern)]
        index = self._turns[turn].following(batch)
        if index is not None:
            self._turn[index] = turn
        self._handed = index
        return index

    def score(self, index: int) -> float:
        return self._turns[self._turn.get(index, 0)].score(index)

    def terms(self, index: int) -> dict[str, float]:
        return {"turn": float(self._turn[index])} if index in self._turn else {}


class ClassStratified(InTurns):
    """Two thirds of the queries by the score of change, the rest by the plain score (nnActive, ClaSP).

    nnActive's ``class_pe66`` splits 66 % of a batch evenly over the classes c by A(p_c H) and takes the rest by A(H);
    the background is no class there (``entropy_balanced.py`` leaves it out), so here the one class is change.
    """

    pattern = (1, 1, 0)


class Selective(InTurns):
    """In turn by the uncertainty of pixels that may be change, and of pixels near its border (arXiv 2401.16298).

    Ma et al. sort the pool twice, by the mean over target pixels and by the mean over pixels near p = 1/2, and take the
    first of either list in turn (their code, ``query_strategies/entropy_sampling.py``).
    """

    pattern = (0, 1)


class Spacing:
    """Whether candidates keep their distance, in mm within a case."""

    def __init__(self, candidates: Candidates, spacing: float) -> None:
        self._case, self._position = candidates.case, candidates.position
        self._case_list, self._position_list = candidates.case.tolist(), candidates.position.tolist()
        # A hair less, so that 3 slices of 4 mm are 12 mm apart in floating point as well.
        self._spacing = spacing - 1e-6

    def free(self, index: int, batch: Sequence[int]) -> bool:
        """Whether a candidate is far enough from every member of the batch."""
        case, position = self._case_list[index], self._position_list[index]
        return all(
            self._case_list[other] != case or abs(self._position_list[other] - position) >= self._spacing
            for other in batch
        )

    def free_among(self, among: np.ndarray, batch: Sequence[int]) -> np.ndarray:
        """The same for many candidates, bool."""
        free = np.ones(among.size, dtype=bool)
        for other in batch:
            near = np.abs(self._position[among] - self._position[other]) < self._spacing
            free &= ~(near & (self._case[among] == self._case[other]))
        return free
