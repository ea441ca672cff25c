"""Fine-tuning on very few annotated slices, without forgetting what the model could do before."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.metrics.voxels import dice
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.checkpoint import load_checkpoint, save_checkpoint
from LMIALLib.network.device import chosen_device, library_versions, reproducible
from LMIALLib.network.example_metrics import guard_dice, read_figures
from LMIALLib.network.finetune_settings import FinetuneSettings
from LMIALLib.network.finetuning_batches import Example, FinetuningBatches
from LMIALLib.network.held_out import HeldOut, folds
from LMIALLib.network.losses import change_loss
from LMIALLib.network.report import FinetuneReport
from LMIALLib.network.schedule import interpolate, newest_share, set_rate
from LMIALLib.network.weights import load_weights, save_weights
from LMIALLib.network.work_time import WorkTime
from LMIALLib.progress import Cancelled, Progress, ignore

__all__ = ["Example", "FinetuneReport", "FinetuneSettings", "finetune"]


def finetune(
    weights: Path,
    examples: Sequence[Example],
    unread: Sequence[Example],
    out: Path,
    *,
    settings: FinetuneSettings | None = None,
    checkpoint: Path | None = None,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> FinetuneReport:
    """Go on training a model on slices that a person read, and write the result to ``out``.

    Args:
        weights: the model to start from.
        examples: slices that were read, at least one.
        unread: slices that were not. They are never taken for "no change": there the new model is kept
            near the old one's predictions.
        out: the new weights file, written whole or not at all.
        settings: see `FinetuneSettings`.
        checkpoint: file that lets a stopped run go on; removed when the run is complete.
        progress: called before each step, and before each other part that takes a second, as ("finetune", steps done,
            steps in all, loss=..., dice=...). The time that it takes is not the run's: it may do something more urgent
            there, see `device.apart`.
        cancelled: called before each step; True raises Cancelled.

    Batch normalisation keeps its statistics: those of a few slices are not the pool's. In the end the logits are
    shifted to where the reader draws the line, as far as held-out slices agree (see `HeldOut.shift`). Raises ValueError
    without examples, BadInput for unusable weights or a checkpoint of another run, Cancelled when cancelled.
    """
    if not examples:
        raise ValueError("fine-tuning needs at least one slice that was read")
    time_used, settings = WorkTime(), settings or FinetuneSettings()
    uncounted = time_used.not_counting(progress)
    while True:
        try:
            with reproducible(settings.threads):
                run = _Run(weights, examples, unread, settings)
                steps = _trained(run, time_used, checkpoint, uncounted, cancelled)
                held_out = _held_out(run, steps, weights, unread, uncounted, cancelled)
                uncounted("finetune", run.steps_in_all, run.steps_in_all, **run.figures())
                report = run.finish(out, steps, time_used, held_out)
            break
        except torch.OutOfMemoryError:
            if run_on_cpu(settings):
                raise MemoryError("There is not enough memory to fine-tune on the CPU.") from None
            settings = replace(settings, device="cpu")
            _forgotten(checkpoint)
    _forgotten(checkpoint)
    return report


def run_on_cpu(settings: FinetuneSettings) -> bool:
    """Whether these settings mean the CPU on this machine."""
    return chosen_device(settings.device) == "cpu"


def _forgotten(checkpoint: Path | None) -> None:
    """Remove a checkpoint, if there is one."""
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)


def _trained(
    run: _Run,
    time_used: WorkTime,
    checkpoint: Path | None,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> int:
    """Make the steps that are left, and return how many were made in all."""
    settings, done = run.settings, 0
    if checkpoint is not None and Path(checkpoint).is_file():
        done = load_checkpoint(checkpoint, run.parts, run.optimiser, run.about)
    for step in range(done, settings.steps):
        if settings.minutes is not None and time_used.seconds() > 60 * settings.minutes / (1 + run.halves):
            break
        if cancelled():
            raise Cancelled(f"Fine-tuning was cancelled after {step} of {settings.steps} steps.")
        progress("finetune", step, run.steps_in_all, **run.figures())
        run.step(step)
        done = step + 1
        if checkpoint is not None and done % settings.checkpoint_every == 0:
            save_checkpoint(checkpoint, done, run.parts, run.optimiser, run.about)
    return done


def _held_out(
    run: _Run,
    steps: int,
    weights: Path,
    unread: Sequence[Example],
    progress: Progress,
    cancelled: Callable[[], bool],
) -> HeldOut:
    """Learn twice from half of the read slices, in as many steps, and judge on the other half."""
    found, settings = HeldOut(), run.settings
    for turn, (learned, kept_back) in enumerate(folds(run.examples), start=1):
        progress("finetune", turn * settings.steps, run.steps_in_all, **run.figures())
        half = _Run(weights, learned, unread, settings)
        for step in range(steps):
            if cancelled():
                raise Cancelled("Fine-tuning was cancelled while it was being judged.")
            progress("finetune", turn * settings.steps + step, run.steps_in_all, **run.figures())
            half.step(step)
        progress("finetune", turn * settings.steps + steps, run.steps_in_all, **run.figures())
        interpolate(half.averaged, half.old, settings.kept)
        found.add(half.old, half.averaged, kept_back)
    return found


class _Run:
    """Both models, the optimiser and the batches of one run."""

    def __init__(
        self,
        weights: Path,
        examples: Sequence[Example],
        unread: Sequence[Example],
        settings: FinetuneSettings,
    ) -> None:
        self.settings, self.examples = settings, examples
        self.device = chosen_device(settings.device)
        network, self.info = load_weights(weights)
        self.old = network.to(self.device)
        self.new = copy.deepcopy(self.old)
        pixels = network.architecture.pixels
        self.batches = FinetuningBatches(examples, unread, size=settings.size, seed=settings.seed, pixels=pixels)
        trained = [p for p in self.new.parameters() if p.ndim > 1 or p is self.new.head.bias]
        for parameter in self.new.parameters():
            parameter.requires_grad_(any(parameter is t for t in trained))
        self.optimiser = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=0.0)
        self.averaged = copy.deepcopy(self.new)
        self.parts: dict[str, nn.Module] = {"network": self.new, "averaged": self.averaged}
        self.loss = change_loss()
        self.losses: list[float] = []
        self.overlaps: list[float] = []
        self.about = {"settings": asdict(settings), "start": self.info.digest, "examples": len(examples)}
        self.before = read_figures(self.old, examples)
        self.halves = len(folds(examples))
        self.steps_in_all = settings.steps * (1 + self.halves)

    def step(self, number: int) -> None:
        """One optimiser step; every random choice depends on seed and step."""
        settings = self.settings
        torch.manual_seed(settings.seed * 1_000_003 + number)
        falling = 0.55 + 0.45 * math.cos(math.pi * number / settings.steps)  # from the first step on, rising or not
        set_rate(self.optimiser, settings.rate * min((number + 1) / 10, falling))
        learning(self.new)
        loss = self._labelled_loss(number)
        if settings.unread and self.batches.unread:
            loss = loss + settings.opinion * self._unread_loss(number)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in self.new.parameters() if p.requires_grad], 1.0)
        self.optimiser.step()
        interpolate(self.averaged, self.new, newest_share(settings.average, number))
        self.losses.append(float(loss.detach()))

    def _labelled_loss(self, number: int) -> Tensor:
        """Loss on what was read and on what was painted."""
        batches = [self.batches.annotated(number, self.settings.annotated)]
        if self.settings.painted and self.batches.backgrounds:
            batches.append(self.batches.painted(number, self.settings.painted))
        inputs = torch.cat([batch.inputs for batch in batches]).to(self.device)
        target = torch.cat([batch.target for batch in batches]).to(self.device)
        counted = torch.cat([batch.counted for batch in batches]).to(self.device)
        logits = self.new(inputs)
        read = counted & (torch.arange(len(counted), device=self.device) < len(batches[0].target))[:, None, None, None]
        called, truth = (value[read].detach().cpu().numpy() for value in (logits > 0, target > 0.5))
        self.overlaps.append(dice(called, truth, empty=1.0))
        return self.loss(logits, target, counted)

    def _unread_loss(self, number: int) -> Tensor:
        """Cross-entropy with the old model's probabilities where nobody read, above that of the old model itself."""
        batch = self.batches.unread_slices(number, self.settings.unread)
        inputs, brain = batch.inputs.to(self.device), batch.brain.to(self.device)
        with torch.no_grad():
            predicted = torch.sigmoid(self.old(inputs))
        return divergence_loss(self.new(inputs), predicted, brain)

    def figures(self) -> dict[str, float]:
        """Mean over the last ten steps of the loss, and of Dice on crops that were read; nothing before the first."""
        if not self.losses:
            return {}
        return {"loss": float(np.mean(self.losses[-10:])), "dice": float(np.mean(self.overlaps[-10:]))}

    def _safe(self, guard: float) -> tuple[ChangeNetwork, float]:
        """The averaged network, as far on the way back to the old one as the synthetic set requires, and how far."""
        kept = self.settings.kept
        while True:
            network = copy.deepcopy(self.averaged)
            interpolate(network, self.old, kept)
            if kept >= 1.0 or guard_dice(network) >= guard - self.settings.forgotten:
                return network, kept
            kept = min(1.0, kept + 0.2)

    def finish(self, out: Path, steps: int, time_used: WorkTime, held_out: HeldOut) -> FinetuneReport:
        """Go part of the way back to the old weights, shift, save, and compare both models.

        Its Dice on the synthetic set is measured before the shift, because a reader who draws lines elsewhere
        than that set has not made the model forget.
        """
        before = guard_dice(self.old)
        self.new, kept = self._safe(before)
        guard_after, shift, judged = guard_dice(self.new), held_out.shift(), held_out.dice()
        with torch.no_grad():
            assert self.new.head.bias is not None
            self.new.head.bias.add_(shift)
        finite = all(bool(torch.isfinite(value).all()) for value in self.new.state_dict().values())
        digest = ""
        if finite:
            provenance = {"parent": self.info.digest, "settings": asdict(self.settings), "steps": steps}
            provenance |= {"kept": kept, "shift": shift, "versions": library_versions()}
            digest = save_weights(self.new.cpu(), out, provenance)
            self.new = load_weights(out)[0].to(self.device)
        after = read_figures(self.new, self.examples)
        tenth = max(1, len(self.losses) // 10)
        losses = tuple(float(np.mean(self.losses[i : i + tenth])) for i in range(0, len(self.losses), tenth))
        return FinetuneReport(
            digest=digest,
            steps=steps,
            losses=losses,
            examples=len(self.examples),
            dice_before=self.before[0],
            dice_after=after[0],
            held_out_before=judged[0] if judged else None,
            held_out_after=judged[1] if judged else None,
            false_before=self.before[1],
            false_after=after[1],
            guard_before=before,
            guard_after=guard_after,
            finite=finite and bool(np.isfinite(losses).all()),
            kept=kept,
            shift=shift,
            seconds=time_used.seconds(),
        )


def divergence_loss(logits: Tensor, predicted: Tensor, brain: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence (nats) from the old model's probabilities, over brain; 0 where both agree."""
    cross = functional.binary_cross_entropy_with_logits(logits, predicted, reduction="none")
    clear = predicted.clamp(1e-6, 1 - 1e-6)
    own = -(predicted * clear.log() + (1 - predicted) * (1 - clear).log())
    return ((cross - own) * brain).sum() / brain.sum().clamp(min=1)


def learning(network: ChangeNetwork) -> None:
    """Training mode with dropout, but every normalisation layer keeps its statistics."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
