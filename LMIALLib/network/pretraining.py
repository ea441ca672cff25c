"""Training the bundled weights on synthetic pairs: one seeded command, resumable, logged, on a CPU or several GPUs."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from LMIALLib.cohorts.synthesis import Sample
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.calibration import calibrate, figures
from LMIALLib.network.checkpoint import load_checkpoint, save_checkpoint
from LMIALLib.network.device import device_facts, library_versions
from LMIALLib.network.distributed import Rank, this_rank
from LMIALLib.network.losses import change_loss
from LMIALLib.network.pretrain_config import PretrainConfig
from LMIALLib.network.pretraining_provenance import origin, samples_record
from LMIALLib.network.samples import SamplePool, SampleSource, make_pool
from LMIALLib.network.schedule import interpolate, newest_share, set_rate, warmed_cosine
from LMIALLib.network.weights import WeightsInfo, load_weights, save_weights
from LMIALLib.version import __version__

__all__ = ["PretrainConfig", "PretrainReport", "pretrain"]

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class PretrainReport:
    """What came out: digest of the weights, steps, seconds of this call, validation figures after each stage, and
    calibration (scale, shift, figures before it)."""

    digest: str
    steps: int
    seconds: float
    figures: tuple[dict[str, float], ...]
    calibration: dict[str, Any]


def pretrain(
    config: PretrainConfig,
    exclude: Collection[str],
    out: Path,
    *,
    log: Log = lambda entry: None,
    about: dict[str, Any] | None = None,
) -> PretrainReport | None:
    """Train a network on synthetic pairs and write its weights to ``out``.

    Args:
        config: see `PretrainConfig`.
        exclude: patients whose images and masks are left out, as "longitudinal/patient01" or "patient01".
        out: the weights file. ``<out>.samples`` and ``<out>.checkpoint`` beside it let a stopped run go on, to the
            same weights on a CPU, and are removed in the end.
        log: called with one dictionary per stage: samples made; step, loss and validation figures.
        about: further provenance (command, commit).

    Under torchrun each process draws its own batches, and the first does all else; the others return None. In the
    end logits are scaled on the even validation samples and judged on the odd ones: other slices of the same brains.
    Raises BadInput for samples or a checkpoint of another run and for unusable weights to start from, OSError when the
    disk refuses.
    """
    started = time.monotonic()
    torch.set_num_threads(config.threads)
    network, start = _network(config)
    config = replace(config, architecture=network.architecture)
    samples, checkpoint = Path(f"{out}.samples"), Path(f"{out}.checkpoint")
    with this_rank(config.device) as rank:
        source = SampleSource.prepare(config, exclude) if rank.first else None
        if source is not None:
            make_pool(source, samples, samples_record(source, exclude), lambda n, of: log({"samples": n, "of": of}))
        rank.wait()
        run = _Run(config, network, rank, SamplePool(config, samples))
        named = {"config": config.to_dict(), "exclude": sorted(exclude), "processes": rank.processes}
        named["start"] = start.digest if start else None
        stages = _train(run, source, checkpoint, named, log)
        if source is not None:
            if config.start is not None and config.kept > 0:
                interpolate(run.averaged, load_weights(Path(config.start))[0].to(rank.device), config.kept)
            provenance = {**(about or {}), **origin(source, exclude, start), **_outcome(run, source, started)}
            digest = save_weights(run.averaged, out, provenance)
        rank.wait()
    if source is None:
        return None
    del run  # closes the files of the samples, which Windows would not remove before
    checkpoint.unlink(missing_ok=True)
    shutil.rmtree(samples)
    final = {name: provenance[name] for name in ("validation", "calibration", "seconds")}
    log({"step": config.steps, **final})
    return PretrainReport(digest, config.steps, final["seconds"], stages, final["calibration"])


def _network(config: PretrainConfig) -> tuple[ChangeNetwork, WeightsInfo | None]:
    """The network to start from, and what its file says; a new one finds change as likely as it is, 1 %, everywhere."""
    if config.start is not None:
        return load_weights(Path(config.start))
    torch.manual_seed(config.seed)
    network = ChangeNetwork(config.architecture)
    assert network.head.bias is not None
    nn.init.constant_(network.head.bias, -4.6)
    return network, None


def _train(
    run: _Run, source: SampleSource | None, checkpoint: Path, named: dict[str, Any], log: Log
) -> tuple[dict[str, float], ...]:
    """Make the steps that are left; the process with the source judges and saves. Returns the figures of each stage."""
    config, stages = run.config, []
    first = load_checkpoint(checkpoint, run.parts, run.optimiser, named) if checkpoint.is_file() else 0
    run.rank.wait()
    losses: list[float] = []
    if source is not None and first == 0:
        stages.append(_stage(run, source.validation, 0, losses, log))
    for step in range(first, config.steps):
        losses.append(run.step(step))
        if source is not None and ((step + 1) % config.validate_every == 0 or step + 1 == config.steps):
            stages.append(_stage(run, source.validation, step + 1, losses, log))
            losses = []
            save_checkpoint(checkpoint, step + 1, run.parts, run.optimiser, named)
    return tuple(stages)


class _Run:
    """Network, averaged network and optimiser of one run."""

    def __init__(self, config: PretrainConfig, network: ChangeNetwork, rank: Rank, pool: SamplePool) -> None:
        self.config, self.rank, self.pool = config, rank, pool
        self.network = network.to(rank.device)
        self.trained = rank.joined(self.network)
        self.averaged = copy.deepcopy(self.network).eval()
        self.parts: dict[str, nn.Module] = {"network": self.network, "averaged": self.averaged}
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.rate)
        self.loss = change_loss()

    def step(self, number: int) -> float:
        """One optimiser step; returns the loss of this process's batch.

        Batch and dropout depend on seed, step and process alone, so that a resumed run equals an uninterrupted one.
        """
        config, device = self.config, torch.device(self.rank.device)
        draw = number * self.rank.processes + self.rank.number
        batch = self.pool.batch(draw).to(device)
        torch.manual_seed(config.seed * 1_000_003 + draw)
        set_rate(self.optimiser, learning_rate(config, number))
        self.trained.train()
        inputs = batch[:, :-2].contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16 or device.type == "cuda"):
            logits = self.trained(inputs)
        loss = self.loss(logits, batch[:, -2:-1], batch[:, -1:] > 0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        interpolate(self.averaged, self.network, newest_share(config.average, number))
        return float(loss.detach())


def _stage(run: _Run, validation: Collection[Sample], step: int, losses: list[float], log: Log) -> dict[str, float]:
    """Log the mean loss since the last time and the figures of the averaged network."""
    entry = {"step": float(step), "loss": float(np.mean(losses)) if losses else math.nan}
    entry |= figures(run.averaged, validation)
    log(entry)
    return entry


def _outcome(run: _Run, source: SampleSource, started: float) -> dict[str, Any]:
    """Calibrate the averaged network, and say how good it is, and what it took."""
    judged = source.validation[1::2]
    before = figures(run.averaged, judged)
    calibration = {**calibrate(run.averaged, source.validation[::2]), "before": before}
    return {
        "validation": figures(run.averaged, judged),
        "calibration": calibration,
        "versions": {**library_versions(), "lmial": __version__},
        "device": device_facts(run.rank.device)["name"],
        "processes": run.rank.processes,
        "seconds": time.monotonic() - started,
    }


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then cosine to 1 % of the highest rate."""
    return config.rate * warmed_cosine(step, config.steps, rising=config.warm_up, lowest=0.01)
