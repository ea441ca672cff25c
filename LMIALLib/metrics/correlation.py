"""Whether the slices that a score puts first are those on which a prediction is wrong."""

from __future__ import annotations

import numpy as np


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; NaN where one of them is constant."""
    from scipy.stats import rankdata

    return _pearson(rankdata(first), rankdata(second))


def partial_spearman(first: np.ndarray, second: np.ndarray, given: np.ndarray) -> float:
    """Rank correlation of two series when both are known as far as a third one tells them.

    Ranks of both are regressed on the ranks of the third (straight line), and Pearson's correlation of the residuals is
    taken, which is (r12 - r13 r23) / sqrt((1 - r13^2)(1 - r23^2)) of the rank correlations (Conover, Practical
    Nonparametric Statistics). NaN where the third one tells one of them altogether.
    """
    from scipy.stats import rankdata

    third = np.column_stack((np.ones(len(given)), rankdata(given)))
    ranks = np.column_stack((rankdata(first), rankdata(second)))
    residual = ranks - third @ np.linalg.lstsq(third, ranks, rcond=None)[0]
    return _pearson(residual[:, 0], residual[:, 1])


def risk_by_coverage(order_by: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of the slices that are kept when those with the highest score go to the reader first.

    Slices of equal score go in no particular order: of them the mean is taken.

    Args:
        order_by: (n,) float, a score; the highest is rejected first.
        error: (n,) float, wrong voxels of each slice.

    Returns (n,) float; entry k - 1 is the risk when k slices are kept (coverage k / n).
    """
    _, group = np.unique(order_by, return_inverse=True)
    mean = np.bincount(group, error) / np.bincount(group)
    kept_first = mean[np.sort(group)]
    return np.cumsum(kept_first) / np.arange(1, len(error) + 1)


def area_under_risk(order_by: np.ndarray, error: np.ndarray) -> float:
    """Mean of `risk_by_coverage` over all coverages (AURC: Geifman, Uziel and El-Yaniv, ICLR 2019); lower is better.

    With ``error`` itself as score it is the oracle's, the least that any order reaches.
    """
    return float(risk_by_coverage(order_by, error).mean())


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; NaN where one of them is constant but for rounding."""
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first**2).sum() * (second**2).sum())
    smallest = 1e-9 * len(first) ** 3
    return float("nan") if size <= smallest else float((first * second).sum() / size)
