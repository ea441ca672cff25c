"""What changed, from what a model segments at both visits; a model that is lost must not make labels of "no change"."""

from __future__ import annotations

import numpy as np

from LMIALLib.pipeline.teachers.prompts import Prompt
from LMIALLib.pipeline.teachers.visits import Seen, change_at_prompts

BRAIN = np.ones((20, 20), bool)
CALM = np.full((20, 20), 0.9, np.float32)
PROMPT = Prompt(0, (4, 14, 4, 14), (4, 14, 4, 14), (8, 8), 1.0, (0, 1))


def seen(inner: int, score: float) -> Seen:
    """A square object in the middle of the window with ``inner`` pixels a side."""
    mask = np.zeros((10, 10), np.float32)
    start = (10 - inner) // 2
    mask[start : start + inner, start : start + inner] = 1
    return Seen(mask, score, inner > 0)


def test_an_object_at_one_visit_only_is_change_whichever_visit_it_is() -> None:
    for before, after in ((seen(0, 0.9), seen(4, 0.9)), (seen(4, 0.9), seen(0, 0.9))):
        opinion = change_at_prompts([(PROMPT, before, after)], CALM, BRAIN)
        inside = opinion.probability[7:11, 7:11]
        assert (inside == np.float32(0.9)).all() and opinion.probability.sum() == inside.sum()
        assert np.allclose(opinion.confidence[7:11, 7:11], 0.8 * 0.9)
        assert (opinion.confidence[:4] == np.float32(0.9)).all(), "outside all windows the difference map speaks"


def test_the_same_object_at_both_visits_is_no_change_and_a_larger_one_is_a_rim() -> None:
    opinion = change_at_prompts([(PROMPT, seen(4, 0.95), seen(8, 0.95))], CALM, BRAIN)
    called = opinion.probability >= 0.5
    assert called[5:13, 5:13].sum() == called.sum() == 64 - 16 and not called[7:11, 7:11].any()


def test_a_model_that_trusts_its_masks_little_teaches_nothing() -> None:
    opinion = change_at_prompts([(PROMPT, seen(0, 0.05), seen(4, 0.05))], CALM, BRAIN)
    assert (opinion.probability < 0.1).all() and (opinion.confidence[4:14, 4:14] < 0.06).all()


def test_no_object_at_any_prompt_is_a_failure_and_no_empty_mask() -> None:
    said = change_at_prompts([(PROMPT, seen(0, 0.9), seen(0, 0.9))] * 2, CALM, BRAIN)
    assert said == "The teacher found no object at any of the 2 places where the visits differ."


def test_where_windows_overlap_the_higher_probability_stands_with_its_own_confidence() -> None:
    quiet = (PROMPT, seen(10, 0.9), seen(10, 0.9))
    loud = (PROMPT, seen(0, 0.8), seen(4, 0.8))
    for asked in ([quiet, loud], [loud, quiet]):
        opinion = change_at_prompts(asked, CALM, BRAIN)
        assert np.allclose(opinion.probability[7:11, 7:11], 0.8)
        assert np.allclose(opinion.confidence[7:11, 7:11], 0.6 * 0.8)


def test_outside_the_brain_nothing_changes_for_sure() -> None:
    brain = BRAIN.copy()
    brain[8] = False
    opinion = change_at_prompts([(PROMPT, seen(0, 0.9), seen(4, 0.9))], CALM, brain)
    assert not opinion.probability[8].any() and (opinion.confidence[8] == 1).all()
