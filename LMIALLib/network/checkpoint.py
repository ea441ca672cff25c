"""A run that was stopped and goes on: network, averaged network, optimiser and step in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole

FORMAT = "lmial-checkpoint-1"


def save_checkpoint(
    path: Path, step: int, parts: dict[str, nn.Module], optimiser: torch.optim.Optimizer, about: dict[str, Any]
) -> None:
    """Write the state after ``step`` steps, whole or not at all; only a run with the same ``about`` will load it."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name, module in parts.items():
        tensors |= {f"{name}/{key}": value.detach().contiguous().clone() for key, value in module.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{key}": torch.as_tensor(value).clone() for key, value in state.items()}
    metadata = {"format": FORMAT, "step": str(step), "about": json.dumps(about, sort_keys=True)}
    with written_whole(Path(path)) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, metadata=metadata)


def load_checkpoint(
    path: Path, parts: dict[str, nn.Module], optimiser: torch.optim.Optimizer, about: dict[str, Any]
) -> int:
    """Bring modules and optimiser to the stored state and return its step. Raises BadInput for another run's file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as problem:
        raise BadInput(f"The checkpoint {path} is damaged: {problem}.", "Remove it to start over.") from problem
    if metadata.get("format") != FORMAT or metadata.get("about") != json.dumps(about, sort_keys=True):
        raise BadInput(f"The checkpoint {path} belongs to a run with other settings.", "Remove it to start over.")
    for name, module in parts.items():
        module.load_state_dict(_under(tensors, f"{name}/"))
    stored = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(tensors, "optimiser/").items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**stored, "state": state})
    return int(metadata["step"])


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
