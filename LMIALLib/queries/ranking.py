"""The ranking: one queue over all cases, best first, with the reason for each query.

Queries come in batches. At the start of each batch, first the random queries that fall into it are drawn, uniformly
from all slices that are then unanswered and eligible; only then does the strategy fill the rest of the batch from what
is left. In this order the random ones are a fair sample of the pool and may feed an unbiased learning curve; drawn from
what a strategy left over they would be the slices that it finds dull. Drawing batch by batch, rather than for the
whole queue at once, keeps a promising slice from waiting at the end of the queue for a random turn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.queries.aggregations import LARGEST_DIFFERENCE, TOP_PIXELS
from LMIALLib.queries.candidates import Candidates, gather
from LMIALLib.queries.choosers import Chooser, RandomOrder
from LMIALLib.queries.distances import nearest_squared
from LMIALLib.queries.pool import SMALLEST_SHARE, CaseScores
from LMIALLib.queries.query import Drawn, Query, Ranking
from LMIALLib.queries.reasons import reason
from LMIALLib.queries.scoring import score_case, uncertainty_map
from LMIALLib.queries.strategies import Strategy

__all__ = ["Query", "Ranking", "rank", "score_case", "uncertainty_map"]


USUAL_BUDGET = 0.2
"""Share of a study's slices that counts as its budget where none is given."""


def rank(  # half of it documents the arguments
    cases: Sequence[CaseScores],
    strategy: Strategy,
    *,
    seed: int,
    random_share: float = 1 / 6,
    spacing_mm: float = 12.0,
    batch: int = 6,
    count: int | None = None,
    random_only: Collection[str] = (),
    progress: float | None = None,
) -> Ranking:
    """Order all unanswered, eligible slices of all cases; the order in which cases are given does not matter.

    Args:
        cases: scored by the same strategy.
        strategy: whose choice makes the order.
        seed: 0 or more; decides ties and random draws, stable from one ranking of a study to the next.
        random_share: share of queries that are drawn at random. Which places are theirs is counted from the first
            answer of the study, not from this ranking's first query, so that frequent rankings lose none.
        spacing_mm: queries of a strategy in one batch and case are at least so far apart, unless nothing else is left.
        batch: queries in a batch.
        count: how many queries to give; None for all. Fewer slices than that give a shorter queue. A shorter count
            gives the beginning of a longer one.
        random_only: cases set aside for validation: their slices are chosen at random only, never by a strategy.
        progress: place in the budget, for noise that shrinks over it: 0 in its first round, 1 in its last. By default
            answered / (budget - batch), at most 1, where the budget is `USUAL_BUDGET` of all slices that may be or were
            asked for.

    Raises:
        WrongUse: for settings outside their range, or vectors that the choice needs and a case lacks.
        ValueError: for two cases of one name.
    """
    _check_settings(seed, random_share, spacing_mm, batch, count, progress)
    plain = gather(cases, seed, batch=batch, reserved=random_only)
    if progress is None:
        before_last = USUAL_BUDGET * (len(plain) + plain.n_answered) - batch
        progress = min(1.0, plain.n_answered / max(before_last, 1.0))
    candidates = _perturbed(plain, strategy, progress)
    chooser = strategy.choice.begin(candidates, spacing_mm)
    wanted = len(candidates) if count is None else min(count, len(candidates))
    picks = _picks(candidates, chooser, strategy.choice.uniform, _Turns.seeded(seed, random_share), batch, wanted)
    by_name = {scores.case: scores for scores in sorted(cases, key=lambda scores: scores.case)}
    alike = len(plain) > 1 and bool(np.all(plain.score == plain.score[0]))
    describe = _Describer(candidates, by_name, strategy, chooser, alike)
    settings = {
        **strategy.to_dict(),
        "random_share": random_share,
        "spacing_mm": spacing_mm,
        "batch": batch,
        "count": count,
        "by_lot_only": sorted(random_only),  # the name under which rankings have always stored it
        "progress": progress,
        "largest_difference": LARGEST_DIFFERENCE,
        "top_pixels": TOP_PIXELS,
        "smallest_share": SMALLEST_SHARE,
        "pool": len(candidates),
        "scores_alike": alike,
    }
    return Ranking(
        strategy=strategy.name,
        seed=seed,
        queries=tuple(describe(place, index, drawn) for place, (index, drawn) in enumerate(picks, start=1)),
        scores=_scores(by_name, strategy, candidates),
        settings=settings,
    )


def _perturbed(candidates: Candidates, strategy: Strategy, progress: float) -> Candidates:
    """The pool with the strategy's noise on its scores."""
    if strategy.noise is None:
        return candidates
    noise, chance = strategy.noise, candidates.noise
    others = (noise(score, chance[k], progress) for k, score in enumerate(candidates.others, start=1))
    return replace(candidates, score=noise(candidates.score, chance[0], progress), others=tuple(others))


