"""An nnInteractive model from a local folder (an nnU-Net v2 training output), opened so that nothing in it can run.

nnInteractive reads its checkpoint as an ordinary pickle and lets ``plans.json`` name the class of the network. Here
torch is made to read weights only (its own switch TORCH_FORCE_WEIGHTS_ONLY_LOAD; beside tensors only numpy's plain
numbers are allowed, which nnU-Net logs), and the network may only be one that `network_plan` names.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, WrongUse, first_line
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.teachers.network_plan import check_capabilities, check_network
from LMIALLib.pipeline.weight_files import existing_folder, files_digest, json_in

WHAT = "nnInteractive"
CHECKPOINT = "checkpoint_final.pth"
CAPABILITIES = ("inference_info.json", "inference_session_class.json")
SWITCH = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True)
class LoadedSession:
    """A session with its model, the digest of the model's files, and the licence that it states."""

    session: Any
    digest: str
    licence: str


def load_nninteractive(folder: Path, device: str, threads: int) -> LoadedSession:
    """A real ``nnInteractiveInferenceSession`` of nnInteractive 2 with the model of a local folder.

    Raises BadInput when the folder is missing, incomplete, of another architecture, damaged, or its checkpoint holds
    more than weights; WrongUse when nnInteractive is not installed.
    """
    folder = existing_folder(folder, WHAT)
    plans = json_in(folder / "plans.json", "it describes the network")
    json_in(folder / "dataset.json", "it describes the channels")
    capabilities = next((folder / name for name in CAPABILITIES if (folder / name).is_file()), None)
    if capabilities is None:
        raise BadInput(
            f"The folder {folder} is no model of nnInteractive or is incomplete: {CAPABILITIES[0]} is missing."
        )
    checkpoint = _checkpoint(folder)
    check_network(plans, folder / "plans.json")
    check_capabilities(read_json(capabilities, Any), capabilities)
    Session = _session_class()  # noqa: N806 - it is a class
    try:
        with quiet(), _weights_only():
            import torch

            session = Session(
                device=torch.device(device), torch_n_threads=threads, enable_undo=False, interactions_storage="auto"
            )
            session.initialize_from_trained_model_folder(str(folder), checkpoint.parent.name.removeprefix("fold_"))
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{checkpoint} holds more than weights; LMIAL does not open it, because such a pickle can run code.",
            "Take the checkpoint as it was published.",
        ) from error
    except Exception as error:  # nnU-Net asserts, and torch raises whatever a file that was cut makes of itself
        raise BadInput(
            f"The model in {folder} cannot be loaded: its plans and its weights do not fit, or it is damaged "
            f"({first_line(error)})."
        ) from error
    digest = files_digest([checkpoint, folder / "plans.json", folder / "dataset.json", capabilities])
    return LoadedSession(session, digest, str(getattr(session, "license", "") or ""))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what nnInteractive prints off standard output, which belongs to LMIAL's documents."""
    with redirect_stdout(io.StringIO()):
        yield


def _session_class() -> Any:
    try:
        with quiet():
            from nnInteractive.inference.inference_session import nnInteractiveInferenceSession
    except ImportError as error:
        raise WrongUse(
            f"nnInteractive as teacher needs the package nnInteractive 2; it cannot be imported ({first_line(error)}).",
            "pip install 'lmial[nninteractive]' torch==<the version you have>, or pip may bring another torch.",
        ) from error
    return nnInteractiveInferenceSession


def _checkpoint(folder: Path) -> Path:
    """The checkpoint of the only fold there is. Raises BadInput when there is none or more."""
    found = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if len(found) != 1:
        raise BadInput(f"The folder {folder} holds {len(found)} files fold_*/{CHECKPOINT}; a model of {WHAT} has one.")
    return found[0]


@contextmanager
def _weights_only() -> Iterator[None]:
    """Inside the block every ``torch.load`` reads weights only, whatever it was asked for."""
    import torch

    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    scalar: Any = np._core.multiarray.scalar  # type: ignore[attr-defined]
    allowed: list[Any] = [np.dtype, scalar, (scalar, "numpy.core.multiarray.scalar")]
    allowed += [type(np.dtype(name)) for name in ("float64", "float32", "int64", "bool")]
    try:
        with torch.serialization.safe_globals(allowed):
            yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before
