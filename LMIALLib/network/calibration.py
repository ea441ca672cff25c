"""Figures of a network on samples with known change, and making its probabilities honest on them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.cohorts.synthesis import Sample
from LMIALLib.metrics.lesion_matching import matched_lesions
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.losses import pooled_dice
from LMIALLib.network.samples import packed

SMALLEST_LESION = 4
"""Pixels of the smallest lesion of a slice that counts."""
BINS = 15


def predicted_logits(network: ChangeNetwork, samples: Collection[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, targets (float) and brain (bool) of samples, (n, 1, rows, columns) on the CPU, without dropout."""
    batch = packed(list(samples))
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        parts = [
            network(part[:, :-2].contiguous(memory_format=torch.channels_last).to(device)).cpu()
            for part in batch.split(8)
        ]
    return torch.cat(parts), batch[:, -2:-1], batch[:, -1:] > 0


def figures(network: ChangeNetwork, samples: Collection[Sample]) -> dict[str, float]:
    """How well a network finds the change of samples; {} without samples. Only brain counts.

    * dice: at p >= 0.5, pixels of all samples pooled, in [0, 1].
    * lesion_f1: the same marks lesion by lesion, in [0, 1]; see `lesion_f1`.
    * lesion_f1_matched: the same, matched one to one; see `lesion_f1_matched`.
    * average_precision: over all pixels, in [0, 1]; see `average_precision`.
    * cross_entropy: mean over pixels, in nats.
    * calibration_error: in [0, 1]; see `expected_calibration_error`.
    * volume_ratio: sum of probabilities over number of changed pixels.
    """
    if not samples:
        return {}
    logits, target, brain = predicted_logits(network, samples)
    called = ((torch.sigmoid(logits) >= 0.5) & brain).numpy()[:, 0]
    changed = ((target > 0.5) & brain).numpy()[:, 0]
    truth = target[brain]
    probability = torch.sigmoid(logits[brain])
    values, true = probability.numpy(), truth.numpy() > 0.5
    return {
        "dice": pooled_dice(called, changed),
        "lesion_f1": lesion_f1(called, changed),
        "lesion_f1_matched": lesion_f1_matched(called, changed),
        "average_precision": average_precision(values, true),
        "cross_entropy": float(functional.binary_cross_entropy_with_logits(logits[brain], truth)),
        "calibration_error": expected_calibration_error(values, true),
        "volume_ratio": float(probability.sum() / truth.sum().clamp(min=1)),
    }


def lesion_f1(predicted: np.ndarray, true: np.ndarray) -> float:
    """F1 over the lesions of slices, in [0, 1]; 1 when there are neither true nor predicted ones.

    Args:
        predicted, true: bool (n, rows, columns).

    A lesion is a component of one slice (8 neighbours) of at least 4 pixels. A true one is hit when a tenth of it or
    more is covered by prediction; a predicted one is false when less than a tenth of it is true.
    F1 = 2 hits / (2 hits + misses + false ones). It is 1 for one blob over all lesions; see `lesion_f1_matched`.
    """
    found, confirmed = _covered(true, predicted), _covered(predicted, true)
    hits, wrong = int(found.sum()), int((~found).sum()) + int((~confirmed).sum())
    return 2 * hits / (2 * hits + wrong) if hits + wrong else 1.0


def lesion_f1_matched(predicted: np.ndarray, true: np.ndarray) -> float:
    """F1 over the lesions of slices as `lesion_f1` has them, each predicted one matched to one true one at most.

    F1 = 2 S P / (S + P), S the share of the true lesions that have a partner, P that of the predicted ones; see
    `matched_lesions`. 1 when there are neither true nor predicted ones.
    """
    ours, theirs = _numbered(predicted)[0], _numbered(true)[0]
    found, hit = (
        partner[np.bincount(number.ravel())[1:] >= SMALLEST_LESION]
        for partner, number in zip(matched_lesions(ours, theirs), (ours, theirs), strict=True)
    )
    if not found.size and not hit.size:
        return 1.0
    if not found.any() or not hit.any():
        return 0.0
    sensitivity, precision = hit.mean(), found.mean()
    return float(2 * sensitivity * precision / (sensitivity + precision))


def _numbered(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The components of each slice (8 neighbours), numbered from 1 on over all slices, and how many there are."""
    from scipy.ndimage import label

    within_a_slice = np.zeros((3, 3, 3), bool)
    within_a_slice[1] = True
    number, count = label(mask, within_a_slice)
    return number, int(count)


def _covered(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each lesion of a mask, whether another mask covers at least a tenth of it."""
    number, count = _numbered(mask)
    size = np.bincount(number.ravel(), minlength=count + 1)[1:]
    covered = np.bincount(number[other], minlength=count + 1)[1:]
    return (10 * covered >= size)[size >= SMALLEST_LESION]


def average_precision(probability: np.ndarray, true: np.ndarray) -> float:
    """Area under the precision-recall curve as the sum of (recall step) x precision over falling thresholds.

    Args:
        probability: (n,) float, any scale; equal values share a threshold.
        true: (n,) bool.

    Returns a value in [0, 1]; NaN when nothing is true.
    """
    if not true.any():
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    last_of_value = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
    hits = np.cumsum(true[order])[last_of_value]
    return float((np.diff(hits, prepend=0) * hits / (last_of_value + 1)).sum() / hits[-1])


def expected_calibration_error(probability: np.ndarray, true: np.ndarray) -> float:
    """How far probabilities are from shares: mean |p - share of change| over 15 bins of equal width, weighted by size.

    Args:
        probability: (n,) float in [0, 1].
        true: (n,) bool.

    Counted are values with p > 0.01, because nearly all pixels are surely unchanged; none is chosen by what happened
    (Naeini et al., AAAI 2015; Guo et al., arXiv 1706.04599). Returns a value in [0, 1]; 0 when none counts.
    """
    counted = probability > 0.01
    values, happened = probability[counted].astype(np.float64), true[counted]
    place = np.minimum((values * BINS).astype(np.intp), BINS - 1)
    expected, seen = (np.bincount(place, weights, minlength=BINS) for weights in (values, happened))
    return float(np.abs(expected - seen).sum() / max(1, counted.sum()))


def calibrate(network: ChangeNetwork, samples: Collection[Sample]) -> dict[str, float]:
    """Scale and shift the network's logits, in place, so that 0.5 means 0.5 on samples never trained on.

    Platt scaling (Platt 1999) by Newton steps on the cross-entropy; both numbers go into the last layer. Judge the
    result on other samples than these. Without samples nothing changes.
    """
    if not samples:
        return {"scale": 1.0, "shift": 0.0}
    logits, target, brain = predicted_logits(network, samples)
    values, truth = logits[brain].double(), target[brain].double()
    scale, shift = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    for _ in range(25):
        probability = torch.sigmoid(scale * values + shift)
        error, weight = probability - truth, probability * (1 - probability) + 1e-9
        gradient = torch.stack(((error * values).sum(), error.sum()))
        cross = (weight * values).sum()
        hessian = torch.stack((torch.stack(((weight * values**2).sum(), cross)), torch.stack((cross, weight.sum()))))
        move = torch.linalg.solve(hessian, gradient).clamp(-0.5, 0.5)
        scale, shift = (scale - move[0]).clamp(0.3, 3.0), (shift - move[1]).clamp(-2.0, 2.0)
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.weight.mul_(float(scale))
        network.head.bias.mul_(float(scale)).add_(float(shift))
    return {"scale": float(scale), "shift": float(shift)}
