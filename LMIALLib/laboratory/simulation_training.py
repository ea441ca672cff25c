"""Training in the laboratory: many short runs on labelled slices of a pool, equal in effort and bit for bit the same
for a seed and a number of threads.

Slices lie in memory as the network sees them, so that a step costs little more than its convolutions. What is kept of a
run is the running average of its weights after the last step; no validation subject is used.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from LMIALLib.network.architecture import Architecture, ChangeNetwork
from LMIALLib.network.device import reproducible
from LMIALLib.network.losses import change_loss
from LMIALLib.network.schedule import interpolate, newest_share, set_rate, warmed_cosine
from LMIALLib.network.slices import LARGEST_INTENSITY, neighbours_of, network_shape, pair_stacks, resized
from LMIALLib.network.weights import load_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.unread import UNREAD

Labels = Mapping[tuple[str, int], np.ndarray]
"""What was read: (case, slice) to uint8 (rows, columns) of 0, 1 and 255 (ignored)."""


@dataclass(frozen=True)
class LabRecipe:
    """The plain recipe.

    Args:
        steps: optimiser steps, whatever was labelled.
        batch: crops in a step; every second one from a slice with change, where there is one.
        crop: rows and columns of a crop; smaller slices are taken whole.
        rate: highest learning rate (AdamW); it rises over a tenth of the steps, then falls along a cosine to 1 %.
        rate_from_weights: the same where training starts from weights that know something.
        weight_decay: of AdamW, on convolutions.
        average: decay of the running average of the weights.
        threads: CPU threads.

    Normalisation layers train with the rest: from scratch they must, and from weights the pool may look otherwise than
    what the weights saw.
    """

    steps: int = 200
    batch: int = 16
    crop: int = 48
    rate: float = 8e-3
    rate_from_weights: float = 2e-3
    weight_decay: float = 1e-3
    average: float = 0.95
    threads: int = 1


def new_network(seed: int, widths: Sequence[int], pairs: Sequence[Pair]) -> ChangeNetwork:
    """An untrained network for the pixels of some pairs; it finds change as unlikely as it is, 1 %, everywhere."""
    sides = [side for pair in pairs for side in pair.in_plane_spacing]
    torch.manual_seed(seed)
    network = ChangeNetwork(
        Architecture(
            widths=tuple(widths),
            decoder_width=widths[0],
            finest_mm=0.8 * min(sides),
            coarsest_mm=1.25 * max(sides),
            resampled_mm=math.sqrt(min(sides) * max(sides)),
        )
    )
    assert network.head.bias is not None
    nn.init.constant_(network.head.bias, -4.6)
    return network.eval()


class Slices:
    """The slices of some pairs as a network of one architecture sees them.

    Args:
        pairs: case name to pair.
        architecture: says at which pixel size.
        least: rows and columns that every slice has at least; what is added is outside the brain.
    """

    def __init__(self, pairs: Mapping[str, Pair], architecture: Architecture, least: int) -> None:
        seen = {name: _network_stacks(pair, architecture) for name, pair in pairs.items()}
        shapes = [stacks[0].shape[1:] for stacks in seen.values()]
        rows, columns = (max(least, *(shape[axis] for shape in shapes)) for axis in (0, 1))
        total = sum(len(stacks[0]) for stacks in seen.values())
        self.shape = (rows, columns)
        self.visits = torch.zeros((total, 2, rows, columns), dtype=torch.float16)
        self.brain = np.zeros((total, rows, columns), dtype=bool)
        self.near = np.zeros((total, 3), dtype=int)
        self.inner: list[tuple[int, int]] = []
        self._first: dict[str, int] = {}
        start = 0
        for name, (baseline, follow_up, brain) in seen.items():
            count, (height, width) = len(brain), brain.shape[1:]
            part = slice(start, start + count)
            self._first[name] = start
            self.visits[part, 0, :height, :width] = torch.from_numpy(baseline)
            self.visits[part, 1, :height, :width] = torch.from_numpy(follow_up)
            self.brain[part, :height, :width] = brain
            self.near[part] = start + neighbours_of(np.arange(count), count)
            self.inner += [(height, width)] * count
            start += count

    def place(self, case: str, number: int) -> int:
        """Where a slice lies among all."""
        return self._first[case] + number


def _network_stacks(pair: Pair, architecture: Architecture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Baseline and follow-up (float32, clipped, 0 outside the brain) and the brain (bool), at the network's size."""
    baseline, follow_up, mask = pair_stacks(pair)
    shape = network_shape(pair.slice_shape, pair.in_plane_spacing, architecture.pixels)
    brain = resized(mask.astype(np.float32), shape) > 0.5
    first, second = (
        np.clip(resized(stack, shape), -LARGEST_INTENSITY, LARGEST_INTENSITY) * brain for stack in (baseline, follow_up)
    )
    return first, second, brain


@dataclass(frozen=True)
class _Labelled:
    """Labelled slices ready for cropping: places, targets (n, rows, columns) float32, counted (bool), and where crops
    may centre."""

    places: list[int]
    target: Tensor
    counted: Tensor
    change_at: list[np.ndarray]
    brain_at: list[np.ndarray]


def _labelled(slices: Slices, labels: Labels) -> _Labelled:
    places, change_at, brain_at = [], [], []
    target = np.zeros((len(labels), *slices.shape), dtype=np.float32)
    counted = np.zeros((len(labels), *slices.shape), dtype=bool)
    for index, (case, number) in enumerate(sorted(labels)):
        place = slices.place(case, number)
        answer, (rows, columns) = labels[case, number], slices.inner[place]
        brain = slices.brain[place, :rows, :columns]
        change, ignored = (
            resized((answer == value).astype(np.float32)[None], (rows, columns))[0] > 0.5 for value in (1, UNREAD)
        )
        target[index, :rows, :columns] = change
        counted[index, :rows, :columns] = brain & ~ignored
        places.append(place)
        change_at.append(np.argwhere(target[index] * counted[index] > 0))
        brain_at.append(np.argwhere(brain))
    return _Labelled(places, torch.from_numpy(target), torch.from_numpy(counted), change_at, brain_at)


