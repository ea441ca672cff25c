"""Retrospective reading of one pair: an order asks slice after slice, the truth answers, the delivered label is judged.

All on arrays; no study is made. A run ends when the delivered Dice was 0.97 or more after two answers in a row, when
every slice is read, or after `MOST` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from finish_pairs import FinishPair

from LMIALLib.adaptation.answers import SliceAnswer, gathered, mask_answer
from LMIALLib.adaptation.estimate import Estimate, estimate
from LMIALLib.adaptation.features import Features, features_of
from LMIALLib.adaptation.found import Found, judged
from LMIALLib.adaptation.head import AdaptedMaps, HeadSettings, adapted, fit
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.order import FINISH_STRATEGIES, finish_scores
from LMIALLib.laboratory import readers, subjects
from LMIALLib.laboratory.readers import SECONDS_A_CASE, correcting_seconds
from LMIALLib.laboratory.subjects import stacked_pair
from LMIALLib.queries.pool import CaseMaps, eligible_slices
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import STRATEGIES

MOST = 40
ENOUGH = 0.97
OLD_DEFAULT = "difference-entropy-normalised"
ORDERS = ("default", "old-default", "expected-error", "entropy", "predicted-area", "equidistant", "random", "oracle")


@dataclass(frozen=True)
class Planes:
    """Voxels of each slice, int (slices,): counted once a map, so that many runs on the same map cost little.

    Args:
        suggested: of the suggestion.
        changed: of the truth.
        both: of both.
    """

    suggested: np.ndarray
    changed: np.ndarray
    both: np.ndarray

    @classmethod
    def of(cls, maps: AdaptedMaps, truth: np.ndarray) -> Planes:
        """Count; ``truth`` is bool (slices, rows, columns)."""
        suggested = maps.probability >= 0.5
        return cls(*(np.count_nonzero(one, axis=(1, 2)) for one in (suggested, truth, suggested & truth)))

    @property
    def wrong(self) -> np.ndarray:
        """That the suggestion has wrong."""
        return self.suggested + self.changed - 2 * self.both

    def dice(self, read: Sequence[int], *, unread_only: bool = False) -> float:
        """Dice over the whole grid of the delivered label, where some slices were read as the truth has them.

        ``unread_only``: leave out the slices that were read. 1 where both labels are empty.
        """
        both, size = self.both.copy(), self.suggested + self.changed
        both[list(read)] = 0 if unread_only else self.changed[list(read)]
        size[list(read)] = 2 * both[list(read)]
        return 2.0 * int(both.sum()) / int(size.sum()) if size.sum() else 1.0


@dataclass
class Reading:
    """A run so far.

    Args:
        maps: as they are now.
        planes: what they have right and wrong.
        answers: in their order.
        found: what each found under the map before it.
    """

    maps: AdaptedMaps
    planes: Planes
    answers: list[SliceAnswer] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)

    @property
    def read(self) -> list[int]:
        """Slices that were read, in their order."""
        return [answer.number for answer in self.answers]


@dataclass(frozen=True)
class Subject:
    """A pair with what every run on it needs, made once."""

    pair: FinishPair
    features: Features
    eligible: np.ndarray
    old_queue: tuple[int, ...]

    @classmethod
    def of(cls, pair: FinishPair) -> Subject:
        """Measure the features, and rank as the old default does."""
        inputs = pair.inputs
        maps = CaseMaps(
            case=pair.name,
            mean=inputs.mean,
            mask=inputs.region,
            difference=np.where(inputs.region, inputs.follow_up - inputs.baseline, np.float32(0)),
            slice_spacing=inputs.spacing[0],
        )
        old = STRATEGIES[OLD_DEFAULT]
        ranking = rank([score_case(maps, old)], old, seed=0, random_share=0.0, spacing_mm=12.0)
        queue = tuple(query.slice for query in ranking.queries)
        return cls(pair, features_of(inputs), eligible_slices(inputs.region), queue)


@dataclass(frozen=True)
class Step:
    """After so many answers: the delivered Dice, seconds by the reader's clock, and the estimate where one was made."""

    dice: float
    unread_dice: float
    seconds: float
    estimate: Estimate | None


NextSlice = Callable[[Subject, Reading], int]
Training = Callable[[Sequence[SliceAnswer]], HeadInputs | None]
"""What the head sees under a network trained on the answers; None where the network in use stays."""


