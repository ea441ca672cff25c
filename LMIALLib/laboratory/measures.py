"""What one model is worth on a test set: agreement with the truth, pooled over its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.metrics.calibration import SURELY_UNCHANGED, reliability
from LMIALLib.metrics.lesions import LesionCount, lesion_counts

THRESHOLD = 0.5
"""A voxel is predicted as changed from this probability on."""


@dataclass(frozen=True)
class Judged:
    """A prediction of one case beside the truth; stacks (slices, rows, columns) of one shape.

    Args:
        case: its name.
        probability: float in [0, 1], that a voxel changed.
        truth: bool, what changed.
        counted: bool, voxels that are judged: of the brain, on slices of the test set, equivocal ones left out.
        voxel_mm: distance of slices, rows and columns.
    """

    case: str
    probability: np.ndarray
    truth: np.ndarray
    counted: np.ndarray
    voxel_mm: tuple[float, float, float]


def measured(cases: Sequence[Judged]) -> dict[str, float]:
    """Every measure of agreement of one model, on counted voxels; predicted is what has a probability of 0.5 or more.

    * ``dice``, ``sensitivity``, ``precision``: of voxels, pooled over the cases, in [0, 1].
    * ``two_class_dice``: the mean over cases of (lesion Dice + background Dice) / 2, in [0, 1]. This is what the code
      of LMI-AL (arXiv 2511.18007) prints as Dice; a lesion Dice of 0.3 reads as 0.65 there. Never compare with it.
    * ``lesion_f1``: of 3-D components as `lesions.lesion_counts` counts them (any size), pooled, in [0, 1];
      ``lesion_f1_matched``: of the same components matched one to one.
    * ``volume_error_ml``: mean over cases of |predicted - true volume|, millilitres.
    * ``hd95_mm``: mean over cases of `hausdorff_95`, millimetres.
    * ``calibration_error``: expected calibration error of `calibration.reliability`, voxels pooled over the cases.

    Cases without change: what is predicted there is a false positive of the pooled figures and a volume error, and the
    case takes no part in ``hd95_mm``, like every case in which only one side holds a voxel. Where nothing is true and
    nothing is predicted, the lesion Dice within the two-class mean counts 1, as in the paper's code.

    Returns NaN for what is undefined (no true voxel: sensitivity; none predicted: precision; neither: dice).
    Raises ValueError without a case, or where the stacks of a case differ in shape.
    """
    if not cases:
        raise ValueError("nothing to judge: there is no case")
    true_voxels = predicted_voxels = hits = 0
    two_class, volume_errors, distances, lesions, probabilities, changes = [], [], [], [], [], []
    for case in cases:
        if not case.probability.shape == case.truth.shape == case.counted.shape:
            shapes = f"{case.probability.shape}, {case.truth.shape} and {case.counted.shape}"
            raise ValueError(f"{case.case}: probability, truth and counted have shapes {shapes}; one shape is needed")
        true = case.truth & case.counted
        predicted = (case.probability >= THRESHOLD) & case.counted
        n_true, n_predicted, n_hit = int(true.sum()), int(predicted.sum()), int((true & predicted).sum())
        true_voxels, predicted_voxels, hits = true_voxels + n_true, predicted_voxels + n_predicted, hits + n_hit
        two_class.append(_two_class_dice(n_true, n_predicted, n_hit, int(case.counted.sum())))
        voxel_mm3 = float(np.prod(case.voxel_mm))
        volume_errors.append(abs(n_predicted - n_true) * voxel_mm3 / 1000.0)
        distances.append(hausdorff_95(predicted, true, case.voxel_mm))
        lesions.append(lesion_counts(predicted, true, voxel_mm3, sizes_mm3=(0.0,))[0])
        uncertain = case.counted & (case.probability > SURELY_UNCHANGED)
        probabilities.append(case.probability[uncertain])
        changes.append(true[uncertain])
    return {
        "dice": _ratio(2 * hits, true_voxels + predicted_voxels),
        "two_class_dice": float(np.mean(two_class)),
        "lesion_f1": _pooled(lesions).f1,
        "lesion_f1_matched": _pooled(lesions).matched_f1,
        "sensitivity": _ratio(hits, true_voxels),
        "precision": _ratio(hits, predicted_voxels),
        "volume_error_ml": float(np.mean(volume_errors)),
        "hd95_mm": _mean_of_known(distances),
        "calibration_error": reliability(np.concatenate(probabilities), np.concatenate(changes)).error,
    }


def hausdorff_95(predicted: np.ndarray, true: np.ndarray, voxel_mm: Sequence[float]) -> float:
    """The 95th percentile Hausdorff distance in millimetres: the larger of both directions' 95th percentiles.

    Distances are those from each surface voxel of one mask to the nearest surface voxel of the other; a surface voxel
    has a face neighbour outside its mask or the volume. The definition of MONAI's ``compute_hausdorff_distance``, found
    with a k-d tree of the surfaces, because a distance map of a whole brain takes far longer.

    Args:
        predicted, true: bool, same shape.
        voxel_mm: distances along the axes.

    Returns NaN where one of them holds no voxel.
    """
    from scipy.spatial import cKDTree

    if not predicted.any() or not true.any():
        return float("nan")
    ours, theirs = (_surface(mask) * np.asarray(voxel_mm, dtype=np.float64) for mask in (predicted, true))
    there = cKDTree(theirs).query(ours)[0]
    back = cKDTree(ours).query(theirs)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Indices (n, axes) of the surface voxels of a mask that holds one."""
    from scipy.ndimage import binary_erosion, find_objects

    box = find_objects(mask.astype(np.uint8))[0]
    inside = mask[box]
    return np.argwhere(inside & ~binary_erosion(inside)) + [side.start for side in box]


def _two_class_dice(true: int, predicted: int, hits: int, counted: int) -> float:
    """Mean of lesion and background Dice from counts of voxels; a class that neither side holds counts 1."""
    lesion = 2 * hits / (true + predicted) if true + predicted else 1.0
    unchanged = 2 * counted - true - predicted
    background = 2 * (counted - true - predicted + hits) / unchanged if unchanged else 1.0
    return (lesion + background) / 2


def _pooled(counts: Sequence[LesionCount]) -> LesionCount:
    """Lesions of several cases as one count."""
    names = ("true", "hit", "predicted", "right", "matched_true", "matched_predicted")
    return LesionCount(over_mm3=0.0, **{name: sum(getattr(count, name) for count in counts) for name in names})


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean_of_known(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
