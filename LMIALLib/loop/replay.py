"""Compute a stored ranking again and say how far both agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from LMIALLib.json_data import Limits, Natural, shaped
from LMIALLib.loop.session import Session
from LMIALLib.metrics.ranks import spearman
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.reading_time import ReadingTime
from LMIALLib.study.rankings import StoredRanking
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job
from LMIALLib.worker.requests import Rank, RankCase, Ranked

COMPARED = (
    "device", "dtype", "threads", "batch", "passes", "cpu", "versions", "model_digest", "committee_digests", "pairs",
    "heads", "made_otherwise",
)  # fmt: skip
"""Conditions that a bit-for-bit promise rests on."""


@dataclass(frozen=True)
class _Pair:
    number: Natural


_Word = Annotated[str, Limits(pattern="[A-Za-z0-9][A-Za-z0-9._:-]{0,59}")]
_Count = Annotated[int, Limits(least=1, most=10_000)]


@dataclass(frozen=True)
class _ReadingTime:
    base: Annotated[float, Limits(least=0, most=1e6)]
    per_mm: Annotated[float, Limits(least=0, most=1e6)]


@dataclass(frozen=True)
class _Conditions:
    """What a ranking is made again by."""

    pairs: dict[str, _Pair]
    model: _Word
    strategy: _Word
    seed: Natural
    threads: _Count
    device: _Word
    dtype: _Word
    batch: _Count
    passes: Annotated[int, Limits(least=0, most=10_000)] | None = None
    committee: tuple[_Word, ...] | None = None
    reading_time: _ReadingTime | None = None
    reader: str = ""
    lesions_upto: Natural = 0


@dataclass(frozen=True)
class _Settings:
    """What shaped its queue."""

    random_share: Annotated[float, Limits(least=0, most=1)]
    spacing_mm: Annotated[float, Limits(least=0, most=1e6)]
    batch: _Count
    count: Natural | None = None


@dataclass(frozen=True)
class Replay:
    """How a ranking computed again compares with the stored one.

    Args:
        number: of the stored ranking.
        identical: every score of every slice has the same bits, and the queue is the same.
        differing: names of the conditions that differ from the stored ones.
        spearman: rank correlation of all slice scores, NaN when they do not vary.
        largest: largest absolute difference of a score.
        same_first: share of the first batch's queries that both have.
        error: why it could not be computed, or an empty string.
    """

    number: int
    identical: bool
    differing: tuple[str, ...] = ()
    spearman: float = float("nan")
    largest: float = float("nan")
    same_first: float = float("nan")
    error: str = ""

    @property
    def sentence(self) -> str:
        """What a person wants to know."""
        if self.error:
            return f"ranking {self.number}: not replayed: {self.error}"
        if self.identical:
            return f"ranking {self.number}: the same, bit for bit"
        why = f"conditions differ ({', '.join(self.differing)})" if self.differing else "under the same conditions"
        return (
            f"ranking {self.number}: differs, {why}: Spearman {self.spearman:.4f}, largest difference of a score "
            f"{self.largest:.3g}, {100 * self.same_first:.0f} % of the first batch the same"
        )


def replay(session: Session, stored: StoredRanking, *, watch: Callable[[Job[Any]], None] | None = None) -> Replay:
    """Rank again as it was then: same pairs, model, pool of slices, strategy, seed and threads."""
    if stored.is_core_set:
        return Replay(stored.number, False, error="it is a core-set; choosing a core-set with its seed gives it again")
    conditions = shaped(stored.conditions, _Conditions, f"ranking {stored.number}: conditions")
    settings = stored.whole.settings
    gone = sorted(set(conditions.pairs) - {case.name for case in session.study.cases.all()})
    if gone:
        return Replay(stored.number, False, error=f"the case {', '.join(gone)} is no longer in the study")
    queue = shaped(settings, _Settings, f"ranking {stored.number}: settings")
    timed = conditions.reading_time
    request = Rank(
        cases=tuple(pool_at(session.study, stored)),
        model=conditions.model,
        strategy=conditions.strategy,
        seed=conditions.seed,
        annotations_upto=stored.annotations_upto,
        lesions_upto=conditions.lesions_upto,
        reader=conditions.reader,
        count=queue.count,
        random_share=queue.random_share,
        spacing_mm=queue.spacing_mm,
        batch=queue.batch,
        passes=conditions.passes or None,
        device=conditions.device,
        dtype=conditions.dtype,
        threads=conditions.threads,
        slices_at_once=conditions.batch,
        write_maps=False,
        committee=conditions.committee or (),
        reading_time=None if timed is None else ReadingTime(timed.base, timed.per_mm),
    )
    worker = session.learning.worker
    result = worker.wait(worker.submit(request), watch=watch)
    return compare(stored.number, stored.ranking, stored.conditions, result)


def pool_at(study: Study, stored: StoredRanking) -> list[RankCase]:
    """The cases of a stored ranking and what had been answered and skipped when it was made."""
    return [
        RankCase(
            name=case,
            pair=pair["number"],
            answered=tuple(sorted(study.answers.current(case, upto=stored.annotations_upto))),
            skipped=tuple(sorted(study.answers.skipped(case, upto=stored.annotations_upto))),
            validation=study.cases.get(case).split == "validation",
        )
        for case, pair in stored.conditions["pairs"].items()
    ]


def compare(number: int, ranking: dict[str, Any], conditions: dict[str, Any], result: Ranked) -> Replay:
    """Hold a ranking computed again against the stored one."""
    then, now = Ranking.from_dict(ranking), Ranking.from_dict(result.ranking)
    differing = tuple(key for key in COMPARED if (conditions.get(key) or None) != (result.conditions.get(key) or None))
    if then.scores.keys() != now.scores.keys():
        return Replay(number, False, differing, error="the cases are no longer the same")
    a = np.concatenate([then.scores[case] for case in sorted(then.scores)])
    b = np.concatenate([now.scores[case] for case in sorted(now.scores)])
    if a.shape != b.shape:
        return Replay(number, False, differing, error="the number of slices is no longer the same")
    order_then = [(query.case, query.slice, query.drawn) for query in then.queries]
    order_now = [(query.case, query.slice, query.drawn) for query in now.queries]
    identical = a.tobytes() == b.tobytes() and order_then == order_now
    batch = int(then.settings.get("batch", 6))
    same = len(set(order_then[:batch]) & set(order_now[:batch])) / max(len(order_then[:batch]), 1)
    both = np.isfinite(a) & np.isfinite(b)
    return Replay(number, identical, differing, spearman(a[both], b[both]), _largest(a[both], b[both]), same)


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max()) if a.size else float("nan")
