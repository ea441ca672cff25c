"""When a reader may stop: judged on the randomly drawn queries only, each scored before the network learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.study.answer import SliceTest
from LMIALLib.study.store import Study

TOO_FEW = 8
"""With fewer random slices nothing is stated of the model's quality."""

LITTLE = 0.02
"""Gain in Dice below which more labels are called of little use."""


@dataclass(frozen=True)
class StopAdvice:
    """``stop`` is None while there are too few slices to judge; Dice is pooled over voxels, None if undefined."""

    stop: bool | None
    sentence: str
    earlier: float | None = None
    later: float | None = None
    slices: int = 0


def pooled_dice(tests: Sequence[SliceTest]) -> float | None:
    """Dice = 2 sum(overlap) / sum(predicted + marked) over slices; None when both are empty."""
    voxels = sum(test.predicted + test.marked for test in tests)
    return None if voxels == 0 else 2.0 * sum(test.overlap for test in tests) / voxels


def advice_for(study: Study) -> StopAdvice:
    """`stop_advice` on the first answer to each randomly drawn slice; later ones may follow training on it."""
    first: dict[tuple[str, int], SliceTest] = {}
    for one in study.answers.slice_tests():
        if one.test is not None and one.drawn == "random":
            first.setdefault((one.case, one.slice), one.test)
    return stop_advice(list(first.values()))


def stop_advice(tests: Sequence[SliceTest], *, seed: int = 0) -> StopAdvice:
    """Compare the later half of the random slices with the earlier half.

    Stopping is advised when the upper end of a 90 % bootstrap interval of the gain in pooled Dice (1,000 resamples of
    slices within each half) is below 0.02; with voxels of change in too few slices nothing is advised.
    """
    count = len(tests)
    if count < TOO_FEW:
        return StopAdvice(None, f"Too few to judge: {count} of {TOO_FEW} randomly drawn slices answered.", slices=count)
    halves = tests[: count // 2], tests[count // 2 :]
    earlier, later = (pooled_dice(half) for half in halves)
    if earlier is None or later is None or min(sum(t.marked > 0 for t in half) for half in halves) < 2:
        sentence = f"Too few to judge: hardly any of the {count} randomly drawn slices shows change."
        return StopAdvice(None, sentence, earlier, later, count)
    random = np.random.default_rng(seed)
    gains = []
    for _ in range(1000):
        drawn = [pooled_dice([half[i] for i in random.integers(0, len(half), len(half))]) for half in halves]
        if drawn[0] is not None and drawn[1] is not None:
            gains.append(drawn[1] - drawn[0])
    stop = bool(np.quantile(gains, 0.95) < LITTLE) if gains else False
    figures = (
        f"Dice {earlier:.2f} on the first {len(halves[0])} random slices, {later:.2f} on the last {len(halves[1])}"
    )
    sentence = f"{figures}: you may stop." if stop else f"{figures}: further answers may still help."
    return StopAdvice(stop, sentence, earlier, later, count)
