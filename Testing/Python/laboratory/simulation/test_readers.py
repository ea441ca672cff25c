"""Simulated readers: the exact one, the noisy one, and how long they take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from LMIALLib.laboratory.readers import SECONDS_A_CASE, TimeSpent, answer
from LMIALLib.laboratory.subjects import Subject, stacked_pair


def _discs(radius: int, count: int = 60) -> Subject:
    """A disc of some radius on each slice; the last slice shows none."""
    row, column = np.ogrid[:64, :64]
    disc = (row - 32) ** 2 + (column - 32) ** 2 <= radius**2
    truth = np.repeat(disc[None].astype(np.uint8), count, axis=0)
    truth[-1] = 0
    flat = np.zeros(truth.shape, np.float32)
    return Subject("discs", "pool", stacked_pair(flat, flat, np.ones(truth.shape, bool), (3.0, 1.0, 1.0)), truth)


def test_the_exact_reader_says_what_is_true(subject: Callable[..., Subject]) -> None:
    one = subject()
    assert all((answer(one, k, "exact", 5) == one.truth[k]).all() for k in range(len(one.truth)))
    with pytest.raises(ValueError, match="no reader"):
        answer(one, 0, "hasty", 0)


def test_the_noisy_reader_answers_alike_for_a_seed_and_otherwise_for_another() -> None:
    one = _discs(6)
    first, again, other = ([answer(one, k, "noisy", seed) for k in range(20)] for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_its_boundaries_lie_within_one_pixel_of_the_true_ones() -> None:
    from scipy.ndimage import binary_dilation, binary_erosion

    one, moved = _discs(9), 0
    for k in range(40):
        marked, true = answer(one, k, "noisy", 0) == 1, one.truth[k] == 1
        near = binary_dilation(true, np.ones((5, 5)))
        if not (marked & true).any():
            continue
        assert not (marked & near & ~binary_dilation(true, np.ones((3, 3)))).any()
        assert not (binary_erosion(true, np.ones((3, 3))) & ~marked).any()
        moved += int((marked != true).any())
    assert moved > 30


def test_it_misses_small_lesions_more_often_and_marks_some_that_are_none() -> None:
    def missed(radius: int) -> float:
        one = _discs(radius)
        return float(
            np.mean(
                [not (answer(one, k, "noisy", s)[one.truth[k] == 1] == 1).any() for s in range(4) for k in range(59)]
            )
        )

    assert missed(1) > missed(3) > missed(8) == 0.0
    one = _discs(1)
    false = np.mean([(answer(one, 59, "noisy", seed) == 1).any() for seed in range(600)])
    assert 0.02 < false < 0.06


def test_what_is_not_known_is_not_answered() -> None:
    one = _discs(6)
    one.truth[3, :10] = 255
    for reader in ("exact", "noisy"):
        assert (answer(one, 3, reader, 0)[:10] == 255).all()


def test_minutes_add_slices_outlines_and_case_switches() -> None:
    one = _discs(1)
    spent = TimeSpent().after([(one, one.truth[0]), (one, one.truth[59])])
    assert spent.switches == SECONDS_A_CASE and spent.slices == 2 * 8.0
    assert spent.outlines == pytest.approx(0.4 * 12)  # a plus of five pixels has a circumference of 12
    low, high = spent.bounds
    assert (spent.seconds - low, high - spent.seconds) == (15.0, 15.0)
    assert spent.after([(one, one.truth[59])]).switches == 2 * SECONDS_A_CASE
