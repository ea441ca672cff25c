"""Weights that a study's own scans make without any label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.network.lab_training import new_network
from LMIALLib.network.masked_start import MaskedStart, train_masked_start
from LMIALLib.network.prediction import predict
from LMIALLib.network.training import Stopped
from LMIALLib.network.weights import load_weights, read_weights
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair

TINY = MaskedStart(widths=(8, 12, 16), steps=6, batch=2, crop=32, block=8, checkpoint_every=2, threads=1)


def stripes(phase: float, *, brain: bool = True) -> Pair:
    """A pair whose visits are the same smooth stripes, 6 slices of 40 x 40 pixels of 1 mm."""
    rows = np.arange(40, dtype=np.float32)
    image = np.sin(rows[:, None] / 4 + phase) + np.cos(rows[None] / 5)
    volume = np.repeat(image[None], 6, axis=0).astype(np.float32)
    grid = Grid((40, 40, 6), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Pair(volume, volume + 0.1, np.full(volume.shape, brain), grid, 0)


PAIRS = {"a": stripes(0.0), "b": stripes(1.0)}


def test_what_is_handed_over_is_a_weights_file_that_predicts_and_finds_change_unlikely(tmp_path: Path) -> None:
    out = tmp_path / "start.safetensors"
    train_masked_start(PAIRS, TINY, out)
    network, info = load_weights(out)
    assert info.provenance["pairs"] == {name: pair.digest() for name, pair in PAIRS.items()}
    mean = predict(network, PAIRS["a"], threads=1).mean
    assert 0 < np.median(mean[PAIRS["a"].mask]) < 0.1
    untrained = new_network(TINY.seed, TINY.widths, list(PAIRS.values())).state_dict()
    trained = network.state_dict()
    assert any(not np.allclose(trained[key], untrained[key], atol=1e-3) for key in trained if "stages" in key)
    assert [file.name for file in tmp_path.iterdir()] == ["start.safetensors"]


def test_the_loss_falls(tmp_path: Path) -> None:
    losses = train_masked_start(PAIRS, replace(TINY, steps=60), tmp_path / "start.safetensors")
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_a_stopped_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_masked_start(PAIRS, TINY, whole)
    asked: list[int] = []

    def after_three() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Stopped, match="after 3 of 6"):
        train_masked_start(PAIRS, TINY, resumed, cancelled=after_three)
    assert len(train_masked_start(PAIRS, TINY, resumed)) == 3
    assert read_weights(whole)[1].digest == read_weights(resumed)[1].digest


def test_pairs_without_brain_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds brain"):
        train_masked_start({"a": stripes(0.0, brain=False)}, TINY, tmp_path / "start.safetensors")
    assert not list(tmp_path.iterdir())