def _scores(by_name: Mapping[str, CaseScores], strategy: Strategy, candidates: Candidates) -> dict[str, np.ndarray]:
    """What the choice went by at the start, for every slice of each case, float64 (n,)."""
    if strategy.choice.distances is None or candidates.features is None:
        return {name: np.array(scores.score, dtype=np.float64) for name, scores in by_name.items()}
    measure = strategy.choice.distances(candidates)
    return {name: measure(np.asarray(s.features, dtype=np.float64)) for name, s in by_name.items()}


def _check_settings(
    seed: int, random_share: float, spacing_mm: float, batch: int, count: int | None, progress: float | None
) -> None:
    """Raise WrongUse naming the setting that is outside its range."""
    for name, value, fits, expected in (
        ("seed", seed, seed >= 0, "0 or more"),
        ("random_share", random_share, 0.0 <= random_share <= 1.0, "a share from 0 to 1"),
        ("spacing_mm", spacing_mm, 0.0 <= spacing_mm < np.inf, "millimetres, 0 or more"),
        ("batch", batch, batch >= 1, "1 or more"),
        ("count", count, count is None or count >= 0, "0 or more"),
        ("progress", progress, progress is None or 0.0 <= progress <= 1.0, "a share from 0 to 1"),
    ):
        if not fits:
            raise WrongUse(f"{name} is {value}; expected {expected}.")


@dataclass(frozen=True)
class _Turns:
    """Which queries of a study are random: spread evenly at the given share, from a seeded start."""

    start: float
    share: float

    @classmethod
    def seeded(cls, seed: int, share: float) -> _Turns:
        """The turns that belong to a seed."""
        return cls(float(np.random.default_rng([seed, 6]).random()), share)

    def random(self, number: int) -> bool:
        """Whether the query with this number, counted from the study's first, is a random one."""
        return int((number + 1) * self.share + self.start) > int(number * self.share + self.start)


def _picks(
    candidates: Candidates, chooser: Chooser, uniform: bool, turns: _Turns, batch: int, wanted: int
) -> list[tuple[int, Drawn]]:
    """The first ``wanted`` candidates in their order, each with how it was drawn, batch by batch."""
    draws = RandomOrder(candidates)
    picks: list[tuple[int, Drawn]] = []
    while len(picks) < wanted:
        numbers = range(len(picks), min(len(picks) + batch, len(candidates)))
        drawn: dict[int, int] = {}
        for number in numbers:
            index = draws.following(()) if not uniform and turns.random(candidates.n_answered + number) else None
            # A skipped slice is no fair draw: it comes back only when nothing else is left.
            if index is not None and not candidates.skipped[index]:
                drawn[number] = index
                draws.take(index)
                chooser.take(index)
        own: list[int] = []
        for number in numbers:
            if number in drawn:
                picks.append((drawn[number], "random"))
                continue
            index = chooser.following(own)
            if index is None:  # what is left may only be chosen at random
                return picks
            own.append(index)
            chooser.take(index)
            draws.take(index)
            picks.append((index, "random" if uniform and not candidates.skipped[index] else "strategy"))
    return picks[:wanted]


class _Describer:
    """Makes the `Query` of a pick: its terms, centre and reason."""

    def __init__(
        self,
        candidates: Candidates,
        by_name: Mapping[str, CaseScores],
        strategy: Strategy,
        chooser: Chooser,
        alike: bool,
    ) -> None:
        self._candidates, self._strategy, self._chooser, self._alike = candidates, strategy, chooser, alike
        self._cases = [by_name[name] for name in candidates.cases]
        self._distance: np.ndarray | None = None
        self._typical = 0.0
        if candidates.features is not None and candidates.labelled is not None and len(candidates.labelled):
            if strategy.choice.distances is not None:
                self._distance = strategy.choice.distances(candidates)(candidates.features)
            else:
                self._distance = np.sqrt(nearest_squared(candidates.features, candidates.labelled))
            self._typical = float(np.median(self._distance)) if len(candidates) else 0.0

    def __call__(self, place: int, index: int, drawn: Drawn) -> Query:
        pool = self._candidates
        case, number = self._cases[int(pool.case[index])], int(pool.slice[index])
        terms = {name: float(values[number]) for name, values in case.terms.items()}
        if self._distance is not None:
            terms |= {"distance": float(self._distance[index]), "typical_distance": self._typical}
        score = self._chooser.score(index)
        if self._strategy.choice.distances is not None:
            terms |= {"score": score, "distance": score}
        if self._strategy.noise is not None:
            terms["perturbed"] = score
        terms |= self._chooser.terms(index)
        return Query(
            rank=place,
            case=case.case,
            slice=number,
            score=score,
            drawn=drawn,
            terms=terms,
            reason=reason(terms, self._strategy, drawn, alike=self._alike, skipped=bool(pool.skipped[index])),
            centre=(int(case.peak[number, 0]), int(case.peak[number, 1])),
        )
