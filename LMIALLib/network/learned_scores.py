"""Scores that are learned from slices that were read: predicted loss, and how unlike what was read a slice looks.

Both put a small head (one hidden layer) on the encoder's features of a slice, standardised over the whole pool, and
train it again for each ranking, in about a second, on the CPU and from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.pairs.unread import UNREAD

Draw = Callable[[np.ndarray], Tensor]
LEAST_ANSWERS = 4
"""With fewer answers there is nothing to learn from."""
HIDDEN = 64
STEPS = 300
CROWD = 512
"""Slices of a kind in one step, at most."""
MARGIN = 1.0
ENOUGH = 0.98
"""Share of correctly classified slices at which the discriminator stops learning, as in its source."""


def predicted_loss(features: np.ndarray, losses: np.ndarray, seed: int) -> np.ndarray | None:
    """How high the loss of each slice is expected to be, on a scale without unit; higher is worse.

    Learning loss (Yoo and Kweon, arXiv 1905.03677): the head learns the order of losses, not their size, from pairs:
    max(0, margin - sign(l_i - l_j) (s_i - s_j)), margin 1. There the head is trained beside the network and reads
    several of its layers; here the network is fixed, and the head reads its pooled features.

    Args:
        features: (n, d) float, of all slices that hold brain.
        losses: (n,) float, measured loss of slices that were read, NaN for all others. The network may have learned
            from these very slices, which makes their losses low alike; only their order is used.
        seed: of the head and of the pairs.

    Returns float32 (n,); None with fewer than `LEAST_ANSWERS` measured losses, or where all are equal.
    """
    read = np.flatnonzero(np.isfinite(losses))
    if len(read) < LEAST_ANSWERS or np.ptp(losses[read]) == 0:
        return None
    values, measured = _standardised(features), torch.from_numpy(losses.astype(np.float32))

    def loss(head: nn.Module, draw: Draw) -> tuple[Tensor, float]:
        first, second = draw(read), draw(read)
        order = torch.sign(measured[first] - measured[second])
        apart = head(values[first]) - head(values[second])
        return (functional.relu(MARGIN - order * apart) * order.abs()).mean(), 0.0

    return _trained(values, loss, seed).astype(np.float32)


def unlike_read(features: np.ndarray, read: np.ndarray, seed: int) -> np.ndarray | None:
    """1 - P(read) of each slice, in (0, 1): how unlike the slices that were read it is.

    Discriminative active learning (Gissin and Shalev-Shwartz, arXiv 1907.06347): a classifier of read against unread
    on the network's features, stopped when it classifies `ENOUGH` of them correctly. VAAL (Sinha et al., arXiv
    1904.00370) uses the same criterion on the latent space of an autoencoder that is trained to hide the difference;
    there is none here, so this is VAAL's criterion without its game. Read and unread weigh the same, however many there
    are.

    Args:
        features: (n, d) float, of all slices that hold brain.
        read: (n,) bool, slices that have an answer.
        seed: of the head and of the draws.

    Returns float32 (n,); None with fewer than `LEAST_ANSWERS` read slices, or where none is unread.
    """
    known, unknown = np.flatnonzero(read), np.flatnonzero(~read)
    if len(known) < LEAST_ANSWERS or not len(unknown):
        return None
    values = _standardised(features)

    def loss(head: nn.Module, draw: Draw) -> tuple[Tensor, float]:
        seen, unseen = head(values[draw(known)]), head(values[draw(unknown)])
        correct = (float((seen < 0).float().mean()) + float((unseen > 0).float().mean())) / 2
        return functional.softplus(seen).mean() + functional.softplus(-unseen).mean(), correct

    from scipy.special import expit

    return np.asarray(expit(_trained(values, loss, seed)), np.float32)


def slice_losses(probability: np.ndarray, mask: np.ndarray, answers: Mapping[int, np.ndarray]) -> np.ndarray:
    """Mean cross-entropy of what was read in each slice, nats, float64 (n,); NaN where nothing was read that counts.

    Args:
        probability: (n, rows, columns) in [0, 1].
        mask: bool of the same shape, the brain region.
        answers: slice to target uint8 (rows, columns): 0, 1, 255 ignored.
    """
    result = np.full(len(probability), np.nan)
    for number, target in answers.items():
        counted = mask[number] & (target != UNREAD)
        if counted.any():
            p = np.clip(probability[number][counted].astype(np.float64), 1e-7, 1 - 1e-7)
            result[number] = -np.log(np.where(target[counted] == 1, p, 1 - p)).mean()
    return result


def _standardised(features: np.ndarray) -> Tensor:
    """Features (n, d) with mean 0 and standard deviation 1 over the slices, float32; constant ones are 0."""
    values = np.asarray(features, np.float64)
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
    return torch.from_numpy(scaled.astype(np.float32))


def _trained(values: Tensor, loss: Callable[..., tuple[Tensor, float]], seed: int) -> np.ndarray:
    """Scores (n,) float64 of a head that was trained to lower ``loss(head, draw)``.

    ``loss`` also returns the share that the head classifies correctly. ``draw(among)`` gives the members of an array
    in random order, `CROWD` of them at most.
    """
    random = np.random.default_rng([seed, 0x68656164])

    def draw(among: np.ndarray) -> Tensor:
        return torch.from_numpy(random.permutation(among)[:CROWD])

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[Any] = [nn.Linear(values.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1), nn.Flatten(0)]
        head = nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.05)
    shares: list[float] = []
    for _ in range(STEPS):
        amount, share = loss(head, draw)
        optimiser.zero_grad(set_to_none=True)
        amount.backward()
        optimiser.step()
        shares = [*shares[-9:], share]
        if len(shares) == 10 and float(np.mean(shares)) >= ENOUGH:
            break
    with torch.inference_mode():
        return np.asarray(head(values).double().numpy())
