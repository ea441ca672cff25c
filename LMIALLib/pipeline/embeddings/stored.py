"""Embeddings in the study: ``embeddings/<encoder>/<case>/pair-<n>.safetensors``. They may be deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import disk_errors
from LMIALLib.files import written_whole
from LMIALLib.study.names import checked_file_name
from LMIALLib.study.store import Study


def encoder_folder(study: Study, encoder: str) -> Path:
    """Where everything of one encoder lies: embeddings, and weights where they were trained here."""
    return study.folder / "embeddings" / checked_file_name(encoder, "encoder")


def embedding_file(study: Study, encoder: str, case: str) -> Path:
    """The file of the newest pair of a case."""
    found = study.case(case)
    return encoder_folder(study, encoder) / found.name / f"pair-{found.pair_number}.safetensors"


def write_embedding(study: Study, encoder: str, case: str, vectors: np.ndarray, made_by: Mapping[str, Any]) -> None:
    """Write the vectors float32 (slices, d) of a case, and ``made_by`` (JSON-ready): weights and pair, by digest."""
    from safetensors.numpy import save_file

    file = embedding_file(study, encoder, case)
    values = np.ascontiguousarray(vectors, dtype=np.float32)
    with disk_errors(f"writing the embedding of {case}"):
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as temporary:
            save_file({"vectors": values}, temporary, metadata={"made_by": json.dumps(made_by, sort_keys=True)})


def read_embedding(study: Study, encoder: str, case: str, made_by: Mapping[str, Any]) -> np.ndarray | None:
    """The vectors of the newest pair of a case, or None where there are none, or others made them, or all is damaged.

    ``made_by`` must be what `write_embedding` was given, for the keys that are asked for.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(embedding_file(study, encoder, case), framework="numpy") as file:
            found = json.loads((file.metadata() or {}).get("made_by", "{}"))
            vectors: np.ndarray = file.get_tensor("vectors")
    except (OSError, SafetensorError, ValueError):
        return None
    return vectors if all(found.get(key) == value for key, value in made_by.items()) else None


def made_by_of(study: Study, encoder: str, case: str) -> dict[str, Any]:
    """What `write_embedding` was told of the stored vectors of a case; empty where there are none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(embedding_file(study, encoder, case), framework="numpy") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("made_by", "{}"))
            return found
    except (OSError, SafetensorError, ValueError):
        return {}
