"""Everything that shapes a pretraining run, as one frozen value that is stored with the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL, LONGITUDINAL
from LMIALLib.cohorts.synthesis import Synthesis
from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, read_json, shaped
from LMIALLib.network.architecture import Architecture

VALIDATION_SHAPES = (
    f"{CROSS_SECTIONAL}/patient07",
    *(f"{LONGITUDINAL}/patient{number:02d}" for number in (4, 6, 11, 16)),
    *(f"{CROSS_SECTIONAL}/patient{number:02d}" for number in (4, 10, 16, 22, 28)),
)
"""Patients whose lesions shape the validation samples, and no training sample."""

OF_TRAINING = (
    *("steps", "batch", "rate", "weight_decay", "warm_up", "average", "start", "kept", "architecture"),
    *("validation_samples", "validate_every", "workers", "threads", "device", "bfloat16"),
)
"""Fields that no sample of the pool depends on."""


_Count = Annotated[int, Limits(least=1, most=1_000_000_000)]
_Share = Annotated[float, Limits(least=0, most=1)]


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that shapes a pretraining run; stored in the weights' provenance.

    Args:
        steps: optimiser steps.
        batch: samples a step, in each process.
        pool: samples that are made before the first step, and drawn again and again, mirrored and turned.
        rate: highest learning rate (AdamW, linear warm-up over ``warm_up`` steps, then cosine to 1 % of it).
        weight_decay: of AdamW, on convolution weights only.
        average: decay of the running average of the weights that is saved in the end.
        seed: of samples, initial weights and dropout.
        phantoms: synthetic heads among the backgrounds, about 6 s each.
        data: the folder open_ms with real time points, or None for phantoms only.
        validation: backgrounds never trained on, that figures during training come from.
        validation_shapes: patients whose lesion shapes are painted into validation samples only.
        validation_samples: how many samples those figures come from.
        validate_every: steps between two figures, and between two checkpoints.
        workers: processes that make the pool.
        threads: CPU threads of the training itself.
        device: "cpu", "cuda", or "auto" (GPUs if there are any; one per process that torchrun starts).
        bfloat16: compute convolutions in bfloat16 on a CPU (parameters stay float32); a GPU always does.
        start: weights to begin from, or None for random ones.
        kept: share of those weights in the result, on the straight way between both (arXiv 2109.01903).
        synthesis: strengths of all effects.
        architecture: the network; that of ``start`` if given.
    """

    steps: _Count = 6000
    batch: _Count = 16
    pool: _Count = 32_000
    rate: Annotated[float, Limits(least=0)] = 2e-3
    warm_up: Natural = 100
    weight_decay: Annotated[float, Limits(least=0)] = 5e-2
    average: _Share = 0.999
    seed: Natural = 0
    phantoms: Natural = 12
    data: str | None = None
    validation: tuple[str, ...] = (f"{CROSS_SECTIONAL}/patient07", f"{LONGITUDINAL}/patient04")
    validation_shapes: tuple[str, ...] = VALIDATION_SHAPES
    validation_samples: _Count = 160
    validate_every: _Count = 1500
    workers: Natural = 2
    threads: _Count = 2
    device: str = "auto"
    bfloat16: bool = False
    start: str | None = None
    kept: _Share = 0.0
    synthesis: Synthesis = field(default_factory=Synthesis)
    architecture: Architecture = field(default_factory=Architecture)

    @classmethod
    def from_file(cls, path: Path) -> PretrainConfig:
        """Read a JSON file with any of the fields. Raises BadInput for names or values that are unknown."""
        try:
            return cls.from_dict(read_json(Path(path), dict[str, Any]))
        except (OSError, ValueError, TypeError, KeyError) as problem:
            raise BadInput(f"The configuration {path} cannot be used: {problem}.") from problem

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PretrainConfig:
        """From a JSON-ready dictionary; fields left out keep their defaults.

        Raises TypeError for unknown names, BadInput, naming the field, for a value of another type or out of its range.
        """
        for part, shape in ((values, cls), (values.get("synthesis"), Synthesis)):
            unknown = sorted(set(part) - {one.name for one in fields(shape)}) if isinstance(part, dict) else []
            if unknown:
                raise TypeError(f"unknown: {unknown[0]!a}")
        given = values.get("architecture")
        if isinstance(given, dict):
            Architecture.from_dict({**Architecture().to_dict(), **given})
        return shaped(json.loads(json.dumps(values)), cls, "the configuration")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the places of data and start are left out, because they are paths of this machine."""
        return {
            **asdict(self),
            "architecture": self.architecture.to_dict(),
            "data": self.data is not None,
            "start": self.start is not None,
        }

    def of_samples(self) -> dict[str, Any]:
        """What shapes the samples of the pool, JSON-ready: all fields but those of training alone."""
        return {name: value for name, value in self.to_dict().items() if name not in OF_TRAINING}
