"""The folds of a training as one file without pickles: what it holds, and the description in its header."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from LMIALLib.errors import BadInput
from LMIALLib.files import sha256_of, written_whole
from LMIALLib.json_data import Limits, parse_json, shaped
from LMIALLib.pipeline.nnunet.digests import note
from LMIALLib.pipeline.nnunet.places import ENSEMBLE, WorkFolder
from LMIALLib.pipeline.nnunet.plan_table import dataset_from, plan_from, splits_from

FORMAT = "nnunet-ensemble-1"


@dataclass(frozen=True)
class Ensemble:
    """Networks of one plan.

    Args:
        folds: state of each network, by name of its tensor.
        about: plans, dataset, splits, config, mirrored (axes that prediction may mirror), same (names of one tensor),
            kept (share of the weights that they started from).
    """

    folds: tuple[dict[str, torch.Tensor], ...]
    about: dict[str, Any]


def store(work: WorkFolder, ensemble: Ensemble) -> str:
    """Write an ensemble into ``ensemble.safetensors``. Returns its SHA-256."""
    from safetensors.torch import save_file

    tensors = {
        f"{fold}/{name}": value.contiguous()
        for fold, state in enumerate(ensemble.folds)
        for name, value in state.items()
        if name not in ensemble.about["same"]
    }
    about = json.dumps(ensemble.about, sort_keys=True)
    with written_whole(work.root / ENSEMBLE) as temporary:
        save_file(tensors, str(temporary), metadata={FORMAT: about})  # several have no order
    note(work.root, [work.root / ENSEMBLE])
    return sha256_of(work.root / ENSEMBLE)


def read_ensemble(path: Path) -> Ensemble:
    """The inverse of ``store``. Raises BadInput for another file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if FORMAT not in metadata:
                raise BadInput(f"{path} holds no nnU-Net ensemble.")
            about = about_from(parse_json(metadata[FORMAT], dict[str, Any], str(path)), str(path))
            folds: dict[str, dict[str, torch.Tensor]] = {}
            for key in file.keys():  # noqa: SIM118 - no mapping
                fold, _, name = key.partition("/")
                folds.setdefault(fold, {})[name] = file.get_tensor(key)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path} is missing or broken.", "Restore the study from a backup.") from error
    if sorted(folds) != sorted(str(fold) for fold in range(len(about["splits"]))):
        raise BadInput(f"{path} does not hold one network for each of its {len(about['splits'])} splits.")
    for tensors in folds.values():
        if not about["same"].keys().isdisjoint(tensors) or not tensors.keys() >= set(about["same"].values()):
            raise BadInput(f"{path} does not hold the tensors that it names.")
        tensors.update({name: tensors[known] for name, known in about["same"].items()})
    return Ensemble(tuple(folds[str(fold)] for fold in range(len(folds))), about)


@dataclass(frozen=True)
class _About:
    plans: dict[str, Any]
    dataset: dict[str, Any]
    splits: list[Any]
    config: Literal["2d", "3d_fullres"]
    mirrored: Annotated[list[Annotated[int, Limits(least=0, most=2)]], Limits(longest=3)]
    same: dict[str, str]
    kept: Annotated[float, Limits(least=0, most=1)] = 0.0


def about_from(found: dict[str, Any], where: str) -> dict[str, Any]:
    """The description of an ensemble, rebuilt from checked values, since nnU-Net builds its networks from it. Raises
    BadInput naming what is not known."""
    about = shaped(found, _About, where)
    plans = plan_from(about.plans, f"{where}: plans")
    if about.config not in plans["configurations"]:
        raise BadInput(f"{where}: plans has no configuration {about.config}.")
    return {
        "plans": plans,
        "dataset": dataset_from(about.dataset, f"{where}: dataset"),
        "splits": splits_from(about.splits, f"{where}: splits"),
        "config": about.config,
        "mirrored": about.mirrored,
        "same": about.same,
        **({"kept": about.kept} if "kept" in found else {}),
    }
