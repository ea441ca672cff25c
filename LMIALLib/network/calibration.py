"""Figures of a network on samples with known change, and making its probabilities honest on them."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.cohorts.synthesis import Sample
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.losses import pooled_dice
from LMIALLib.network.samples import packed


def predicted_logits(network: ChangeNetwork, samples: Collection[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, targets (float) and brain (bool) of samples, (n, 1, rows, columns), without dropout."""
    batch = packed(samples)
    network.eval()
    with torch.inference_mode():
        parts = [network(part[:, :3].contiguous(memory_format=torch.channels_last)) for part in batch.split(8)]
    return torch.cat(parts), batch[:, 3:4], batch[:, 4:5] > 0


def figures(network: ChangeNetwork, samples: Collection[Sample]) -> dict[str, float]:
    """Dice of change at p >= 0.5 pooled over samples, cross-entropy, and expected against true volume."""
    if not samples:
        return {}
    logits, target, brain = predicted_logits(network, samples)
    truth = target[brain]
    probability = torch.sigmoid(logits[brain])
    return {
        "dice": pooled_dice(probability.numpy() >= 0.5, truth.numpy() > 0.5),
        "cross_entropy": float(functional.binary_cross_entropy_with_logits(logits[brain], truth)),
        "volume_ratio": float(probability.sum() / truth.sum().clamp(min=1)),
    }


def calibrate(network: ChangeNetwork, samples: Collection[Sample]) -> dict[str, float]:
    """Scale and shift the network's logits, in place, so that 0.5 means 0.5 on samples never trained on.

    Platt scaling (Platt 1999) by Newton steps on the cross-entropy; both numbers go into the last layer.
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
