"""Agreement between a prediction and the truth, on voxels that someone read or nobody annotated."""

from __future__ import annotations

import numpy as np


def dice(
    predicted: np.ndarray, true: np.ndarray, where: np.ndarray | None = None, *, empty: float = float("nan")
) -> float:
    """Lesion Dice = 2 |P and T| / (|P| + |T|), voxels pooled over the whole array (never a mean with the background).

    Args:
        predicted, true: bool, same shape.
        where: bool, voxels that count; all when None.
        empty: what is returned when neither holds a voxel: there is nothing to agree on.

    Returns a value in [0, 1].
    """
    predicted, true = np.asarray(predicted, dtype=bool), np.asarray(true, dtype=bool)
    if where is not None:
        predicted, true = predicted & where, true & where
    voxels = int(predicted.sum()) + int(true.sum())
    return empty if voxels == 0 else 2.0 * int((predicted & true).sum()) / voxels


def average_precision(score: np.ndarray, true: np.ndarray) -> float:
    """The step-wise area under precision against recall, as scikit-learn's ``average_precision_score`` defines it.

    Args:
        score: float, any scale, higher is more surely change; equal scores are one threshold.
        true: bool, same shape.

    Returns a value in [0, 1]; NaN when nothing is true.
    """
    from sklearn.metrics import average_precision_score

    if not true.any():
        return float("nan")
    return float(average_precision_score(np.ravel(true), np.ravel(score)))
