"""Lesions of a prediction and of the truth, matched one to one."""

from __future__ import annotations

import numpy as np

LEAST_IOU = 0.1
"""Two lesions may be matched from this intersection over union on, as nnDetection does (arXiv 2106.00817)."""


def matched_lesions(
    predicted: np.ndarray, true: np.ndarray, least_iou: float = LEAST_IOU
) -> tuple[np.ndarray, np.ndarray]:
    """Which lesions have a partner, when each predicted lesion may stand for one true lesion and the other way round.

    Two lesions may be partners where their intersection over union is ``least_iou`` or more. Of all ways to pair them
    the one with most pairs is taken, and among those the one of largest overlap. So one blob over everything finds one
    lesion at most, and a lesion that is predicted in three pieces leaves two of them wrong.

    Args:
        predicted, true: int, of one shape; 0 is background, each lesion has a number from 1 on, without gaps.
        least_iou: above 0.

    Returns bool (predicted lesions,) and bool (true lesions,), in the order of their numbers.
    """
    from scipy.optimize import linear_sum_assignment

    of_predicted = np.bincount(predicted.ravel())[1:]
    of_true = np.bincount(true.ravel())[1:]
    found, hit = np.zeros(of_predicted.size, dtype=bool), np.zeros(of_true.size, dtype=bool)
    both = (predicted > 0) & (true > 0)
    pairs, shared = np.unique(np.stack((predicted[both], true[both])) - 1, axis=1, return_counts=True)
    iou = shared / (of_predicted[pairs[0]] + of_true[pairs[1]] - shared)
    allowed = iou >= least_iou - 1e-9
    if not allowed.any():
        return found, hit
    rows, row = np.unique(pairs[0][allowed], return_inverse=True)
    columns, column = np.unique(pairs[1][allowed], return_inverse=True)
    worth = np.zeros((rows.size, columns.size))
    worth[row, column] = min(worth.shape) + 1 + iou[allowed]  # one pair more outweighs any overlap
    chosen = linear_sum_assignment(worth, maximize=True)
    kept = worth[chosen] > 0
    found[rows[chosen[0][kept]]] = hit[columns[chosen[1][kept]]] = True
    return found, hit
