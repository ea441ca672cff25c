"""From what a model segments at each of two visits to what changed between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.pipeline.teachers.prompts import Prompt
from LMIALLib.pipeline.teachers.teacher import PseudoLabel


@dataclass(frozen=True)
class Seen:
    """What a model segments at one prompt in the scan of one visit.

    Args:
        mask: float32 (rows, columns) of the prompt's window, 0 to 1: whether a pixel belongs to the object.
        score: 0 to 1, what the model itself expects its mask to be worth (SAM: intersection over union).
        found: whether there is an object at all.
    """

    mask: np.ndarray
    score: float
    found: bool


def change_at_prompts(
    asked: Sequence[tuple[Prompt, Seen, Seen]], background: np.ndarray, brain: np.ndarray
) -> PseudoLabel | str:
    """The pseudo-label of a slice, from what was found at its prompts at baseline and at follow-up.

    Lesions that changed are objects at one visit only (new, vanished), or larger at one of them (a rim). With
    q = score * mask, the chance that a pixel belongs to an object in which the model itself believes, the chance that
    exactly one visit has it there is, taking both answers as independent,

        p = q_baseline (1 - q_follow_up) + q_follow_up (1 - q_baseline).

    An object that is the same at both visits cancels, as does one that the model does not believe in at all. The
    confidence is |2 p - 1| times the mean of both scores: never high where p is near a half, nor where the model
    trusts its own masks little, so that a model that finds nothing does not make labels of "no change". A prompt covers
    its own window only; where windows overlap the highest p stands, with its own confidence.

    Args:
        asked: prompt, seen at baseline, seen at follow-up; none where the visits do not differ anywhere.
        background: float32 (rows, columns), confidence in "no change" outside all windows.
        brain: bool (rows, columns); outside p is 0 with confidence 1.

    Returns a sentence where the model found no object at any prompt at either visit: that is no answer.
    """
    if asked and not any(seen.found for _, *both in asked for seen in both):
        places = "the one place" if len(asked) == 1 else f"any of the {len(asked)} places"
        return f"The teacher found no object at {places} where the visits differ."
    probability = np.zeros(brain.shape, np.float32)
    confidence = background.astype(np.float32, copy=True)
    answered = np.zeros(brain.shape, bool)
    for prompt, before, after in asked:
        box = prompt.window
        first, second = before.score * before.mask, after.score * after.mask
        p = first * (1 - second) + second * (1 - first)
        sure = np.abs(2 * p - 1) * (before.score + after.score) / 2
        takes = ~answered[box] | (p > probability[box])
        probability[box] = np.where(takes, p, probability[box])
        confidence[box] = np.where(takes, sure, confidence[box])
        answered[box] = True
    return PseudoLabel(np.where(brain, probability, np.float32(0)), np.where(brain, confidence, np.float32(1)))
