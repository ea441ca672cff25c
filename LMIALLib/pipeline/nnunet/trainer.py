"""nnU-Net's trainer as LMIAL uses it: epochs and iterations given, resumable at every epoch, no file half written.

nnU-Net finds trainers by name by importing all of its own ones first, some of which need a torchvision that imports;
so the process makes this class itself. Beside that it is an ordinary trainer, found through ``nnUNet_extTrainer`` too.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from LMIALLib.pipeline.nnunet.digests import check, put_in_place

REPORT_EVERY = 0.5
"""Seconds between two reports of how far the training is."""


class LMIALTrainer(nnUNetTrainer):
    """See the module. Set ``num_epochs``, ``num_iterations_per_epoch`` and the like before ``initialize``.

    Attributes:
        seed: weights, batches and augmentation of an epoch depend on it and the epoch alone (on a CPU without worker
            processes), so that a training that was killed and resumed ends as one that was not.
        root: the work folder, whose ledger knows the checkpoints.
        report: called with (iterations done, in all, figures).
    """

    current_epoch: int
    _best_ema: Any
    seed = 0
    root: Path
    report: Callable[..., None] = staticmethod(lambda done, total, **figures: None)

    def initialize(self) -> None:
        """Weights from the seed; every epoch leaves a checkpoint."""
        self.save_every = 1
        self._began, self._reported, self._iteration, self._first = time.monotonic(), 0.0, 0, self.current_epoch
        self._seed(0)
        super().initialize()
        self.logger.plot_progress_png = lambda output_folder: None  # seconds an epoch, and the figures are reported

    def _do_i_compile(self) -> bool:
        return False

    def plot_network_architecture(self) -> None:
        """No picture of the network."""

    def _save_debug_information(self) -> None:
        """nnU-Net would note the name of the machine."""

    def print_to_log_file(self, *words: Any, also_print_to_console: bool = True, add_timestamp: bool = True) -> None:
        """nnU-Net's log under one short name, so that paths stay short."""
        self.log_file = os.path.join(self.output_folder, "log.txt")
        super().print_to_log_file(*words, also_print_to_console=also_print_to_console, add_timestamp=add_timestamp)

    def on_epoch_start(self) -> None:
        """Chance begins anew with each epoch."""
        self._seed(self.current_epoch + 1)
        self._iteration = 0
        super().on_epoch_start()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One batch; now and then it reports how far the training is."""
        result = super().train_step(batch)
        self._iteration += 1
        if not np.isfinite(result["loss"]).all():
            raise FloatingPointError("the loss of nnU-Net is not a number")
        if time.monotonic() - self._reported > REPORT_EVERY:
            self._report()
        return dict(result)

    def on_epoch_end(self) -> None:
        """Checkpoint and figures."""
        super().on_epoch_end()
        self._iteration = 0
        self._report()

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's checkpoint, whole or not at all, known by its digest, and without numpy objects in it.

        The one of the best epoch is not written: nothing here reads it.
        """
        file = Path(filename)
        if file.name == "checkpoint_best.pth":
            return
        logged = self.logger.local_logger.my_fantastic_logging
        for values in logged.values():
            values[:] = [_plain(value) for value in values]
        self._best_ema = _plain(self._best_ema)
        temporary = file.with_name(f".{file.name}")
        super().save_checkpoint(str(temporary))
        put_in_place(self.root, temporary, file)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Go on from a checkpoint that this trainer wrote in the work folder; nothing in it is run."""
        check(self.root, [Path(filename_or_checkpoint)])
        if not self.was_initialized:
            self.initialize()
        stored = torch.load(filename_or_checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(stored["network_weights"])
        self.optimizer.load_state_dict(stored["optimizer_state"])
        if self.grad_scaler is not None and stored["grad_scaler_state"] is not None:
            self.grad_scaler.load_state_dict(stored["grad_scaler_state"])
        self.logger.load_checkpoint(stored["logging"])
        self.current_epoch = self._first = stored["current_epoch"]
        self._best_ema = stored["_best_ema"]
        self.inference_allowed_mirroring_axes = stored["inference_allowed_mirroring_axes"]

    def _seed(self, part: int) -> None:
        state = np.random.SeedSequence([self.seed, int(self.fold), part]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        torch.manual_seed(int(state[2]))

    def _report(self) -> None:
        self._reported = time.monotonic()
        in_epoch, total = self.num_iterations_per_epoch, self.num_epochs * self.num_iterations_per_epoch
        done = min(self.current_epoch * in_epoch + self._iteration, total)
        here = done - self._first * in_epoch
        left = (self._reported - self._began) / here * (total - done) if here else None
        figures = {"epoch": min(self.current_epoch + 1, self.num_epochs), "epochs": self.num_epochs}
        for name, key in (("loss", "train_losses"), ("dice", "mean_fg_dice")):
            values = self.logger.get_value(key, step=None)
            if values:
                figures[name] = float(values[-1])
        self.report(done, total, seconds_left=left, **figures)


def _plain(value: Any) -> Any:
    """Numbers of numpy as numbers of Python, also in lists."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic | np.ndarray) else value
