"""Tiny networks and pairs, so that the network's tests take seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from LMIALLib.cohorts.synthesis import Sample
from LMIALLib.network.architecture import CHANNELS, Architecture, ChangeNetwork
from LMIALLib.network.finetuning_batches import Example
from LMIALLib.network.weights import save_weights
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair

TINY = Architecture(widths=(8, 12, 16), decoder_width=8)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network() -> ChangeNetwork:
    """A tiny network whose normalisation layers have seen some numbers, so that folding them matters."""
    torch.manual_seed(3)
    made = ChangeNetwork(TINY)
    made.train()
    with torch.no_grad():
        for _ in range(5):
            made(torch.randn(4, CHANNELS, 32, 32) * 2 + 0.5)
    return made.eval()


@pytest.fixture
def weights(network: ChangeNetwork, tmp_path: Path) -> Path:
    path = tmp_path / "start.safetensors"
    save_weights(network, path, {"note": "test"})
    return path


def make_pair(seed: int = 0, spacing: tuple[float, float, float] = (0.9, 0.9, 3.0), axis: int = 0) -> Pair:
    """Five slices of 40 x 36 pixels, the outer two without brain."""
    random = np.random.default_rng(seed)
    stack = (5, 40, 36)
    baseline = random.standard_normal(stack).astype(np.float32)
    follow_up = baseline + 0.3 * random.standard_normal(stack).astype(np.float32)
    mask = np.zeros(stack, bool)
    mask[1:4, 6:33, 5:30] = True
    follow_up[2, 15:20, 15:20] += 3.0
    volumes = [np.ascontiguousarray(np.moveaxis(v, 0, axis)) for v in (baseline, follow_up, mask)]
    size = volumes[0].shape[::-1]
    return Pair(*volumes, Grid(size, spacing, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)), axis)


@pytest.fixture
def pair() -> Pair:
    return make_pair()


@pytest.fixture
def pair_of() -> Callable[..., Pair]:
    """``make_pair``, for tests that need a pair of another kind."""
    return make_pair


@pytest.fixture
def example_of() -> Callable[..., Example]:
    """``make_example``."""
    return make_example


def make_example(seed: int, change: bool, ignored: bool = False) -> Example:
    """A 48 x 48 slice and its neighbours, all with a bright square that is marked as change, or nothing."""
    random = np.random.default_rng([seed, 9])
    baseline = random.standard_normal((3, 48, 48)).astype(np.float32) * 0.5
    follow_up = baseline + 0.2 * random.standard_normal((3, 48, 48)).astype(np.float32)
    mask = np.zeros((3, 48, 48), bool)
    mask[:, 4:44, 4:44] = True
    target = np.zeros((48, 48), np.uint8)
    if change:
        follow_up[:, 20:28, 18:26] += 3.0
        target[20:28, 18:26] = 1
    if ignored:
        target[30:44] = 255
    return Example(baseline, follow_up, mask, target, (0.9, 0.9), 3.0)


@pytest.fixture
def small_guard(monkeypatch: pytest.MonkeyPatch) -> tuple[Sample, ...]:
    """Two 32 x 32 guard slices in place of the bundled ones."""
    from LMIALLib.network import example_metrics

    samples = []
    for seed in (1, 2):
        example = make_example(seed, change=True)
        part = (slice(12, 44), slice(10, 42))
        visits = [slices[:, *part] for slices in (example.baseline, example.follow_up, example.mask)]
        samples.append(Sample(*visits, example.target[part], "guard"))
    monkeypatch.setattr(example_metrics, "load_guard", lambda: tuple(samples))
    return tuple(samples)
