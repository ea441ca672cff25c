"""One patient as answers come in: what is learnt does not depend on when, and the outlook agrees with the estimate."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.adaptation.answers import mask_answer, nothing_here
from LMIALLib.adaptation.features import features_of
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.adaptation.patient import Course, order_of, outlook, suggested_lesions

SHAPE = (12, 40, 44)


@pytest.fixture(scope="module")
def case() -> tuple[HeadInputs, np.ndarray]:
    """A pair with three blobs of change, of which the network half sees two; and the truth."""
    rng = np.random.default_rng(3)
    truth = np.zeros(SHAPE, bool)
    for number, row, column in ((3, 10, 12), (6, 22, 30), (9, 28, 10)):
        truth[number - 1 : number + 2, row : row + 6, column : column + 6] = True
    baseline = rng.normal(0, 0.2, SHAPE).astype(np.float32)
    follow_up = (baseline + rng.normal(0, 0.2, SHAPE) + 3.0 * truth).astype(np.float32)
    mean = np.clip(0.05 + 0.5 * truth * rng.uniform(0.4, 1.0, SHAPE), 0, 1).astype(np.float32)
    mean[8:11] *= 0.2
    return HeadInputs(mean, baseline, follow_up, np.ones(SHAPE, bool), (3.0, 1.0, 1.0)), truth


def test_what_is_learnt_depends_on_the_answers_alone(case: tuple[HeadInputs, np.ndarray]) -> None:
    inputs, truth = case
    features = features_of(inputs)
    answers = [mask_answer(k, truth[k]) for k in (3, 6, 0, 9)]
    one_by_one, at_once = Course(features), Course(features)
    for count in range(len(answers) + 1):
        last = one_by_one.learn(answers[:count])
    whole = at_once.learn(answers)
    assert last.head is not None and whole.head is not None and last.head.digest == whole.head.digest
    assert np.array_equal(last.maps.probability, whole.maps.probability)
    assert last.found == whole.found and last.estimate == whole.estimate
    without = one_by_one.learn([answers[0], answers[2], answers[3]])  # the second one is withdrawn
    assert without == without and np.array_equal(
        without.maps.probability, Course(features).learn([answers[0], answers[2], answers[3]]).maps.probability
    )


def test_the_outlook_begins_with_the_estimate_and_ends_with_a_read_patient(case: tuple[HeadInputs, np.ndarray]) -> None:
    inputs, truth = case
    features = features_of(inputs)
    answers = [mask_answer(k, truth[k]) for k in (3, 0)]
    learnt = Course(features).learn(answers)
    scores = order_of(learnt, features, answers, "expected-error").score
    expected = outlook(learnt, features, answers, scores)
    assert learnt.estimate.dice is not None
    assert expected[0] == pytest.approx(learnt.estimate.dice) and len(expected) == SHAPE[0] - 2 + 1
    assert expected[-1] == pytest.approx(1.0, abs=0.02)


def test_lesions_on_unread_slices_alone_are_counted(case: tuple[HeadInputs, np.ndarray]) -> None:
    inputs, truth = case
    learnt = Course(features_of(inputs)).learn([])
    maps = type(learnt.maps)(truth.astype(np.float32), learnt.maps.entropy, "")
    assert suggested_lesions(maps, []) == 3
    assert suggested_lesions(maps, [nothing_here(3, SHAPE[1:])]) == 2
