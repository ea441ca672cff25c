"""Masks as a reader draws them."""

from __future__ import annotations

import numpy as np


def drawn(shape: tuple[int, ...], voxels: int) -> np.ndarray:
    """A mask (rows, columns) uint8 of so many voxels of the first class."""
    mask = np.zeros(shape, np.uint8)
    mask.ravel()[np.arange(voxels) + shape[-1] * (shape[0] // 2)] = 1
    return mask
