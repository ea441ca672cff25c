"""Which slices may be queried and on which a model is judged: the parts of a cohort, or the folds of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.queries.pool import eligible_slices

BLOCK = 6
"""About how many neighbouring slices make a block of a fold."""
GUARD = -1


@dataclass(frozen=True)
class Track:
    """One pool that is labelled, with a model of its own, and what that model is judged on.

    Args:
        name: "pool", "fold0" or "fold1".
        pool: case name to bool (n,), slices that may be queried; no case without one.
        test: case name to bool (n,), slices of the fixed test set; empty for the pool of a study.
    """

    name: str
    pool: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]

    @property
    def size(self) -> int:
        """Slices that may be queried."""
        return sum(int(flags.sum()) for flags in self.pool.values())

    def slices(self) -> list[tuple[str, int]]:
        """All slices that may be queried, by case name and number."""
        return [(case, int(k)) for case in sorted(self.pool) for k in np.flatnonzero(self.pool[case])]

    def drawn(self, count: int, seed: int) -> list[tuple[str, int]]:
        """The first ``count`` slices at random: a seeded permutation of all, the same for every strategy."""
        every = self.slices()
        order = np.random.default_rng([seed, 0x6C6F74]).permutation(len(every))
        return [every[k] for k in order[:count]]


def tracks_of(kind: str, subjects: Sequence[Subject], judged: str = "test") -> list[Track]:
    """One track of a cohort: training subjects are the pool, those of the part ``judged`` the test set. Three of a
    study: all slices as pool, and two folds that are each other's test set.

    Raises BadInput where there is nothing to query or to judge.
    """
    askable = {s.name: eligible_slices(s.pair.mask) for s in subjects}
    if kind == "cohort":
        pool = {s.name: askable[s.name] for s in subjects if s.part == "train" and askable[s.name].any()}
        test = {s.name: np.ones(s.pair.n_slices, dtype=bool) for s in subjects if s.part == judged}
        tracks = [Track("pool", pool, test)]
    else:
        everything = {name: flags for name, flags in askable.items() if flags.any()}
        tracks = [Track("pool", everything, {}), *_folds(everything)]
    if not tracks[0].size:
        raise BadInput("No slice of the pool shows enough of a brain to be queried.")
    return tracks


def _folds(askable: Mapping[str, np.ndarray]) -> list[Track]:
    """Two tracks: blocks of about six slices are alternately pool and test, with a guard slice between; then swapped.

    The guard slices belong to neither fold.
    """
    kinds = {name: blocks(flags) for name, flags in askable.items()}
    tracks = []
    for fold in (0, 1):
        pool = {name: (kind == fold) & askable[name] for name, kind in kinds.items()}
        test = {name: kind == 1 - fold for name, kind in kinds.items()}
        tracks.append(
            Track(f"fold{fold}", {n: f for n, f in pool.items() if f.any()}, {n: f for n, f in test.items() if f.any()})
        )
    if not all(track.size and track.test for track in tracks):
        raise BadInput("There are too few slices to judge a model on some while it learns from others.")
    return tracks


def blocks(askable: np.ndarray) -> np.ndarray:
    """Of each slice of a case 0 or 1 (its kind of block) or -1 (guard slice, or beyond the brain), int (n,).

    Blocks are even in number, so that both kinds hold about as many slices, and 4 to 9 slices long where a case has 13
    or more.

    Args:
        askable: bool (n,), slices that may be queried, at least one.
    """
    kind = np.full(len(askable), GUARD)
    low, high = (int(end) for end in np.flatnonzero(askable)[[0, -1]])
    length = high - low + 1
    count = max(2, 2 * round((length + 1) / (2 * (BLOCK + 1)))) if length >= 3 else 1
    start = low
    for index, part in enumerate(np.array_split(np.arange(length - (count - 1)), count)):
        kind[start : start + len(part)] = index % 2
        start += len(part) + 1
    return kind
