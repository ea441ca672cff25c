"""Figures of a network on samples with known change, and making its probabilities honest on them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.cohorts.synthesis import Sample
from LMIALLib.metrics.calibration import reliability
from LMIALLib.metrics.lesions import slice_lesions
from LMIALLib.metrics.voxels import average_precision, dice
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.samples import packed


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
    * lesion_f1: the same marks lesion by lesion, in [0, 1]; see `slice_lesions` and `LesionCount.hit_f1`.
    * lesion_f1_matched: the same, matched one to one, in [0, 1]; 1 when there are neither true nor predicted lesions.
    * average_precision: over all pixels, in [0, 1]; see `average_precision`.
    * cross_entropy: mean over pixels, in nats.
    * calibration_error: in [0, 1]; see `Reliability.error`; 0 without a pixel that counts.
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
    lesions = slice_lesions(called, changed)
    return {
        "dice": dice(called, changed, empty=1.0),
        "lesion_f1": lesions.hit_f1,
        "lesion_f1_matched": float(np.nan_to_num(lesions.matched_f1, nan=1.0)),
        "average_precision": average_precision(values, true),
        "cross_entropy": float(functional.binary_cross_entropy_with_logits(logits[brain], truth)),
        "calibration_error": float(np.nan_to_num(reliability(values, true).error)),
        "volume_ratio": float(probability.sum() / truth.sum().clamp(min=1)),
    }


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
