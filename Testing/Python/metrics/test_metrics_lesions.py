"""Lesions counted by hand."""

from __future__ import annotations

import math

import numpy as np

from LMIALLib.metrics.lesions import lesion_counts


def boxes(*places: tuple[slice, slice, slice]) -> np.ndarray:
    volume = np.zeros((6, 40, 40), dtype=bool)
    for place in places:
        volume[place] = True
    return volume


BIG = (slice(1, 4), slice(2, 8), slice(2, 8))  # 108 voxels
SMALL = (slice(1, 2), slice(20, 24), slice(20, 25))  # 20 voxels
SPECK = (slice(5, 6), slice(35, 36), slice(35, 36))  # 1 voxel


def test_hits_need_a_tenth_and_sizes_decide_only_what_is_counted() -> None:
    true = boxes(BIG, SMALL, SPECK)
    tenth_of_small = (slice(1, 2), slice(20, 21), slice(20, 22))  # 2 of 20 voxels: exactly a tenth
    too_little_of_big = (slice(1, 2), slice(2, 4), slice(2, 7))  # 10 of 108 voxels: less than a tenth
    beside = (slice(0, 3), slice(30, 34), slice(2, 6))  # 48 voxels, wrong
    every, over_10, over_27 = lesion_counts(boxes(tenth_of_small, too_little_of_big, beside), true, 1.0)
    assert (every.true, every.hit, every.predicted, every.right) == (3, 1, 3, 2)
    assert (over_10.true, over_10.hit, over_10.predicted, over_10.right) == (2, 1, 1, 0)
    assert (over_27.true, over_27.hit, over_27.predicted, over_27.right) == (1, 0, 1, 0)
    assert every.sensitivity == 1 / 3 and every.precision == 2 / 3 and np.isclose(every.f1, 4 / 9)
    assert over_10.f1 == 0.0


def test_volumes_are_millimetres_not_voxels_and_the_limit_itself_is_not_over() -> None:
    true = boxes(SMALL)
    assert [c.true for c in lesion_counts(true, true, 0.5)] == [1, 0, 0]
    assert [c.true for c in lesion_counts(true, true, 1.35)] == [1, 1, 0]
    assert [c.true for c in lesion_counts(true, true, 1.36)] == [1, 1, 1]


def test_a_large_prediction_is_right_by_its_own_tenth() -> None:
    flood = (slice(0, 6), slice(0, 40), slice(0, 40))
    count = lesion_counts(boxes(flood), boxes(SPECK), 1.0)[0]
    assert (count.hit, count.right) == (1, 0), "covering everything finds the speck and is still wrong"


def test_voxels_that_touch_at_a_corner_are_one_lesion() -> None:
    diagonal = np.zeros((3, 3, 3), dtype=bool)
    diagonal[0, 0, 0] = diagonal[1, 1, 1] = diagonal[2, 2, 2] = True
    assert lesion_counts(diagonal, diagonal, 1.0)[0].true == 1


def test_nothing_true_and_nothing_predicted() -> None:
    nothing = boxes()
    count = lesion_counts(nothing, nothing, 1.0)[0]
    assert math.isnan(count.sensitivity) and math.isnan(count.precision) and math.isnan(count.f1)
    assert lesion_counts(nothing, boxes(BIG), 1.0)[0].f1 == 0.0
    assert lesion_counts(boxes(BIG), nothing, 1.0)[0].f1 == 0.0


def test_one_blob_over_everything_finds_one_lesion_at_most() -> None:
    # Three true lesions of 20 voxels in a slice, 10 columns apart; one blob of 4 x 25 voxels over all of them.
    # By cover: all three are covered, and 60 of 100 voxels of the blob are true: S = P = 1, F1 = 1.
    # One to one: IoU of the blob with each is 20 / 100 = 0.2, so it stands for one of the three: S = 1/3, P = 1,
    # F1 = 2 x 1/3 / (4/3) = 1/2.
    true = boxes(*((slice(1, 2), slice(10, 14), slice(left, left + 5)) for left in (0, 10, 20)))
    count = lesion_counts(boxes((slice(1, 2), slice(10, 14), slice(0, 25))), true, 1.0)[0]
    assert (count.true, count.hit, count.predicted, count.right) == (3, 3, 1, 1) and count.f1 == 1.0
    assert (count.matched_true, count.matched_predicted) == (1, 1) and np.isclose(count.matched_f1, 0.5)
    # Over the whole volume: IoU 20 / 9600 with each, under 0.1: it stands for none.
    flood = lesion_counts(np.ones_like(true), true, 1.0)[0]
    assert flood.hit == 3 and flood.matched_f1 == 0.0


def test_a_lesion_in_pieces_has_one_partner() -> None:
    # A true lesion of 4 x 5 voxels, predicted in two pieces of 4 x 2: IoU 8 / 20 each. By cover both are right; one to
    # one the second is wrong: S = 1, P = 1/2, F1 = 2/3.
    true = boxes(SMALL)
    pieces = boxes((slice(1, 2), slice(20, 24), slice(20, 22)), (slice(1, 2), slice(20, 24), slice(23, 25)))
    count = lesion_counts(pieces, true, 1.0)[0]
    assert count.f1 == 1.0 and np.isclose(count.matched_f1, 2 / 3)


def test_as_many_lesions_as_possible_are_matched() -> None:
    # In one row: true a = columns 0 to 9, b = 12 to 15; predicted p = columns 0 to 3 (IoU with a 4 / 10), and
    # q = 6 to 15 (IoU with a 4 / 16, with b 4 / 10). Best is p-a and q-b: both have partners, F1 = 1.
    true = boxes((slice(1, 2), slice(0, 1), slice(0, 10)), (slice(1, 2), slice(0, 1), slice(12, 16)))
    predicted = boxes((slice(1, 2), slice(0, 1), slice(0, 4)), (slice(1, 2), slice(0, 1), slice(6, 16)))
    assert lesion_counts(predicted, true, 1.0)[0].matched_f1 == 1.0
