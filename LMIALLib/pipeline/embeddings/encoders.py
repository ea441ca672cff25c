"""Encoders of slice pairs by their names, and the vectors that they give to a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.embeddings.dinov2 import MODEL_TYPE, WHAT, Dinov2Encoder
from LMIALLib.pipeline.embeddings.local_weights import weights_files
from LMIALLib.pipeline.embeddings.masked_autoencoder import MaskedEncoder, MaskedTraining
from LMIALLib.pipeline.embeddings.slice_images import slice_images
from LMIALLib.pipeline.embeddings.stored import read_embedding, write_embedding
from LMIALLib.pipeline.embeddings.trained_here import NAME, trained_on_study
from LMIALLib.pipeline.weight_files import files_digest
from LMIALLib.progress import Progress
from LMIALLib.study.store import Study

BUNDLED = "bundled"
"""Means the encoder of the model in use, whose features a prediction brings anyway."""
WORDS = "bundled, mae or dinov2:FOLDER"


@dataclass(frozen=True)
class SliceEncoder:
    """An encoder that is ready.

    Args:
        name: of its folder in the study's ``embeddings/``.
        digest: SHA-256 of its weights.
        size: pixels along each side of the images that it takes.
        embed: images (n, 3, size, size) to vectors float32 (n, d), see `slice_images`.
    """

    name: str
    digest: str
    size: int
    embed: Callable[[np.ndarray], np.ndarray]


def checked_embedding(embedding: str) -> str:
    """The words that name an encoder, before any work is done. Raises WrongUse for unknown ones, BadInput for a folder
    that holds no such model."""
    if embedding.startswith("dinov2:"):
        weights_files(_folder(embedding), MODEL_TYPE, WHAT)
    elif embedding not in (BUNDLED, "mae"):
        raise WrongUse(f"There is no embedding {embedding!r}.", f"Use {WORDS}.")
    return embedding


def encoder_for(
    study: Study,
    embedding: str,
    *,
    masked: MaskedTraining,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> SliceEncoder | None:
    """The encoder that ``embedding`` names, trained first where it is the masked autoencoder; None for `BUNDLED`.

    Raises as `checked_embedding` and `trained_on_study` do.
    """
    if checked_embedding(embedding) == BUNDLED:
        return None
    if embedding == "mae":
        folder = trained_on_study(study, masked, progress=progress, cancelled=cancelled)
        encoder = MaskedEncoder(folder, masked.device)
        if encoder.size != masked.size:
            raise BadInput(f"{folder} holds a masked autoencoder of another size.", f"Remove the folder {folder}.")
        return SliceEncoder(NAME, files_digest([folder / "model.safetensors"]), encoder.size, encoder)
    folder = _folder(embedding)
    other = Dinov2Encoder(folder, masked.device)
    return SliceEncoder("dinov2", files_digest(weights_files(folder, MODEL_TYPE, WHAT)), other.size, other)


def case_embedding(study: Study, case: str, pair: Pair, encoder: SliceEncoder) -> np.ndarray:
    """Vectors float32 (slices, d) of a case, 0 for slices without brain; kept in the study and not made twice."""
    made_by = {"weights": encoder.digest, "size": encoder.size, "pair": study.cases.get(case).digest}
    stored = read_embedding(study, encoder.name, case, made_by)
    if stored is not None and len(stored) == pair.n_slices:
        return stored
    chosen = np.flatnonzero(pair.stack(pair.mask).any(axis=(1, 2)))
    found = encoder.embed(slice_images(pair, encoder.size, chosen))
    vectors = np.zeros((pair.n_slices, found.shape[1]), np.float32)
    vectors[chosen] = found
    write_embedding(study, encoder.name, case, vectors, made_by)
    return vectors


def _folder(embedding: str) -> Path:
    folder = embedding.partition(":")[2]
    if not folder:
        raise WrongUse("dinov2 needs the folder of its weights.", f"Use {WORDS}.")
    return Path(folder)
