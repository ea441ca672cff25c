"""Training the bundled weights on synthetic pairs: one seeded command, resumable, logged."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from LMIALLib.cohorts.backgrounds import CITATIONS
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.calibration import calibrate, figures
from LMIALLib.network.checkpoint import load_checkpoint, save_checkpoint
from LMIALLib.network.device import library_versions
from LMIALLib.network.losses import change_loss
from LMIALLib.network.pretrain_config import PretrainConfig
from LMIALLib.network.samples import SampleSource
from LMIALLib.network.weights import save_weights

__all__ = ["PretrainConfig", "PretrainReport", "pretrain"]


@dataclass(frozen=True)
class PretrainReport:
    """What came out: digest of the weights, steps, seconds of this call, and validation figures after each stage."""

    digest: str
    steps: int
    seconds: float
    figures: tuple[dict[str, float], ...]
    calibration: dict[str, float]


def pretrain(
    config: PretrainConfig,
    exclude: Collection[str],
    out: Path,
    *,
    log: Callable[[dict[str, Any]], None] = lambda entry: None,
    about: dict[str, Any] | None = None,
) -> PretrainReport:
    """Train a network on synthetic pairs and write its weights to ``out``.

    Args:
        config: see `PretrainConfig`.
        exclude: patients whose images and masks are left out, as "longitudinal/patient01" or "patient01".
        out: the weights file; ``<out>.checkpoint`` beside it lets a stopped run go on, and is removed in the end.
        log: called with one dictionary per stage: step, loss, learning rate, validation figures.
        about: further provenance (command, commit).

    Raises BadInput for a checkpoint of another run, OSError when the disk refuses.
    """
    started = time.monotonic()
    torch.set_num_threads(config.threads)
    source = SampleSource.prepare(config, exclude)
    run = _Run(config, source)
    named = {"config": config.to_dict(), "exclude": sorted(exclude)}
    checkpoint = Path(f"{out}.checkpoint")
    first = run.resume(checkpoint, named) if checkpoint.is_file() else 0
    losses: list[float] = []
    if first == 0:
        run.judge(0, log, losses)
    for step, batch in enumerate(source.batches(first, config.steps), start=first):
        losses.append(run.step(step, batch))
        if (step + 1) % config.validate_every == 0 or step + 1 == config.steps:
            run.judge(step + 1, log, losses)
            losses = []
            save_checkpoint(checkpoint, step + 1, run.parts, run.optimiser, named)
    calibration = calibrate(run.averaged, source.validation)
    final = figures(run.averaged, source.validation)
    provenance = {
        **(about or {}),
        "config": config.to_dict(),
        "excluded": sorted(exclude),
        "backgrounds": sorted({b.name for b in source.backgrounds}),
        "shapes": list(source.shapes.sources()),
        "validation": final,
        "calibration": calibration,
        "versions": library_versions(),
        "citations": list(CITATIONS) if config.data else [],
    }
    digest = save_weights(run.averaged, out, provenance)
    checkpoint.unlink(missing_ok=True)
    report = PretrainReport(digest, config.steps, time.monotonic() - started, tuple(run.figures), calibration)
    log({"step": config.steps, "final": final, "calibration": calibration, "seconds": report.seconds})
    return report


class _Run:
    """Network, averaged network and optimiser of one run."""

    def __init__(self, config: PretrainConfig, source: SampleSource) -> None:
        torch.manual_seed(config.seed)
        self.config, self.source = config, source
        self.network = ChangeNetwork(config.architecture)
        _start_doubtful(self.network)
        self.averaged = copy.deepcopy(self.network).eval()
        self.parts: dict[str, nn.Module] = {"network": self.network, "averaged": self.averaged}
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.rate)
        self.loss = change_loss()
        self.figures: list[dict[str, float]] = []

    def resume(self, path: Path, named: dict[str, Any]) -> int:
        """Go on from a checkpoint; returns the next step."""
        return load_checkpoint(path, self.parts, self.optimiser, named)

    def step(self, number: int, batch: Tensor) -> float:
        """One optimiser step; dropout depends on seed and step, so that a resumed run equals an uninterrupted one."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + number)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, number)
        self.network.train()
        inputs = batch[:, :3].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            logits = self.network(inputs)
        loss = self.loss(logits, batch[:, 3:4], batch[:, 4:5] > 0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        average_into(self.averaged, self.network, min(config.average, (1 + number) / (10 + number)))
        return float(loss.detach())

    def judge(self, step: int, log: Callable[[dict[str, Any]], None], losses: list[float]) -> None:
        """Log the mean loss since the last time and the figures of the averaged network."""
        found = figures(self.averaged, self.source.validation)
        mean = float(np.mean(losses)) if losses else math.nan
        entry = {"step": float(step), "loss": mean, **found}
        self.figures.append(entry)
        log(entry)


def _start_doubtful(network: ChangeNetwork) -> None:
    """Begin with a probability of 1 % everywhere, about the share of change."""
    assert network.head.bias is not None
    nn.init.constant_(network.head.bias, -4.6)


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then cosine to 1 % of the highest rate."""
    if step < config.warm_up:
        return config.rate * (step + 1) / config.warm_up
    part = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


def average_into(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average (Polyak averaging) of weights and statistics towards the network, in place."""
    with torch.no_grad():
        for ours, theirs in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
            if ours.dtype.is_floating_point:
                ours.lerp_(theirs, 1.0 - decay)
            else:
                ours.copy_(theirs)
