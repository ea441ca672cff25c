"""Terms of a slice as a whole, beyond its maps: expected Dice of its passes, and the gradient of its loss (BADGE)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.inference import FoldedNetwork
from LMIALLib.network.prediction import Batch, Passes, batches, computed
from LMIALLib.pairs.pair import Pair

GRADIENTS = 256
"""Numbers of a gradient embedding; longer gradients are projected to so many."""


def expected_dice(
    network: ChangeNetwork,
    pair: Pair,
    *,
    passes: int,
    seed: int,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    threads: int | None = None,
) -> np.ndarray:
    """Mean over passes of the soft Dice of a pass p_t with the mean p over passes, float32 (n,) in [0, 1].

    Dice of a class is 2 sum p p_t / sum (p + p_t) over the brain region of the slice, at the network's pixel size; it
    is averaged over change and no change, as nnActive does (``expected_dice``; its patch is our slice). A class that
    neither the pass nor the mean predicts anywhere (p of 1/2 or more) is left out of the average: there is nothing that
    could overlap, and the Dice of two faint backgrounds is near 0, so that empty slices at the rim of the brain would
    come first. Slices without brain have 1. Even equal passes come out below 1 where probabilities are neither
    0 nor 1: soft Dice of p with itself is sum p^2 / sum p.

    Options as in `prediction.predict`, with the same passes. They run twice over each batch, once for the mean and
    once for Dice, so memory does not grow with their number.
    """
    result = np.ones(pair.n_slices, np.float32)

    def work(folded: FoldedNetwork, size: int) -> None:
        layers = Passes(network, folded, passes, seed)
        architecture = network.architecture
        for part in batches(pair, architecture.pixels, architecture.multiple, size, folded.device):
            encoded, _ = folded.encode(part.inputs)
            mean = torch.zeros_like(part.region, dtype=torch.float32)
            for layer in layers:
                mean += torch.sigmoid(folded.decode(encoded, layer))
            mean /= len(layers)
            total = torch.zeros(len(part.chosen), dtype=torch.float64, device=folded.device)
            for layer in layers:
                total += _two_class_dice(mean, torch.sigmoid(folded.decode(encoded, layer)), part.region)
            result[part.chosen] = (total / len(layers)).cpu().numpy()

    computed(network, work, device=device, dtype=dtype, batch=batch, threads=threads)
    return result


def _two_class_dice(mean: Tensor, one: Tensor, region: Tensor) -> Tensor:
    """Soft Dice (n,) float64 of two probabilities (n, rows, columns), averaged over the classes that are predicted."""
    dice = []
    for a, b in ((mean, one), (1 - mean, 1 - one)):
        overlap = 2 * (a * b * region).sum(dim=(1, 2), dtype=torch.float64)
        found = overlap / ((a + b) * region).sum(dim=(1, 2), dtype=torch.float64)
        predicted = ((torch.maximum(a, b) >= 0.5) & region).any(dim=2).any(dim=1)
        dice.append(torch.where(predicted, found, torch.nan))
    return torch.stack(dice).nanmean(dim=0).nan_to_num(nan=1.0)


def gradient_embeddings(
    network: ChangeNetwork,
    pair: Pair,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of each slice's loss with respect to the last layer, at the label the network itself would give.

    BADGE (Ash et al., arXiv 1906.03671): the loss is the cross-entropy summed over the brain region of the slice, the
    pseudo-label is p >= 0.5, no dropout. With the last layer a 3x3 convolution to the four pixels of a position, the
    gradient is the sum over positions of (p - label) times the 3x3 patch of the map before it, and of (p - label) for
    the bias: 4 x (9 x decoder width + 1) numbers. More than `GRADIENTS` are projected to so many by one fixed Gaussian
    matrix, which keeps distances to some 10 % (Johnson and Lindenstrauss 1984).

    Options as in `prediction.predict`. Returns float32 (n, g), 0 for slices without brain.
    """
    width = 4 * (9 * network.architecture.decoder_width + 1)
    result = np.zeros((pair.n_slices, min(width, GRADIENTS)), np.float32)

    def work(folded: FoldedNetwork, size: int) -> None:
        architecture = network.architecture
        for part in batches(pair, architecture.pixels, architecture.multiple, size, folded.device):
            gradients = head_gradients(folded, part).cpu().numpy()
            result[part.chosen] = gradients @ _projection(width) if width > GRADIENTS else gradients

    computed(network, work, device=device, dtype=dtype, batch=batch, threads=threads)
    return result


def head_gradients(folded: FoldedNetwork, part: Batch) -> Tensor:
    """The whole gradient of each slice of a batch, float32 (n, 4 x (9 x decoder width + 1)): weight, then bias."""
    last = folded.last_map(folded.encode(part.inputs)[0])
    probability = torch.sigmoid(folded.judged(last))
    residual = (probability - (probability >= 0.5).float()) * part.region
    there = functional.pixel_unshuffle(residual[:, None], 2)
    rows, columns = there.shape[-2:]
    padded = functional.pad(last.float(), (1, 1, 1, 1))
    weight = torch.stack(
        [
            torch.einsum("noyx,niyx->noi", there, padded[:, :, row : row + rows, column : column + columns])
            for row in range(3)
            for column in range(3)
        ],
        dim=-1,
    )
    return torch.cat((weight.flatten(1), there.sum(dim=(2, 3))), dim=1)


@lru_cache(maxsize=2)
def _projection(width: int) -> np.ndarray:
    """The one Gaussian matrix (width, GRADIENTS) float32 for gradients of that length; keeps lengths in the mean."""
    drawn = np.random.default_rng([0x6261, width]).standard_normal((width, GRADIENTS), dtype=np.float32)
    return drawn / np.float32(np.sqrt(GRADIENTS))
