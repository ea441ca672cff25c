"""Embeddings in the study: ``embeddings/<encoder>/<case>/pair-<n>.safetensors``. They may be deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import parse_json
from LMIALLib.study.inside import inside
from LMIALLib.study.names import checked_file_name
from LMIALLib.study.store import Study


def encoder_folder(study: Study, encoder: str) -> Path:
    """Where everything of one encoder lies: embeddings, and weights where they were trained here."""
    return inside(study.folder, f"embeddings/{checked_file_name(encoder, 'encoder')}")


def embedding_file(study: Study, encoder: str, case: str) -> Path:
    """The file of the newest pair of a case."""
    found = study.cases.get(case)
    return inside(encoder_folder(study, encoder), f"{found.name}/pair-{found.pair_number}.safetensors")


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

    ``made_by`` must be what `write_embedding` was given, for the keys that are given.
    """
    stored = _stored(study, encoder, case)
    if stored is None or any(stored[1].get(key) != value for key, value in made_by.items()):
        return None
    return stored[0]


def made_by_of(study: Study, encoder: str, case: str) -> dict[str, Any]:
    """The ``made_by`` of the stored vectors of a case, as given to `write_embedding`; empty where there are none."""
    stored = _stored(study, encoder, case)
    return stored[1] if stored is not None else {}


def _stored(study: Study, encoder: str, case: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Vectors and their ``made_by``; None where there are none, or all is damaged."""
    from safetensors import SafetensorError, safe_open

    file = embedding_file(study, encoder, case)
    try:
        with safe_open(file, framework="numpy") as opened:
            found = parse_json((opened.metadata() or {}).get("made_by", "{}"), dict[str, Any], str(file))
            vectors: np.ndarray = opened.get_tensor("vectors")
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError, BadInput):  # bfloat16 is unknown to numpy
        return None
    slices = study.cases.get(case).n_slices
    whole = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == slices and np.isfinite(vectors).all()
    return (vectors, found) if whole else None
