"""Every figure of one case with known change, voxel by voxel, lesion by lesion and slice by slice; JSON-ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hindsight import area_under_risk, best_dice, partial_spearman, risk_by_coverage

from LMIALLib.metrics.calibration import reliability
from LMIALLib.metrics.lesions import lesion_counts
from LMIALLib.metrics.ranks import spearman
from LMIALLib.metrics.voxels import average_precision, dice
from LMIALLib.queries.measures import entropy
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.scoring import score_case
from LMIALLib.queries.strategies import DEFAULT_TO_TRAIN, STRATEGIES

SMOOTHING_PIXELS = 1.0


def subtraction(maps: CaseMaps) -> np.ndarray:
    """|difference| smoothed in plane by a Gaussian of 1 pixel; float32 (n, r, c), 0 outside the brain."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.abs(maps.difference), (0, SMOOTHING_PIXELS, SMOOTHING_PIXELS))
    return np.where(maps.mask, smooth, np.float32(0))


def case_figures(maps: CaseMaps, truth: np.ndarray, voxel_mm3: float) -> dict[str, Any]:
    """Figures of the network and of subtraction on one case.

    Args:
        maps: probability, brain region and difference of the case.
        truth: bool (n, r, c), change, also where it lies outside the brain region.
        voxel_mm3: volume of one voxel.

    Voxel figures count inside the brain region only, except ``dice_all_voxels``; lesions are counted everywhere, so
    that change outside the region is missed change. Keys that could be misread:

    * ``dice_best_threshold``: (Dice, threshold) of the network with a threshold chosen in hindsight, for comparison;
    * ``probability_ratio``: sum of probabilities over changed voxels of the brain; 1 where 0.5 means 0.5;
    * ``subtraction``: its threshold was chosen in hindsight; ``spearman_area`` is that of the area it marks with it and
      its own wrong voxels, slice by slice;
    * ``slices``: the numbers a slice of `slice_table`, of every slice of the stack;
    * ``ranking``: `ranking_figures` over the slices that may be asked for, ``ranking_all`` over all with any brain.
    """
    brain = maps.mask
    predicted = (maps.mean >= 0.5) & brain
    probability, changed = maps.mean[brain], truth[brain]
    table = reliability(probability, changed)
    slices = slice_table(maps, truth)
    return {
        "truth_ml": float(truth.sum() * voxel_mm3 / 1000),
        "truth_in_brain_ml": float(changed.sum() * voxel_mm3 / 1000),
        "predicted_ml": float(predicted.sum() * voxel_mm3 / 1000),
        "dice": dice(predicted, truth, brain),
        "dice_all_voxels": dice(predicted, truth),
        "dice_best_threshold": best_dice(probability, changed),
        "average_precision": average_precision(probability, changed),
        "calibration_error": table.error,
        "reliability": {key: getattr(table, key).tolist() for key in ("count", "expected", "seen")},
        "probability_ratio": float(probability.sum(dtype=np.float64) / max(int(changed.sum()), 1)),
        "lesions": [
            {
                **vars(count),
                "sensitivity": count.sensitivity,
                "precision": count.precision,
                "f1": count.f1,
                "matched_f1": count.matched_f1,
            }
            for count in lesion_counts(predicted, truth, voxel_mm3)
        ],
        "subtraction": _subtraction_figures(maps, truth, slices["askable"]),
        "slices": {name: values.tolist() for name, values in slices.items()},
        "ranking": ranking_figures(slices, slices["askable"]),
        "ranking_all": ranking_figures(slices, np.asarray(brain.any(axis=(1, 2)))),
    }


def slice_table(maps: CaseMaps, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers a slice, each (n,), all of the brain region.

    ``error``: wrong voxels at 0.5; ``changed``: truly changed ones; ``entropy``: sum of the entropy, nats; ``default``:
    score of the default strategy; ``area``: voxels with p >= 0.5; ``soft_area``: sum of p; ``difference``: sum of
    |difference|; ``askable`` (bool): whether the slice may be asked for.
    """
    brain = maps.mask
    scores = score_case(maps, STRATEGIES[DEFAULT_TO_TRAIN])

    def added(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(brain, values, 0).sum(axis=(1, 2), dtype=np.float64))

    return {
        "error": added((maps.mean >= 0.5) != truth),
        "changed": added(truth),
        "entropy": added(entropy(maps)),
        "default": scores.score,
        "area": added(maps.mean >= 0.5),
        "soft_area": added(maps.mean),
        "difference": added(np.abs(maps.difference)),
        "askable": scores.eligible,
    }


def ranking_figures(slices: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    """How well scores tell the slices on which the prediction is wrong.

    Args:
        slices: from `slice_table`.
        chosen: bool (n,), slices that count.

    Returns Spearman's correlation of each score with the error; partial ones of ``entropy`` and ``default`` given the
    predicted ``area`` (and given ``soft_area``); risk over coverage of each score, its area, and an oracle's.
    """
    error = slices["error"][chosen]
    scores = {name: slices[name][chosen] for name in ("entropy", "default", "area", "soft_area", "difference")}
    orders = {**scores, "oracle": error}
    partial = {
        f"{name} given {area}": partial_spearman(scores[name], error, scores[area])
        for name in ("entropy", "default")
        for area in ("area", "soft_area")
    }
    return {
        "slices": int(chosen.sum()),
        "mean_error": float(error.mean()) if error.size else float("nan"),
        "spearman": {name: spearman(values, error) for name, values in scores.items()},
        "partial": partial,
        "risk": {name: risk_by_coverage(values, error).tolist() for name, values in orders.items()},
        "risk_area": {name: area_under_risk(values, error) for name, values in orders.items()},
    }


def _subtraction_figures(maps: CaseMaps, truth: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    score = subtraction(maps)
    inside = maps.mask
    best, threshold = best_dice(score[inside], truth[inside])
    marked = (score >= threshold) & inside
    wrong = ((marked != truth) & inside).sum(axis=(1, 2))
    return {
        "dice_in_hindsight": best,
        "threshold": threshold,
        "average_precision": average_precision(score[inside], truth[inside]),
        "spearman_area": spearman(marked.sum(axis=(1, 2))[chosen], wrong[chosen]),
    }
