"""What a learning curve comes to: its area, the labels it needs, the share of the gap it closes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

LEAST_GAP = 0.05
"""Where full annotation is worth less Dice than this, a setting shows nothing about strategies."""


def area_under_budget(fraction: np.ndarray, dice: np.ndarray) -> float:
    """Area under Dice over the fraction of labels, trapezoid, divided by the range of the fraction: a mean Dice.

    After Zhan et al., A Comparative Survey: Benchmarking for Pool-based Active Learning, IJCAI 2021 (AUBC), normalised
    so that a constant curve gives its constant.

    Args:
        fraction: (rounds,) rising.
        dice: (rounds,) in [0, 1].

    Returns NaN with fewer than two rounds, a range of zero or a Dice that is not known.
    """
    reach = float(fraction[-1] - fraction[0]) if len(fraction) > 1 else 0.0
    return float(np.trapezoid(dice, fraction)) / reach if reach > 0 else float("nan")


def first_reaching(fraction: np.ndarray, dice: np.ndarray, target: float) -> float | None:
    """The fraction of labels at which a curve first is ``target`` or more, straight lines between rounds.

    Args:
        fraction: (rounds,) rising.
        dice: (rounds,).

    Returns None where it is never reached, or the target is not known.
    """
    for k, value in enumerate(dice):
        if value >= target:
            if k == 0:
                return float(fraction[0])
            share = (target - dice[k - 1]) / (value - dice[k - 1])
            return float(fraction[k - 1] + share * (fraction[k] - fraction[k - 1]))
    return None


def value_at(fraction: np.ndarray, values: np.ndarray, where: float) -> float:
    """A curve's value at a fraction of labels, straight lines between rounds; NaN outside of what was simulated.

    A budget that the last round misses by less than a fiftieth of it (slices are whole) counts as reached.
    """
    if len(fraction) == 0 or not fraction[0] <= where <= fraction[-1] * 1.02 + 1e-9:
        return float("nan")
    return float(np.interp(where, fraction, values))


@dataclass(frozen=True)
class Efficiency:
    """Foreground efficiency of a strategy.

    Args:
        value: b, a per cent of foreground voxels; higher needs less foreground. NaN where ``reason`` says why.
        error: its standard error from the fit.
        reason: why there is none, else empty.
    """

    value: float
    error: float = float("nan")
    reason: str = ""


def foreground_efficiency(percent: np.ndarray, dice: np.ndarray, start: float, full: float) -> Efficiency:
    """b of Dice(x) = c - a exp(-b (x - x0)), least squares over all rounds and seeds of a strategy.

    x is the per cent of the pool's foreground voxels that are annotated, x0 the smallest, c the fully annotated Dice
    and a = c - Dice(x0), so that only b is fitted. x0 should be a start that is annotated and shared by all strategies.
    FG-Eff of nnActive, TMLR 2025 (``analyze/metrics.py:DatasetBeta``).

    Args:
        percent: (n,) in [0, 100].
        dice: (n,).
        start: Dice at x0, the mean over seeds and strategies.
        full: Dice of the fully annotated reference, the mean over seeds.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    known = np.isfinite(percent) & np.isfinite(dice)
    x, y = percent[known], dice[known]
    if not np.isfinite(full):
        return Efficiency(float("nan"), reason="no fully annotated reference")
    if not np.isfinite(start) or x.size < 3 or np.ptp(x) == 0:
        return Efficiency(float("nan"), reason="too few rounds with known foreground")
    if full - start < LEAST_GAP:
        return Efficiency(float("nan"), reason="the gap to full annotation is too small")
    x = x - x.min()

    def rising(percent_more: np.ndarray, b: float) -> np.ndarray:
        return np.asarray(full - (full - start) * np.exp(np.clip(-b * percent_more, -50, 50)))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            found, covariance = curve_fit(rising, x, y, p0=[1 / max(float(np.median(x)), 1e-6)])
    except (RuntimeError, OptimizeWarning):
        return Efficiency(float("nan"), reason="the fit does not converge")
    b, error = float(found[0]), float(np.sqrt(covariance[0, 0]))
    return Efficiency(b, error)
