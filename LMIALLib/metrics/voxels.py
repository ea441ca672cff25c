"""Agreement between a prediction and the truth, on voxels that someone read or nobody annotated."""

from __future__ import annotations

import numpy as np


def dice(predicted: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> float:
    """Lesion Dice = 2 |P and T| / (|P| + |T|), voxels pooled over the whole array (never a mean with the background).

    Args:
        predicted, true: bool, same shape.
        where: bool, voxels that count; all when None.

    Returns a value in [0, 1]; NaN when neither holds a voxel, because then there is nothing to agree on.
    """
    predicted, true = np.asarray(predicted, dtype=bool), np.asarray(true, dtype=bool)
    if where is not None:
        predicted, true = predicted & where, true & where
    voxels = int(predicted.sum()) + int(true.sum())
    return float("nan") if voxels == 0 else 2.0 * int((predicted & true).sum()) / voxels


def best_dice(score: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """The highest lesion Dice that any threshold on a score reaches, and that threshold: a choice made in hindsight.

    Args:
        score: float, any scale; a voxel is marked where its score is the threshold or more.
        true: bool, same shape.

    Returns (Dice in [0, 1], threshold), both NaN when nothing is true. No method may be given this figure as its own:
    the threshold knows the truth.
    """
    if not true.any():
        return float("nan"), float("nan")
    thresholds, hits, marked = _by_threshold(score, true)
    values = 2.0 * hits / (marked + hits[-1])
    best = int(np.argmax(values))
    return float(values[best]), float(thresholds[best])


def average_precision(score: np.ndarray, true: np.ndarray) -> float:
    """AP = sum over thresholds n of (R_n - R_(n-1)) P_n, the step-wise area under precision (P) against recall (R).

    The definition of scikit-learn's ``average_precision_score``: no interpolation, and equal scores are one threshold,
    so that their order does not matter.

    Args:
        score: float, any scale, higher is more surely change.
        true: bool, same shape.

    Returns a value in [0, 1]; NaN when nothing is true.
    """
    if not true.any():
        return float("nan")
    _, hits, marked = _by_threshold(score, true)
    return float((np.diff(hits, prepend=0) * (hits / marked)).sum() / hits[-1])


def _by_threshold(score: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, falling, and at each of them the number of true and of all values at least as high."""
    score, true = np.ravel(score), np.ravel(np.asarray(true, dtype=bool))
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last_of_value = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    return falling[last_of_value], np.cumsum(true[order])[last_of_value], last_of_value + 1