def train(
    network: ChangeNetwork, slices: Slices, labels: Labels, recipe: LabRecipe, seed: Sequence[int], *, known: bool
) -> ChangeNetwork:
    """Train a copy of a network on labelled slices and return the running average of its weights, evaluation mode.

    Args:
        network: to start from; not changed.
        slices: hold every labelled slice.
        labels: at least one. Ignored pixels and those outside the brain are not counted.
        recipe: see `LabRecipe`.
        seed: of crops, flips and dropout.
        known: whether the start knows something already, which needs a lower learning rate.

    Raises ValueError without labels.
    """
    if not labels:
        raise ValueError("training needs at least one labelled slice")
    with reproducible(recipe.threads):
        return _trained(copy.deepcopy(network).train(), _labelled(slices, labels), slices, recipe, seed, known)


def _trained(
    network: ChangeNetwork, labelled: _Labelled, slices: Slices, recipe: LabRecipe, seed: Sequence[int], known: bool
) -> ChangeNetwork:
    random = np.random.default_rng([*seed, 0x6C616273])
    torch.manual_seed(int(random.integers(2**31)))
    averaged = copy.deepcopy(network)
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    highest = recipe.rate_from_weights if known else recipe.rate
    optimiser = torch.optim.AdamW(groups, lr=highest, fused=True)
    loss_of = change_loss()
    for step in range(recipe.steps):
        share = warmed_cosine(step, recipe.steps, rising=max(1, recipe.steps // 10), lowest=0.01)
        set_rate(optimiser, highest * share)
        inputs, target, counted = _batch(labelled, slices, recipe, random)
        loss = loss_of(network(inputs), target, counted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        interpolate(averaged, network, newest_share(recipe.average, step))
    return averaged.eval()


def _batch(
    labelled: _Labelled, slices: Slices, recipe: LabRecipe, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Network input, target and counted of one step, each (batch, ..., crop, crop)."""
    marked = [index for index, places in enumerate(labelled.change_at) if len(places)]
    size = recipe.crop
    visits, targets, counts = [], [], []
    for position in range(recipe.batch):
        about_change = bool(marked) and position % 2 == 0
        index = marked[random.integers(len(marked))] if about_change else int(random.integers(len(labelled.places)))
        near = labelled.change_at[index] if about_change else labelled.brain_at[index]
        centre = near[random.integers(len(near))] if len(near) else np.array(slices.shape) // 2
        corner = centre - size // 2 + random.integers(-size // 4, size // 4 + 1, 2)
        top, left = (int(np.clip(a, 0, whole - size)) for a, whole in zip(corner, slices.shape, strict=True))
        window = (slice(top, top + size), slice(left, left + size))
        around = slices.near[labelled.places[index]]
        flipped = [axis for axis in (-2, -1) if random.random() < 0.5]
        visits.append(slices.visits[around][:, :, window[0], window[1]].flip(flipped))
        targets.append(labelled.target[index][window].flip(flipped))
        counts.append(labelled.counted[index][window].flip(flipped))
    both = torch.stack(visits).float()
    baseline, follow_up = both[:, :, 0], both[:, :, 1]
    inputs = torch.cat((baseline, follow_up, follow_up - baseline), dim=1)
    return (
        inputs.contiguous(memory_format=torch.channels_last),
        torch.stack(targets)[:, None],
        torch.stack(counts)[:, None],
    )


def train_as_product(
    start: Path, pairs: Mapping[str, Pair], labels: Labels, *, steps: int, seed: int, threads: int
) -> ChangeNetwork:
    """What `network.finetuning.finetune` makes of weights and labelled slices, or the old network where the rules of
    `network.adoption` refuse the new one.

    Args:
        start: the weights in use.
        pairs: case name to pair; slices that are not labelled are those nobody read.
        labels: at least one.
        steps: optimiser steps, as many again for each half that is judged on the other.
        seed: of everything that is drawn.
        threads: CPU threads.
    """
    from LMIALLib.network.adoption import judge
    from LMIALLib.network.finetuning import Example, FinetuneSettings, finetune
    from LMIALLib.network.prediction import predict

    read = [Example.of_pair(pairs[case], number, labels[case, number]) for case, number in sorted(labels)]
    unread = [
        Example.of_pair(pair, int(number))
        for name, pair in sorted(pairs.items())
        for number in np.flatnonzero(pair.stack(pair.mask).any(axis=(1, 2)))
        if (name, int(number)) not in labels
    ]
    with tempfile.TemporaryDirectory(prefix="lmial-") as folder:
        out = Path(folder) / "new.safetensors"
        settings = FinetuneSettings(steps=steps, seed=seed, threads=threads)
        report = finetune(start, read, unread, out, settings=settings)
        old = load_weights(start)[0]
        if not report.finite:
            return old
        new = load_weights(out)[0]

    def volume_ml(network: ChangeNetwork, pair: Pair) -> float:
        return float((predict(network, pair, threads=threads).mean >= 0.5).sum()) * pair.grid.voxel_ml

    volumes = {
        name: {"before": volume_ml(old, pair), "after": volume_ml(new, pair)} for name, pair in sorted(pairs.items())
    }
    return new if judge(report, volumes).adopted else old
