"""Prediction of a pair: probability of change, and its uncertainty by stochastic passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from LMIALLib.network.architecture import ChangeNetwork, dropout_masks
from LMIALLib.network.device import checked_dtype, chosen_device, conditions, reproducible
from LMIALLib.network.inference import FoldedNetwork
from LMIALLib.network.predicted import Prediction
from LMIALLib.network.slices import (
    NEIGHBOURS,
    PixelSizes,
    Window,
    brain_window,
    cut,
    neighbours_of,
    network_input,
    network_shape,
    pair_stacks,
    paste,
    resized,
)
from LMIALLib.network.uncertainty import uncertainty_maps
from LMIALLib.pairs.pair import Pair
from LMIALLib.progress import Progress, ignore

Computed = TypeVar("Computed")
FEATURES = 256
SINGLE = ("mean", "entropy")
SEVERAL = (*SINGLE, "expected_entropy", "variance", "mutual_information")
"""Maps of one pass, and of several."""


def predict(
    network: ChangeNetwork,
    pair: Pair,
    *,
    passes: int = 1,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    threads: int | None = None,
    progress: Progress = ignore,
) -> Prediction:
    """Probability and what is uncertain about it at every pixel of the brain, and features of every slice.

    All maps are made at the network's pixels, see `uncertainty`, and resampled to the slice where those differ.

    Args:
        network: in evaluation mode or not; its dropout and normalisation layers are never in training mode here.
        pair: both visits on one grid.
        passes: 1 for one pass without dropout, more for Monte Carlo dropout (Gal and Ghahramani, arXiv 1506.02142).
        seed: with the index of a pass it gives the channels that are dropped, the same ones for the whole pool.
        device: "cpu", "cuda" or "auto".
        dtype: "float32", or "bfloat16" / "float16" where the device gains from it.
        batch: slices at a time; halved when a GPU runs out of memory, then the CPU is used (noted in the conditions).
        threads: CPU threads; None keeps torch's number. Stored, because sums depend on it in the last bit.
        progress: called with ("predict", slices done, slices in all).

    From two passes on memory does not grow with ``passes``: sums are kept, never the maps of single passes. Raises
    WrongUse for an unknown device or number type or fewer than one pass.
    """
    from LMIALLib.errors import WrongUse

    if passes < 1:
        raise WrongUse(f"{passes} passes are too few; at least one is needed.")

    def work(folded: FoldedNetwork, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        layers = Passes(network, folded, passes, seed)
        return _predict_stacks(folded, layers, pair, network.architecture.multiple, size, progress)

    (maps, features), facts = computed(network, work, device=device, dtype=dtype, batch=batch, threads=threads)
    return Prediction(
        mean=maps["mean"],
        expected_entropy=maps.get("expected_entropy"),
        variance=maps.get("variance"),
        features=features,
        passes=passes,
        conditions=conditions(
            passes=passes, seed=seed, **{name: facts[name] for name in ("device", "dtype", "threads", "batch", "notes")}
        ),
        entropy=maps["entropy"],
        mutual_information=maps.get("mutual_information"),
    )


def computed(
    network: ChangeNetwork,
    work: Callable[[FoldedNetwork, int], Computed],
    *,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    threads: int | None = None,
) -> tuple[Computed, dict[str, Any]]:
    """What ``work(folded network, slices at a time)`` returns, with less at a time where memory runs out.

    Options as in `predict`. Beside the result stands how it came about: device, dtype, threads, batch, notes.
    """
    used, notes, size = chosen_device(device), [], max(1, int(batch))
    with reproducible(threads) as count, torch.inference_mode():
        while True:
            try:
                result = work(FoldedNetwork(network, used, getattr(torch, checked_dtype(dtype))), size)
                break
            except torch.OutOfMemoryError:
                used, size, note = _smaller(used, size)
                notes.append(note)
                torch.cuda.empty_cache()
    return result, {"device": used, "dtype": dtype, "threads": count, "batch": size, "notes": notes}


def _smaller(device: str, batch: int) -> tuple[str, int, str]:
    """What to try after running out of memory: half the batch, then the CPU. On the CPU there is nothing smaller."""
    if device == "cpu":
        raise MemoryError("There is not enough memory to predict one slice on the CPU.")
    if batch > 1:
        return device, batch // 2, f"out of memory on {device} with {batch} slices at a time: used {batch // 2}"
    return "cpu", 8, f"out of memory on {device} with one slice at a time: used the CPU"


@dataclass(frozen=True)
class Passes:
    """The decoder of each pass, made when it is its turn, so that memory does not grow with their number.

    A single pass is the one without dropout (None).
    """

    network: ChangeNetwork
    folded: FoldedNetwork
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[tuple[Tensor, Tensor]] | None]:
        if self.count == 1:
            yield None
            return
        for index in range(self.count):
            yield self.folded.sampled(dropout_masks(self.network, self.seed, index))


@dataclass(frozen=True)
class Batch:
    """Some slices as the network is fed them.

    Args:
        chosen: int (n,), numbers of the slices.
        inputs: float32 (n, 9, rows, columns) on the device.
        region: bool (n, rows, columns) on the device, the brain of each slice at the network's pixel size.
        window: the part of the resampled slice that ``inputs`` covers.
        shape: rows and columns of the resampled slice.
    """

    chosen: np.ndarray
    inputs: Tensor
    region: Tensor
    window: Window
    shape: tuple[int, int]

    def on_grid(self, result: np.ndarray, full: tuple[int, int]) -> np.ndarray:
        """Values (n, rows, columns) of the window, on slices of shape ``full`` as they are stored."""
        part = np.zeros((len(self.chosen), *self.shape), np.float32)
        paste(result, self.window, part)
        return resized(part, full)


def batches(pair: Pair, pixels: PixelSizes, multiple: int, size: int, device: torch.device) -> Iterator[Batch]:
    """All slices of a pair that hold brain, ``size`` at a time, for a network of such pixels and multiple.

    Neighbours overlap: each slice is resized once a batch, then seen up to three times.
    """
    baseline, follow_up, mask = pair_stacks(pair)
    shape = network_shape(pair.slice_shape, pair.in_plane_spacing, pixels)
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    for start in range(0, len(slices), size):
        chosen = slices[start : start + size]
        needed, near = np.unique(neighbours_of(chosen, len(mask)), return_inverse=True)
        near = near.reshape(len(chosen), -1)
        middle = near[:, NEIGHBOURS]
        inside = resized(mask[needed].astype(np.float32), shape) > 0.5
        window = brain_window(inside[middle], multiple)
        region = cut(inside, window)
        before, after = (cut(resized(stack[needed], shape), window) for stack in (baseline, follow_up))
        inputs = torch.from_numpy(network_input(before[near], after[near], region[near])).to(device)
        yield Batch(chosen, inputs, torch.from_numpy(region[middle]).to(device), window, shape)


def _predict_stacks(
    folded: FoldedNetwork,
    layers: Passes,
    pair: Pair,
    multiple: int,
    batch: int,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The maps of `uncertainty_maps` as stacks, and features, of all slices that hold brain."""
    mask = pair.stack(pair.mask)
    names = SEVERAL if len(layers) > 1 else SINGLE
    maps = {name: np.zeros(mask.shape, np.float32) for name in names}
    features = np.zeros((len(mask), FEATURES), np.float32)
    done, total = 0, int(mask.any(axis=(1, 2)).sum())
    for part in batches(pair, layers.network.architecture.pixels, multiple, batch, folded.device):
        results, pooled = _predict_batch(folded, layers, part.inputs, part.region)
        features[part.chosen, : pooled.shape[1]] = pooled
        for name, result in results.items():
            maps[name][part.chosen] = part.on_grid(result, pair.slice_shape) * mask[part.chosen]
        done += len(part.chosen)
        progress("predict", done, total)
    return maps, features


def _predict_batch(
    folded: FoldedNetwork, layers: Passes, inputs: Tensor, region: Tensor
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What one batch leaves: the maps of `uncertainty_maps`, each (n, rows, columns), and features."""
    encoded, deep = folded.encode(inputs)
    maps = uncertainty_maps(folded.decode(encoded, layer) for layer in layers)
    return {name: value.cpu().numpy() for name, value in maps.items()}, _pooled(deep, region)


def _pooled(deep: Tensor, region: Tensor) -> np.ndarray:
    """Mean and maximum over the brain of an encoder map (n, c, r, s), float32 (n, at most 256)."""
    deep = deep[:, : FEATURES // 2].float()
    weight = functional.adaptive_avg_pool2d(region[:, None].float(), (deep.shape[-2], deep.shape[-1]))
    mean = (deep * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1e-6)
    highest = (deep * (weight > 0)).amax(dim=(2, 3))
    return torch.cat((mean, highest), dim=1).cpu().numpy()
