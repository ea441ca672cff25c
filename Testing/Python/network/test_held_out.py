"""Judging on slices that were not learned from: disjoint halves that cover everything, counts that pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LMIALLib.network.finetuning_batches import Example
from LMIALLib.network.held_out import HeldOut, agreed_shift, folds


def example(marked: int) -> Example:
    shape = (32, 32)
    target = np.zeros(shape, dtype=np.uint8)
    target.flat[:marked] = 1
    image = np.zeros((3, *shape), dtype=np.float32)
    return Example(image, image, np.ones((3, *shape), dtype=bool), target, (1.0, 1.0), 3.0)


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_halves_are_disjoint_cover_all_and_share_what_changed(count):
    examples = [example(10 * (n % 3)) for n in range(count)]
    found = folds(examples)
    assert len(found) == 2
    for learned, held in found:
        assert not {id(one) for one in learned} & {id(one) for one in held}
        assert len(learned) + len(held) == count
    assert {id(one) for _, held in found for one in held} == {id(one) for one in examples}
    changed = [sum((one.target == 1).any() for one in held) for _, held in found]
    assert abs(changed[0] - changed[1]) <= 1


def test_two_slices_are_too_few():
    assert folds([example(5), example(0)]) == []


def test_counts_are_pooled_and_ignored_pixels_do_not_count(network, monkeypatch):
    import LMIALLib.network.held_out as room

    called = iter([np.eye(32), np.zeros((32, 32))])  # the old model's, the new one's
    monkeypatch.setattr(room, "slice_probability", lambda network, example: next(called))
    one = example(0)
    one.target[0, 0], one.target[1, 1], one.target[2, 2] = 1, 1, 255
    found = HeldOut()
    found.add(network, network, [one])
    before, after = found.dice()
    assert before == pytest.approx(2 * 2 / (2 + 31))
    assert after == 0.0


def test_nothing_marked_and_nothing_called_compares_nothing():
    assert HeldOut().dice() is None


def pixels(threshold: float, noise: float = 0.5, seed: int = 0, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and what a reader marks who draws the line at a threshold, give or take."""
    random = np.random.default_rng(seed)
    logits = random.normal(-3.0, 2.5, count)
    return logits, logits + random.normal(0.0, noise, count) > threshold


@pytest.mark.parametrize("threshold", [-1.5, 1.5])
def test_shift_moves_the_line_to_where_the_reader_draws_it(threshold):
    shift = agreed_shift(*pixels(threshold))
    assert -threshold * shift > 0
    assert 0.5 < abs(shift) < 1.6


def test_little_evidence_shifts_little():
    few, many = (abs(agreed_shift(*pixels(1.5, count=count))) for count in (60, 4000))
    assert few < 0.5 * many


def test_nothing_marked_or_estimates_that_contradict_each_other_shift_nothing():
    logits, marked = pixels(0.0)
    assert agreed_shift(logits, np.zeros_like(marked)) == 0.0
    # too sure of everything: cross-entropy asks for less change, Dice for more
    logits = np.concatenate((np.full(300, 4.0), np.full(300, -0.5), np.full(4000, -3.0)))
    marked = np.concatenate((np.ones(200), np.zeros(100), np.ones(140), np.zeros(160), np.zeros(4000))).astype(bool)
    assert agreed_shift(logits, marked) == 0.0


def halves(monkeypatch, first: float, second: float) -> HeldOut:
    """Two slices that two readers marked, each with a line of their own."""
    import LMIALLib.network.held_out as room

    found = HeldOut()
    for seed, threshold in enumerate((first, second)):
        logits, marked = pixels(threshold, seed=seed, count=1024)
        probability = (1 / (1 + np.exp(-logits))).reshape(32, 32)
        monkeypatch.setattr(room, "slice_probability", lambda network, example, answer=probability: answer)
        one = example(0)
        one.target[...] = marked.reshape(32, 32)
        found.add(None, None, [one])
    return found


def test_halves_that_agree_shift_and_are_judged_shifted(monkeypatch):
    found = halves(monkeypatch, 1.5, 1.5)
    before, after = found.dice()
    assert found.shift() < -0.5
    assert after > before + 0.05


def test_halves_that_disagree_shift_nothing(monkeypatch):
    found = halves(monkeypatch, 1.5, -1.5)
    before, after = found.dice()
    assert found.shift() == 0.0
    assert after == before


def test_a_half_without_change_cannot_agree_to_a_shift(monkeypatch):
    import LMIALLib.network.held_out as room

    found = halves(monkeypatch, 1.5, 1.5)
    nothing = replace(found.halves[1], marked=np.zeros_like(found.halves[1].marked))
    found.halves[1] = nothing
    assert isinstance(nothing, room._Half)
    assert found.shift() == 0.0


def test_nothing_held_out_shifts_nothing():
    assert HeldOut().shift() == 0.0
