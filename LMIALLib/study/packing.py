"""Arrays as bytes in a database row, with a digest so that a damaged one is noticed."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from dataclasses import dataclass

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.study.connection import RESTORE
from LMIALLib.study.labels import LabelSchema


@dataclass(frozen=True)
class PackedMask:
    """A mask (rows, columns) of uint8 as zlib-compressed bytes with the SHA-256 of the uncompressed ones."""

    blob: bytes
    rows: int
    columns: int
    digest: str


def pack_mask(mask: np.ndarray) -> PackedMask:
    """Compress a uint8 mask (rows, columns)."""
    raw = np.ascontiguousarray(mask, dtype=np.uint8).tobytes()
    return PackedMask(zlib.compress(raw, 1), mask.shape[0], mask.shape[1], hashlib.sha256(raw).hexdigest())


def unpack_mask(packed: PackedMask, shape: tuple[int, int], where: str) -> np.ndarray:
    """The inverse of ``pack_mask`` for a slice of ``shape`` (rows, columns).

    Raises BadInput when the bytes are not those that were stored. Never makes more bytes than the slice has voxels.
    """
    if (packed.rows, packed.columns) != shape:
        found = (packed.rows, packed.columns)
        raise BadInput(f"the stored mask of {where} has shape {found}; the slice has shape {shape}.", RESTORE)
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(packed.blob, packed.rows * packed.columns + 1)
    except zlib.error as error:
        raise BadInput(f"the stored mask of {where} is damaged ({error}).", RESTORE) from error
    if not inflate.eof and len(raw) < packed.rows * packed.columns:
        raise BadInput(f"the stored mask of {where} is damaged (it is cut short).", RESTORE)
    if len(raw) != packed.rows * packed.columns or hashlib.sha256(raw).hexdigest() != packed.digest:
        raise BadInput(f"the stored mask of {where} is not what was saved.", RESTORE)
    return np.frombuffer(raw, np.uint8).reshape(packed.rows, packed.columns).copy()


def stored_mask(row: sqlite3.Row, shape: tuple[int, int], schema: LabelSchema, where: str) -> np.ndarray | None:
    """The mask of a row of ``annotations`` or ``drafts``, uint8 ``shape`` (rows, columns), or None.

    ``where`` names the slice in sentences to people. Raises BadInput where the mask is damaged.
    """
    if row["mask"] is None:
        return None
    packed = PackedMask(row["mask"], row["rows"], row["columns"], row["mask_digest"])
    mask = unpack_mask(packed, shape, where)
    if not schema.admits(mask):
        raise BadInput(f"the stored mask of {where} holds values that are no class of this study.", RESTORE)
    return mask


def pack_scores(scores: np.ndarray) -> bytes:
    """A vector of float64, bit for bit, little-endian on every machine."""
    return np.ascontiguousarray(scores, dtype="<f8").tobytes()


def unpack_scores(blob: bytes, digest: str, where: str) -> np.ndarray:
    """The inverse of ``pack_scores``. Raises BadInput when the bytes are not those that were stored."""
    if hashlib.sha256(blob).hexdigest() != digest or len(blob) % 8:
        raise BadInput(f"the stored scores of {where} are damaged.", RESTORE)
    return np.frombuffer(blob, "<f8").astype(np.float64)
