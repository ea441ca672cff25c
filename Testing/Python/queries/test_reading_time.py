"""Reading time: outlines by hand, a fit that finds what was planted, constants without enough answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from LMIALLib.queries.reading_time import TIMED_ANSWERS, ReadingTime, outline_mm


def test_outline_of_a_rectangle_is_its_circumference_in_millimetres() -> None:
    marked = np.zeros((3, 8, 9), bool)
    marked[1, 2:5, 0:4] = True
    marked[2] = True
    assert outline_mm(marked, (2.0, 0.5)).tolist() == [0.0, 2 * (3 * 2.0 + 4 * 0.5), 2 * (8 * 2.0 + 9 * 0.5)]


def test_a_fit_finds_what_was_planted() -> None:
    outline = np.linspace(0, 90, 12)
    found = ReadingTime.fitted(6.0 + 0.3 * outline, outline)
    assert (found.base, found.per_mm) == pytest.approx((6.0, 0.3))
    assert found.seconds(np.array([0.0, 10.0])) == pytest.approx([6.0, 9.0])


def test_fewer_answers_than_needed_mean_the_constants() -> None:
    few = TIMED_ANSWERS - 1
    assert ReadingTime.fitted([100.0] * few, [3.0] * few) == ReadingTime()
    assert ReadingTime.fitted([100.0] * TIMED_ANSWERS, [0.0] * TIMED_ANSWERS).base == pytest.approx(100.0)


def test_no_slice_takes_less_than_a_second() -> None:
    assert ReadingTime(0.0, 0.0).seconds(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


@given(st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(0, 1e4)), min_size=TIMED_ANSWERS, max_size=30))
def test_a_longer_outline_never_takes_less(answers: list[tuple[float, float]]) -> None:
    found = ReadingTime.fitted(*zip(*answers, strict=True))
    assert found.base >= 0 and found.per_mm >= 0
    seconds = found.seconds(np.array([0.0, 1.0, 500.0]))
    assert np.isfinite(seconds).all() and (np.diff(seconds) >= 0).all() and seconds.min() >= 1.0
