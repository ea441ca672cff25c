"""Figures that only the evidence tables show: thresholds chosen in hindsight, and scores that find wrong slices."""

from __future__ import annotations

import numpy as np


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


def _by_threshold(score: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, falling, and at each of them the number of true and of all values at least as high."""
    score, true = np.ravel(score), np.ravel(np.asarray(true, dtype=bool))
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last_of_value = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    return falling[last_of_value], np.cumsum(true[order])[last_of_value], last_of_value + 1
