"""What shapes an nnU-Net training; written into everything that came of it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from LMIALLib.errors import WrongUse

CONFIGURATIONS = ("2d", "3d_fullres")
SIZES = ("full", "small", "tiny")
DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,2})?")
FINETUNING_RATE = 1e-3
"""Learning rate of a fine-tuning, a tenth of nnU-Net's own: what was pretrained shall bend, not break."""


@dataclass(frozen=True)
class NnunetSettings:
    """How nnU-Net plans and trains.

    Args:
        config: "2d" (slice by slice) or "3d_fullres".
        epochs: of one training; nnU-Net's own number is 1000, which is days on a GPU.
        iterations: batches in an epoch; nnU-Net's own number. A tenth as many on subjects held out follow.
        folds: trainings that make the ensemble of the fine-tuning, fewer where there are fewer subjects.
        learning_rate: at the first epoch; nnU-Net's is 0.01.
        seed: of weights, batches and augmentation; on a CPU with no worker the same seed gives the same weights.
        device: "auto" or a torch device.
        workers: processes that prepare batches; none on a CPU, whose cores train.
        size: "full" is nnU-Net's own plan; "small" shrinks patch, widths and resolution for a machine without a GPU,
            "tiny" patch and widths for trying things.
    """

    config: str = "3d_fullres"
    epochs: int = 250
    iterations: int = 250
    folds: int = 5
    learning_rate: float = 1e-2
    seed: int = 0
    device: str = "auto"
    workers: int = 4
    size: str = "full"

    def __post_init__(self) -> None:
        if self.config not in CONFIGURATIONS:
            raise WrongUse(f"the configuration {self.config!r} is unknown; use one of {', '.join(CONFIGURATIONS)}.")
        if self.size not in SIZES:
            raise WrongUse(f"the size {self.size!r} is unknown; use one of {', '.join(SIZES)}.")
        if not DEVICE.fullmatch(self.device):
            raise WrongUse(f"the device {self.device[:40]!r} is unknown; use auto, cpu or cuda.")
        for name, value, least, most in (
            ("epochs", self.epochs, 1, 100_000),
            ("iterations", self.iterations, 1, 100_000),
            ("folds", self.folds, 2, 100),
            ("seed", self.seed, 0, 2**31),
            ("workers", self.workers, 0, 256),
            ("learning_rate", self.learning_rate, 0, 10),
        ):
            if not least <= value <= most:
                raise WrongUse(f"{name} is {value}; expected {least} to {most}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @property
    def of_training(self) -> dict[str, Any]:
        """What a finished or half-finished training depends on, beside its data and plan; JSON-ready."""
        names = ("epochs", "iterations", "learning_rate", "seed")
        return {name: getattr(self, name) for name in names}
