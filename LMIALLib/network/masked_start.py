"""Weights for a study that is far from what the bundled network was trained on, learned from its own scans alone.

A masked autoencoder in the network itself (after He et al., arXiv 2111.06377): blocks of the input are blanked, and
encoder and decoder learn to paint baseline and follow-up there. Then the painting head gives way to one that finds
change as unlikely as a network does that was never trained. What is handed over is a weights file like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.errors import BadInput
from LMIALLib.network.architecture import Architecture, ChangeNetwork
from LMIALLib.network.checkpoint import load_checkpoint, save_checkpoint
from LMIALLib.network.device import reproducible
from LMIALLib.network.lab_training import Slices, new_network
from LMIALLib.network.training import Stopped
from LMIALLib.network.weights import save_weights

if TYPE_CHECKING:
    from LMIALLib.pairs.pair import Pair

VISITS = 2
MASKED_LOSS_FLOOR = 1.0
"""Pixels that a loss is divided by at least, so that a crop without any masked brain gives 0."""


@dataclass(frozen=True)
class MaskedStart:
    """How the network is trained to paint what was blanked; stored with the weights.

    Args:
        widths: of the network, see ``Architecture``.
        steps, batch, crop: optimiser steps, crops in each, rows and columns of a crop.
        block: rows and columns of a blanked block; masked: share of the blocks that are blanked, at both visits alike.
        rate: highest learning rate (AdamW); it rises over a tenth of the steps, then falls along a cosine.
        seed: of weights, crops and blocks.
        checkpoint_every: steps between two checkpoints.
        threads: CPU threads; None keeps torch's number.
    """

    widths: tuple[int, ...] = Architecture().widths
    steps: int = 1000
    batch: int = 8
    crop: int = 96
    block: int = 16
    masked: float = 0.6
    rate: float = 2e-3
    seed: int = 0
    checkpoint_every: int = 50
    threads: int | None = None


def train_masked_start(
    pairs: Mapping[str, Pair],
    settings: MaskedStart,
    out: Path,
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, sentence: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Train on unlabelled pairs and write a weights file; returns the loss of each step of this call.

    Args:
        pairs: case name to pair; all of them are in memory at once. Leave out whoever the weights will be judged on.
        settings: see there; block and crop must be multiples of the network's own.
        out: the weights file; the checkpoint of a stopped run lies beside it and is gone on from.
        progress: called with (steps done, steps in all, a sentence).
        cancelled: asked before each step; True writes a checkpoint and raises Stopped.

    The provenance of the weights names the digests of the pairs. Raises BadInput where no slice holds brain, or for a
    checkpoint of another run.
    """
    digests = {name: pairs[name].digest() for name in sorted(pairs)}
    about = {"settings": {**asdict(settings), "widths": list(settings.widths)}, "pairs": digests}
    losses: list[float] = []
    with reproducible(settings.threads):
        network = new_network(settings.seed, settings.widths, list(pairs.values()))
        slices = Slices(pairs, network.architecture, settings.crop)
        if not slices.brain.any():
            raise BadInput("no slice of these pairs holds brain, so there is nothing to learn from.")
        blank = network.head
        network.head = nn.Conv2d(blank.in_channels, 4 * VISITS, 3, 1, 1)
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-3)
        checkpoint = out.with_name(f"{out.stem}-checkpoint.safetensors")
        first = load_checkpoint(checkpoint, {"network": network}, optimiser, about) if checkpoint.is_file() else 0
        for step in range(first, settings.steps):
            if cancelled():
                save_checkpoint(checkpoint, step, {"network": network}, optimiser, about)
                raise Stopped(
                    f"The masked start was cancelled after {step} of {settings.steps} steps.", "Run it again."
                )
            losses.append(_step(network, optimiser, slices, settings, step))
            progress(step + 1, settings.steps, f"masked start: loss {losses[-1]:.3f}")
            if (step + 1) % settings.checkpoint_every == 0 and step + 1 < settings.steps:
                save_checkpoint(checkpoint, step + 1, {"network": network}, optimiser, about)
        network.head = blank
        save_weights(network.eval(), out, {"start": "masked autoencoder on unlabelled pairs", **about})
        checkpoint.unlink(missing_ok=True)
    return losses


def _step(
    network: ChangeNetwork, optimiser: torch.optim.Optimizer, slices: Slices, settings: MaskedStart, step: int
) -> float:
    """One step of the optimiser; returns the loss: mean squared error, in squared robust spreads of the brain."""
    random = np.random.default_rng([settings.seed, 43, step])
    torch.manual_seed(int(random.integers(2**31)))  # dropout
    inputs, target, counted = _batch(slices, settings, random)
    for group in optimiser.param_groups:
        rise = max(1, settings.steps // 10)
        fall = 0.5 * (1.0 + np.cos(np.pi * max(0, step - rise) / max(1, settings.steps - rise)))
        group["lr"] = settings.rate * min((step + 1) / rise, float(fall))
    loss = ((network(inputs) - target).square() * counted).sum() / (VISITS * counted.sum()).clamp(min=MASKED_LOSS_FLOOR)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _batch(slices: Slices, settings: MaskedStart, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Input with blanked blocks (n, 9, crop, crop), both visits (n, 2, crop, crop), where they count (n, 1, ...)."""
    with_brain = np.flatnonzero(slices.brain.any(axis=(1, 2)))
    size, cells = settings.crop, -(-settings.crop // settings.block)
    visits, brain = [], []
    for place in with_brain[random.integers(0, len(with_brain), settings.batch)]:
        near = np.argwhere(slices.brain[place])
        corner = near[random.integers(len(near))] - size // 2
        top, left = (int(np.clip(a, 0, whole - size)) for a, whole in zip(corner, slices.shape, strict=True))
        window = (slice(top, top + size), slice(left, left + size))
        flipped = [axis for axis in (-2, -1) if random.random() < 0.5]
        visits.append(slices.visits[slices.near[place]][:, :, window[0], window[1]].flip(flipped))
        brain.append(torch.from_numpy(slices.brain[place][window].copy()).flip(flipped))
    both = torch.stack(visits).float()
    grid = torch.from_numpy((random.random((settings.batch, 1, cells, cells)) < settings.masked).astype(np.float32))
    hidden = functional.interpolate(grid, scale_factor=settings.block, mode="nearest")[..., :size, :size]
    shown = 1.0 - hidden
    baseline, follow_up = both[:, :, 0] * shown, both[:, :, 1] * shown
    inputs = torch.cat((baseline, follow_up, follow_up - baseline), dim=1)
    middle = both.shape[1] // 2
    return inputs.contiguous(memory_format=torch.channels_last), both[:, middle], hidden * torch.stack(brain)[:, None]
