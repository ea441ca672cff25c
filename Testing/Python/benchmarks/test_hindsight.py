"""The best Dice of all thresholds, by trying them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hindsight import best_dice

from LMIALLib.metrics.voxels import dice


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """300 scores with many ties, and truth that follows them loosely."""
    rng = np.random.default_rng(3)
    score = np.round(rng.random(300), 1)
    return score.reshape(10, 30), (rng.random(300) < score * 0.6).reshape(10, 30)


def test_the_best_dice_is_the_best_of_all_thresholds(scores: tuple[np.ndarray, np.ndarray]) -> None:
    score, true = scores
    found, threshold = best_dice(score, true)
    assert found == pytest.approx(max(dice(score >= t, true) for t in np.unique(score)))
    assert dice(score >= threshold, true) == pytest.approx(found)
    assert all(math.isnan(v) for v in best_dice(score, np.zeros(score.shape, dtype=bool)))
