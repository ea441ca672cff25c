"""Operations and bytes of predicting a pair, counted rather than guessed, and its time on a GPU by device events.

Both take the batches that ``predict`` itself makes of the pair. Counting runs on torch's meta device: shapes and number
types, no values.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from LMIALLib.network import prediction
from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.device import reproducible
from LMIALLib.network.inference import FoldedNetwork
from LMIALLib.pairs.pair import Pair

CPU_THREAD_PEAK = 100e9
"""float32 operations per second of one AVX2 core."""
H200_PEAK = {"float32": 67e12, "bfloat16": 790e12}
"""Operations per second, by number type; float32 without TF32, as prediction sets it; bfloat16 dense matrix work."""
H200_BANDWIDTH = 4.8e12
"""Bytes per second."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Work:
    """What the encoder and the decoder do for a whole pair; the sums over passes are not in it.

    Args:
        operations: of the convolutions, 2 for each multiply-add.
        weights: bytes of weights and biases, one copy.
        inputs: bytes of the input, float32.
        moved: bytes that all operators read and write when each fetches its operands from memory.
        largest: bytes of the largest map of one batch.
    """

    operations: int
    weights: int
    inputs: int
    moved: int
    largest: int

    def h200_ms(self, dtype: str) -> tuple[float, float]:
        """Least milliseconds on an H200: for the operations, and for the bytes moved (no cache, nothing fused)."""
        return 1e3 * self.operations / H200_PEAK[dtype], 1e3 * self.moved / H200_BANDWIDTH


def size(tensor: Tensor) -> int:
    """Bytes of a tensor's elements."""
    return tensor.numel() * tensor.element_size()


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operators read and write while it is entered; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator and count it."""
        result = func(*args, **(kwargs or {}))
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        storages = {tensor.untyped_storage()._cdata for tensor in read}
        if func._schema.is_mutable or not any(one.untyped_storage()._cdata in storages for one in written):
            self.moved += sum(map(size, read)) + sum(map(size, written))
            self.largest = max(self.largest, *map(size, written))
        return result


def prediction_batches(network: ChangeNetwork, pair: Pair) -> list[Batch]:
    """Input (n, 9, rows, columns) float32 and brain (n, rows, columns) bool of every batch that ``predict`` makes."""
    with mock.patch.object(prediction, "_predict_batch", wraps=prediction._predict_batch) as step:
        prediction.predict(network, pair)
    return [(call.args[2], call.args[3]) for call in step.call_args_list]


def counted_work(network: ChangeNetwork, batches: list[Batch], passes: int, dtype: str) -> Work:
    """Operations and bytes of encoding each batch once and decoding it in every pass."""
    folded = FoldedNetwork(network, "meta", getattr(torch, dtype))
    layers = prediction.Passes(network, folded, passes, seed=1)
    inputs = [batch.to("meta") for batch, _ in batches]
    operations, traffic = FlopCounterMode(display=False), Traffic()
    # the traffic is counted innermost: the counter of operations takes operators apart, into some that no device runs
    with torch.inference_mode(), operations, traffic:
        for batch in inputs:
            encoded, _ = folded.encode(batch)
            for layer in layers:
                folded.decode(encoded, layer)
    blocks = [block[:2] for stage in folded.stages for block in stage]
    weights = sum(size(part) for layer in (*blocks, *folded.skips, *folded.plain, folded.head) for part in layer)
    return Work(operations.get_total_flops(), weights, sum(map(size, inputs)), traffic.moved, traffic.largest)


def milliseconds(call: Callable[[], Any], device: torch.device, repeats: int = 20, warm: int = 3) -> float:
    """Median time of a call after warm-up: by device events on a GPU, by the clock elsewhere."""
    for _ in range(warm):
        call()
    taken = []
    for _ in range(repeats):
        if device.type == "cuda":
            began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            began.record()
            call()
            ended.record()
            ended.synchronize()
            taken.append(began.elapsed_time(ended))
        else:
            start = time.perf_counter()
            call()
            taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def device_milliseconds(
    network: ChangeNetwork, batches: list[Batch], passes: int, dtype: str, device: str = "cuda", repeats: int = 20
) -> float:
    """Time of prediction's batches with inputs and weights on the device; copying the results to the host counts."""
    place = torch.device(device)
    with reproducible(), torch.inference_mode():
        folded = FoldedNetwork(network, place, getattr(torch, dtype))
        layers = prediction.Passes(network, folded, passes, seed=1)
        there = [(inputs.to(place), region.to(place)) for inputs, region in batches]
        return milliseconds(
            lambda: [prediction._predict_batch(folded, layers, *batch) for batch in there], place, repeats
        )