def run(
    subject: Subject,
    following: NextSlice,
    settings: HeadSettings | None,
    *,
    most: int = MOST,
    enough: float = ENOUGH,
    estimates: bool = False,
    training: Training | None = None,
) -> Iterator[Step]:
    """Read slice after slice, up to ``most`` or until the delivered Dice was ``enough`` after two answers in a row.

    ``settings`` None: without a head; ``training``: called after each answer.
    """
    truth = subject.pair.truth
    maps = maps_after(subject, (), settings)
    reading = Reading(maps, Planes.of(maps, truth))
    seconds = SECONDS_A_CASE
    good = 0
    while True:
        dice = reading.planes.dice(reading.read)
        made = None
        if estimates:
            made = estimate(subject.features, reading.maps, gathered(reading.answers), reading.found)
        yield Step(dice, reading.planes.dice(reading.read, unread_only=True), seconds, made)
        good = good + 1 if dice >= enough else 0
        if good > 1 or len(reading.read) >= min(most, int(subject.eligible.sum())):
            return
        number = following(subject, reading)
        answer = mask_answer(number, truth[number])
        suggested = reading.maps.probability[number] >= 0.5
        seconds += correcting_seconds(suggested, answer.target, subject.pair.inputs.spacing[1:])
        reading.found.append(judged(subject.features, reading.maps, number, answer.target))
        reading.answers.append(answer)
        inputs = None if training is None else training(reading.answers)
        if inputs is not None:
            subject = replace(subject, features=features_of(inputs))
            reading.found = found_again(subject, reading.answers, settings)
        if settings is not None or inputs is not None:
            reading.maps = maps_after(subject, reading.answers, settings)
            reading.planes = Planes.of(reading.maps, truth)


def maps_after(subject: Subject, answers: Sequence[SliceAnswer], settings: HeadSettings | None) -> AdaptedMaps:
    """What is suggested after some answers: the network's map, or with settings that of a head fitted to them all."""
    learns = settings is not None and len(answers) > 0
    return adapted(subject.features, fit(subject.features, answers, settings) if learns else None)


def found_again(subject: Subject, answers: Sequence[SliceAnswer], settings: HeadSettings | None) -> list[Found]:
    """What each answer found, under the maps of a network that came later: every head is learnt anew, as in a study."""
    return [
        judged(subject.features, maps_after(subject, answers[:count], settings), answer.number, answer.target)
        for count, answer in enumerate(answers)
    ]


def read_by(pair: FinishPair, reader: str, seed: int = 0) -> np.ndarray:
    """What a reader of the laboratory marks on every slice of a pair, bool (slices, rows, columns)."""
    inputs = pair.inputs
    stacked = stacked_pair(inputs.baseline, inputs.follow_up, inputs.region, inputs.spacing)
    subject = subjects.Subject(pair.name, "pool", stacked, pair.truth.astype(np.uint8))
    return np.stack([readers.answer(subject, number, reader, seed) == 1 for number in range(len(pair.truth))])


def next_of(order: str, seed: int = 0) -> NextSlice:
    """The rule by which an order asks; ``seed`` of the random one. Raises ValueError for an unknown order."""
    if order == "random":
        return lambda subject, reading: _first(
            np.random.default_rng(seed).permutation(len(subject.eligible)), subject, reading
        )
    if order == "old-default":
        return lambda subject, reading: _first(subject.old_queue, subject, reading)
    if order == "equidistant":
        return lambda subject, reading: _first(_halving(np.flatnonzero(subject.eligible)), subject, reading)
    scores = {
        "default": lambda s, r: _finish(s, r, FINISH_STRATEGIES[0]),
        "expected-error": lambda s, r: _finish(s, r, "expected-error"),
        "entropy": lambda s, r: r.maps.entropy.sum(axis=(1, 2), dtype=np.float64),
        "predicted-area": lambda s, r: (r.maps.probability >= 0.5).sum(axis=(1, 2)).astype(float),
        "oracle": lambda s, r: r.planes.wrong.astype(float),
        **{name: lambda s, r, name=name: _finish(s, r, name) for name in FINISH_STRATEGIES},
    }
    if order not in scores:
        raise ValueError(f"order is {order!r}; expected one of {', '.join(ORDERS)}")
    return lambda subject, reading: _highest(scores[order](subject, reading), subject, reading)


def _finish(subject: Subject, reading: Reading, strategy: str) -> np.ndarray:
    return finish_scores(subject.features, reading.maps, reading.found, read=reading.read, strategy=strategy).score


def _highest(score: np.ndarray, subject: Subject, reading: Reading) -> int:
    free = subject.eligible.copy()
    free[reading.read] = False
    left = np.flatnonzero(free)
    return int(left[np.argmax(score[left])])


def _first(queue: Sequence[int] | np.ndarray, subject: Subject, reading: Reading) -> int:
    return next(int(k) for k in queue if subject.eligible[k] and k not in reading.read)


def _halving(numbers: np.ndarray) -> list[int]:
    """Middle first, then the middles of both halves, and so on: equidistant after any number of slices, about."""
    found: list[int] = []
    parts = [(0, len(numbers))]
    while parts:
        low, high = parts.pop(0)
        if low < high:
            middle = (low + high) // 2
            found.append(int(numbers[middle]))
            parts += [(low, middle), (middle + 1, high)]
    return found
