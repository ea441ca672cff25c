"""Judging on slices that were not learned from: disjoint halves that cover everything, counts that pool."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.network.held_out import HeldOut, folds
from LMIALLib.network.lessons import Example


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

    called = iter([np.eye(32), np.zeros((32, 32))])
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
