"""What changes from step to step of a training run: the learning rate, and the running average of the weights.

Both depend on the number of the step alone, so that a run that was stopped goes on to the same bits with nothing more
to store. torch's own schedulers (``torch.optim.lr_scheduler``) and ``swa_utils.AveragedModel`` count for themselves,
and the latter begins as a copy of the weights after the first step.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def warmed_cosine(step: int, steps: int, *, rising: int, lowest: float) -> float:
    """Share of the highest learning rate in a step: rises over ``rising`` steps, then falls along a cosine.

    Args:
        step: from 0 on; steps: of the whole run.
        rising: steps until the highest rate is reached.
        lowest: share that is left in the end.
    """
    if step < rising:
        return (step + 1) / rising
    return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Make the next step with this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def newest_share(decay: float, step: int) -> float:
    """Share of the newest weights in their running average after a step, from 0 on: larger while the run is young.

    ``1 - decay`` in the end (Polyak averaging), never less than 9 / (10 + step).
    """
    return 1.0 - min(decay, (1 + step) / (10 + step))


def interpolate(ours: nn.Module, theirs: nn.Module, share: float) -> None:
    """Move weights and statistics of a network the share of the way to those of another one, in place.

    Whole numbers, such as counts of batches, are taken over.
    """
    with torch.no_grad():
        for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(other, share)
            else:
                mine.copy_(other)
