"""What a reader says of slices, as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.adaptation.answers import (
    SliceAnswer,
    box_answer,
    delivered_label,
    equivocal_slice,
    gathered,
    lesion_answers,
    mask_answer,
    nothing_here,
)


def test_a_mask_with_an_equivocal_spot():
    mask = np.array([[True, False], [True, False]])
    answer = mask_answer(3, mask, equivocal=np.array([[False, False], [True, False]]))
    assert answer.read
    assert answer.target.tolist() == [[1, 0], [255, 0]]


def test_a_box_speaks_for_itself_alone_and_leaves_the_slice_unread():
    answer = box_answer(0, np.ones((3, 3), bool), slice(0, 2), slice(1, 3))
    assert not answer.read
    assert answer.target.tolist() == [[255, 1, 1], [255, 1, 1], [255, 255, 255]]


def test_a_lesion_speaks_for_its_voxels_on_the_slices_that_were_shown():
    lesion = np.zeros((4, 2, 2), bool)
    lesion[1:3, 0, 0] = True
    answers = lesion_answers(lesion, np.zeros_like(lesion), shown=(3, 2))
    assert [answer.number for answer in answers] == [2]  # slice 1 was not shown, and slice 3 does not hold it
    assert answers[0].target.tolist() == [[0, 255], [255, 255]]
    assert not answers[0].read
    assert lesion_answers(lesion, lesion, shown=(1,))[0].target[0, 0] == 1


def test_a_read_slice_replaces_what_was_said_before_and_a_part_adds_to_it():
    part = box_answer(2, np.ones((2, 2), bool), slice(0, 1), slice(0, 1))
    answered = gathered([part, nothing_here(2, (2, 2)), part])
    assert answered.read == {2}
    assert answered.targets[2].tolist() == [[1, 0], [0, 0]]
    assert answered.marked == 1
    assert gathered([part, nothing_here(2, (2, 2))]).marked == 0


def test_the_order_of_answers_is_in_the_digest():
    first, second = nothing_here(0, (2, 2)), nothing_here(1, (2, 2))
    assert gathered([first, second]).digest == gathered([first, second]).digest
    assert gathered([first, second]).digest != gathered([second, first]).digest


def test_the_delivered_label_is_what_was_read_and_elsewhere_the_suggestion():
    suggested = np.ones((3, 1, 3), bool)
    answers = [
        SliceAnswer(0, np.array([[1, 0, 255]], np.uint8)),
        box_answer(1, np.zeros((1, 3), bool), slice(0, 1), slice(0, 1)),
    ]
    label, provenance = delivered_label(suggested, gathered(answers))
    assert label.tolist() == [[[True, False, False]], [[False, True, True]], [[True, True, True]]]
    assert provenance.tolist() == [[[1, 1, 2]], [[1, 0, 0]], [[0, 0, 0]]]
    label, _ = delivered_label(suggested, gathered([equivocal_slice(2, (1, 3))]))
    assert not label[2].any()


@pytest.mark.parametrize(
    "target", [np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.int64), np.zeros((2, 2, 2), np.uint8)]
)
def test_other_targets_are_refused(target):
    with pytest.raises(ValueError, match="target"):
        SliceAnswer(0, target)
