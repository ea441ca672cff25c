"""How well a network fits the slices that a person read, and how well it still reads the built-in synthetic set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from LMIALLib.metrics.voxels import dice
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.calibration import figures
from LMIALLib.network.finetuning_batches import Example
from LMIALLib.network.guard import load_guard
from LMIALLib.network.slices import network_input, network_shape, resized


def read_figures(network: ChangeNetwork, examples: Sequence[Example]) -> tuple[float | None, int]:
    """Dice over all read pixels (None when none is change) and the number of pixels wrongly called change."""
    return figures_of(lambda example: slice_probability(network, example), examples)


def figures_of(
    probability_of: Callable[[Example], np.ndarray], examples: Sequence[Example]
) -> tuple[float | None, int]:
    """As `read_figures`, of whatever gives the probability (rows, columns) of a slice."""
    called, truth = [], []
    for example in examples:
        probability = probability_of(example)
        called.append(probability[example.read] >= 0.5)
        truth.append(example.target[example.read] == 1)
    ours, theirs = np.concatenate(called), np.concatenate(truth)
    return (dice(ours, theirs, empty=1.0) if theirs.any() else None), int((ours & ~theirs).sum())


def slice_probability(network: ChangeNetwork, example: Example) -> np.ndarray:
    """Probability of change (rows, columns) of one slice, without dropout."""
    full = (example.target.shape[0], example.target.shape[1])
    shape = network_shape(full, example.in_plane_spacing, network.architecture.pixels)
    mask = resized(example.mask.astype(np.float32), shape) > 0.5
    before, after = (resized(slices, shape) for slices in (example.baseline, example.follow_up))
    values = torch.from_numpy(network_input(before, after, mask)[None])
    multiple = network.architecture.multiple
    bottom, right = (-side % multiple for side in shape)
    network.eval()
    with torch.inference_mode():
        device = next(network.parameters()).device
        logits = network(functional.pad(values, (0, right, 0, bottom)).to(device))[:, 0, : shape[0], : shape[1]]
        probability = torch.sigmoid(logits).cpu().numpy()
    return resized(probability, full)[0]


def guard_dice(network: ChangeNetwork) -> float:
    """Dice at p >= 0.5 on the synthetic set built into LMIAL."""
    device = next(network.parameters()).device
    found = figures(network.cpu(), load_guard())["dice"]
    network.to(device)
    return float(found)
