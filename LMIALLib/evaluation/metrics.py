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
