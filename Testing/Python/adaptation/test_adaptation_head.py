"""The head: what it learns, when it stands back, and that it is the same for the same answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LMIALLib.adaptation.answers import UNKNOWN, box_answer, equivocal_slice, mask_answer, nothing_here
from LMIALLib.adaptation.head import HeadSettings, adapted, blended_logit, fit


def answers_of(case, numbers):
    return [mask_answer(k, case.truth[k]) for k in numbers]


def dice(label, truth):
    return 2 * (label & truth).sum() / (label.sum() + truth.sum())


def test_answers_make_the_unread_slices_right(case):
    read = (0, 3, 5, 8)
    maps = adapted(case.features, fit(case.features, answers_of(case, read)))
    unread = [k for k in range(10) if k not in read]
    before = dice(case.features.inputs.mean[unread] >= 0.5, case.truth[unread])
    assert dice(maps.probability[unread] >= 0.5, case.truth[unread]) > before + 0.1


def test_the_same_answers_give_the_same_bits(case):
    first, second = (fit(case.features, answers_of(case, (0, 3, 5))) for _ in range(2))
    assert first.digest == second.digest
    np.testing.assert_array_equal(adapted(case.features, first).probability, adapted(case.features, second).probability)


def test_the_digest_names_answers_and_settings(case):
    answers = answers_of(case, (0, 3, 5))
    digests = {
        fit(case.features, answers).digest,
        fit(case.features, answers[::-1]).digest,
        fit(case.features, answers, HeadSettings(ridge=20.0)).digest,
    }
    assert len(digests) == 3


@pytest.mark.parametrize("count", [0, 1, 10])
def test_nothing_here_adds_no_suggested_volume(unchanged, count):
    answers = [nothing_here(k, (64, 60)) for k in range(count)]
    maps = adapted(unchanged.features, fit(unchanged.features, answers))
    assert (maps.probability >= 0.5).sum() <= (unchanged.features.inputs.mean >= 0.5).sum()


def test_without_a_mark_the_network_is_only_ever_lowered(unchanged):
    head = fit(unchanged.features, [nothing_here(k, (64, 60)) for k in range(5)])
    probability = adapted(unchanged.features, head).probability
    assert (probability <= unchanged.features.inputs.mean + 1e-6).all()


def test_without_answers_the_network_stands(case):
    assert fit(case.features, []) is None
    maps = adapted(case.features, None)
    np.testing.assert_array_equal(maps.probability, case.features.inputs.mean)
    assert maps.head == ""


def test_equivocal_pixels_are_not_learnt(case):
    answers = answers_of(case, (0, 3))
    assert fit(case.features, [equivocal_slice(k, (64, 60)) for k in (0, 3)]) is None  # nothing is known of any pixel
    spot = case.truth[3] & (np.arange(60) < 30)
    without = [answers[0], mask_answer(3, case.truth[3], equivocal=spot)]
    flipped = replace(without[1], target=np.where(spot, UNKNOWN, case.truth[3]).astype(np.uint8))
    one, other = fit(case.features, without), fit(case.features, [answers[0], flipped])
    np.testing.assert_array_equal(adapted(case.features, one).probability, adapted(case.features, other).probability)


def test_an_equivocal_slice_changes_nothing(case):
    answers = answers_of(case, (0, 3))
    one, other = fit(case.features, answers), fit(case.features, [*answers, equivocal_slice(5, (64, 60))])
    np.testing.assert_array_equal(adapted(case.features, one).probability, adapted(case.features, other).probability)


def test_a_box_is_learnt_from_as_far_as_it_reaches(case):
    whole = answers_of(case, (0, 3, 5))
    part = [*whole[:2], box_answer(5, case.truth[5], slice(0, 64), slice(0, 60))]
    one, other = fit(case.features, whole), fit(case.features, part)
    np.testing.assert_array_equal(adapted(case.features, one).probability, adapted(case.features, other).probability)
    assert one.digest != other.digest


def test_nothing_changes_outside_the_candidates(case):
    maps = adapted(case.features, fit(case.features, answers_of(case, (0, 3, 5))))
    outside = np.ones(case.truth.size, bool)
    outside[case.features.voxels] = False
    np.testing.assert_array_equal(maps.probability.ravel()[outside], case.features.inputs.mean.ravel()[outside])
    assert np.isfinite(maps.entropy).all()
    assert maps.entropy.max() <= np.log(2) + 1e-6


def test_what_is_unlike_all_that_was_read_is_left_to_the_network(case):
    head = fit(case.features, answers_of(case, (0, 3, 5)))
    known = case.features.rows_of(3)
    far = np.array(case.features.values[known])
    far[:, case.features.names.index("difference")] += 50.0
    near = head.members.linear.variance(case.features.values[known])
    assert (near > 0).all()
    assert np.median(head.members.linear.variance(far)) > np.median(near) + 0.5
    plain = fit(case.features, answers_of(case, (0, 3, 5)), HeadSettings(unlike=0.0))
    network = case.features.logit
    moved, held = (np.abs(blended_logit(case.features, one) - network) for one in (plain, head))
    assert (held <= moved + 1e-5).all()


def test_voxels_without_change_are_thinned_evenly(case):
    few = HeadSettings(most_rows=200)
    maps = adapted(case.features, fit(case.features, answers_of(case, (0, 3, 5, 8)), few))
    unread = [1, 2, 4, 6, 7, 9]
    before = dice(case.features.inputs.mean[unread] >= 0.5, case.truth[unread])
    assert dice(maps.probability[unread] >= 0.5, case.truth[unread]) > before


def test_answers_of_another_grid_are_refused(case):
    with pytest.raises(ValueError, match="slice 10"):
        fit(case.features, [nothing_here(10, (64, 60))])
    with pytest.raises(ValueError, match="slice 1"):
        fit(case.features, [nothing_here(1, (4, 4))])
