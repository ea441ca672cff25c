"""Where a model is pointed: every real difference, none where there is none, and never more than can be paid for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from teacher_models import GONE, NEW, small_pair

from LMIALLib.pipeline.teachers.prompts import (
    PromptSettings,
    background_confidence,
    excess_of_slices,
    prompts_of_slice,
    prompts_of_volume,
    standardised_difference,
)

SETTINGS = PromptSettings()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_change_gets_a_box_around_it_and_a_point_in_it_along_any_axis(axis: int) -> None:
    pair = small_pair(axis)
    difference = standardised_difference(pair, SETTINGS)
    assert difference.shape == (6, 48, 40) and not difference[~pair.stack(pair.mask)].any()
    for (number, rows, columns), sign in ((NEW, 1), (GONE, -1)):
        (prompt,) = prompts_of_slice(difference, number, pair, SETTINGS)
        top, bottom, left, right = prompt.box
        assert top <= rows.start and rows.stop <= bottom and left <= columns.start and columns.stop <= right
        assert bottom - top <= rows.stop - rows.start + 10
        assert rows.start <= prompt.point[0] < rows.stop and columns.start <= prompt.point[1] < columns.stop
        assert np.sign(difference[number][prompt.point]) == sign
    assert [len(prompts_of_slice(difference, k, pair, SETTINGS)) for k in (0, 1, 4, 5)] == [0, 0, 0, 0]
    excess = excess_of_slices(difference, SETTINGS)
    assert set(np.argsort(-excess)[:2]) == {NEW[0], GONE[0]}


def test_equal_visits_ask_nothing_and_are_surely_unchanged() -> None:
    pair = small_pair()
    difference = standardised_difference(replace(pair, follow_up=pair.baseline.copy()), SETTINGS)
    assert not difference.any() and not prompts_of_slice(difference, 2, pair, SETTINGS)
    assert (background_confidence(difference, SETTINGS) == 1).all()


def test_brighter_and_darker_parts_that_touch_are_two_objects() -> None:
    pair = small_pair()
    difference = np.zeros((6, 48, 40), np.float32)
    difference[2, 10:16, 10:16], difference[2, 10:16, 16:22] = 9.0, -7.0
    prompts = prompts_of_slice(difference, 2, pair, SETTINGS)
    assert len(prompts) == 2 and prompts[0].point[1] < 16 <= prompts[1].point[1]


def test_specks_are_not_worth_a_question_and_the_most_different_come_first() -> None:
    pair = small_pair()
    difference = np.zeros((6, 48, 40), np.float32)
    difference[2, 4, 4] = 50.0
    for place, height in enumerate((6.0, 8.0, 7.0)):
        difference[2, 10:14, 5 + 10 * place : 9 + 10 * place] = height
    few = PromptSettings(most=2)
    prompts = prompts_of_slice(difference, 2, pair, few)
    assert [prompt.point[1] // 10 for prompt in prompts] == [1, 2]
    assert len(prompts_of_slice(difference, 2, pair, SETTINGS)) == 3


def test_boxes_end_at_the_edge_of_the_slice() -> None:
    pair = small_pair()
    difference = np.zeros((6, 48, 40), np.float32)
    difference[2, :4, 36:] = 9.0
    (prompt,) = prompts_of_slice(difference, 2, pair, SETTINGS)
    assert (prompt.box[0], prompt.box[3]) == (0, 40)


def test_a_component_of_several_slices_is_asked_about_once_where_it_differs_most() -> None:
    pair = small_pair()
    difference = np.zeros((6, 48, 40), np.float32)
    difference[1, 10:14, 10:14], difference[2, 10:14, 12:20], difference[3, 10:14, 18:22] = 5.0, 9.0, 6.0
    (prompt,) = prompts_of_volume(difference, pair, SETTINGS, 40)
    assert (prompt.number, prompt.extent) == (2, (1, 4))
    assert prompt.region[2] < prompt.box[2] and prompt.region[3] > prompt.box[3]
