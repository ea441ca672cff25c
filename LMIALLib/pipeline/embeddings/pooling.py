"""From the tokens of an image's patches to one vector."""

from __future__ import annotations

import numpy as np


def mean_over_brain(tokens: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Mean token of the patches that hold brain, float32 (n, d).

    Over all patches the mean shows above all how much of a slice is empty: on two real pairs one direction then held
    nearly all of the variance.

    Args:
        tokens: float (n, patches, d), patches row by row; their number is a square.
        images: (n, c, size, size), 0 in all channels outside the brain. Where no patch holds brain all of them count.
    """
    count = len(images)
    side = round(tokens.shape[1] ** 0.5)
    patch = images.shape[-1] // side
    shown = (images[..., : side * patch, : side * patch] != 0).any(axis=1)
    holds = shown.reshape(count, side, patch, side, patch).any(axis=(2, 4)).reshape(count, side * side)
    holds |= ~holds.any(axis=1, keepdims=True)
    weights = holds / holds.sum(axis=1, keepdims=True)
    return np.einsum("np,npd->nd", weights, tokens, dtype=np.float64).astype(np.float32)
