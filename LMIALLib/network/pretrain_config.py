"""Everything that shapes a pretraining run, as one frozen value that is stored with the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL
from LMIALLib.cohorts.synthesis import Synthesis
from LMIALLib.errors import BadInput
from LMIALLib.network.architecture import Architecture


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that shapes a pretraining run; stored in the weights' provenance.

    Args:
        steps: optimiser steps.
        batch: samples a step.
        rate: highest learning rate (AdamW, linear warm-up over ``warm_up`` steps, then cosine to 1 % of it).
        weight_decay: of AdamW, on convolution weights only.
        average: decay of the running average of the weights that is saved in the end.
        seed: of samples, initial weights and dropout.
        phantoms: synthetic heads among the backgrounds, about 6 s each.
        data: the folder open_ms with real time points, or None for phantoms only.
        validation: backgrounds never trained on, that figures during training come from.
        validation_samples: how many samples those figures come from.
        validate_every: steps between two figures, and between two checkpoints.
        workers: processes that make samples beside the training.
        threads: CPU threads of the training itself.
        bfloat16: compute convolutions in bfloat16 (parameters stay float32).
        synthesis: strengths of all effects.
        architecture: the network.
    """

    steps: int = 3600
    batch: int = 16
    rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 5e-2
    average: float = 0.998
    seed: int = 0
    phantoms: int = 6
    data: str | None = None
    validation: tuple[str, ...] = (f"{CROSS_SECTIONAL}/patient07",)
    validation_samples: int = 96
    validate_every: int = 600
    workers: int = 1
    threads: int = 1
    bfloat16: bool = True
    synthesis: Synthesis = field(default_factory=Synthesis)
    architecture: Architecture = field(default_factory=Architecture)

    @classmethod
    def from_file(cls, path: Path) -> PretrainConfig:
        """Read a JSON file with any of the fields. Raises BadInput for names or values that are unknown."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as problem:
            raise BadInput(f"The configuration {path} cannot be used: {problem}.") from problem

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PretrainConfig:
        """From a JSON-ready dictionary; fields left out keep their defaults. Raises TypeError for unknown names."""
        values = dict(values)
        if "synthesis" in values:
            values["synthesis"] = Synthesis(
                **{name: tuple(v) if isinstance(v, list) else v for name, v in values["synthesis"].items()}  # type: ignore[arg-type]
            )
        if "architecture" in values:
            values["architecture"] = Architecture.from_dict({**Architecture().to_dict(), **values["architecture"]})
        if "validation" in values:
            values["validation"] = tuple(values["validation"])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the place of the data is left out, because it is a path of this machine."""
        return {**asdict(self), "architecture": self.architecture.to_dict(), "data": self.data is not None}
