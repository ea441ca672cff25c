"""The pixel sizes that a network covers travel with it: prediction and training follow them, older files mean ours."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import safe_open, save_file

from LMIALLib.errors import BadInput
from LMIALLib.network.architecture import Architecture, ChangeNetwork
from LMIALLib.network.example_metrics import slice_probability
from LMIALLib.network.finetuning_batches import FinetuningBatches, prepared
from LMIALLib.network.prediction import predict
from LMIALLib.network.slices import PIXEL_SIZES, network_shape
from LMIALLib.network.weights import load_weights, save_weights


@pytest.fixture
def coarse(network):
    """The same network for pixels of 1.2 to 2.2 mm."""
    made = ChangeNetwork(replace(network.architecture, finest_mm=1.2, coarsest_mm=2.2, resampled_mm=1.6))
    made.load_state_dict(network.state_dict())
    return made.eval()


def with_architecture(path, values):
    """Rewrite a weights file with another architecture in its header."""
    with safe_open(path, framework="numpy") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(arrays, path, metadata={**metadata, "architecture": json.dumps(values)})


def test_defaults_are_those_of_the_shipped_weights():
    assert Architecture().pixels == PIXEL_SIZES
    assert network_shape((40, 36), (1.6, 1.6)) == (80, 72)


def test_a_network_for_coarse_pixels_sees_them_as_they_are(network, coarse, pair_of):
    """No resampling: as the plain network sees slices of fine pixels."""
    found = predict(coarse, pair_of(spacing=(1.6, 1.6, 3.0)), passes=2)
    same = predict(network, pair_of(spacing=(0.9, 0.9, 3.0)), passes=2)
    assert np.array_equal(found.mean, same.mean)
    assert np.array_equal(found.features, same.features)
    resampled = predict(network, pair_of(spacing=(1.6, 1.6, 3.0)), passes=2)
    assert not np.allclose(found.mean, resampled.mean, atol=1e-4)


def test_lessons_and_figures_follow_the_network(network, coarse, example_of):
    example = replace(example_of(0, change=True), in_plane_spacing=(1.6, 1.6))
    assert prepared(example).planes.shape[1:] == (96, 96)
    assert prepared(example, coarse.architecture.pixels).planes.shape[1:] == (48, 48)
    batches = FinetuningBatches([example], [], size=32, pixels=coarse.architecture.pixels)
    assert batches.read[0].planes.shape[1:] == (48, 48)
    assert batches.painting.pixel_mm == pytest.approx((1.3, 1.9))
    plain = slice_probability(network, example_of(0, change=True))
    assert np.array_equal(slice_probability(coarse, example), plain)


def test_they_survive_the_weights_file(coarse, tmp_path):
    save_weights(coarse, tmp_path / "coarse.safetensors", {})
    assert load_weights(tmp_path / "coarse.safetensors")[0].architecture == coarse.architecture


def test_files_written_before_they_were_stored_load(network, weights):
    values = network.architecture.to_dict()
    with_architecture(weights, {name: value for name, value in values.items() if not name.endswith("_mm")})
    loaded, info = load_weights(weights)
    assert loaded.architecture.pixels == PIXEL_SIZES
    assert torch.equal(loaded.head.bias, network.head.bias.half().float())
    assert len(info.digest) == 64


@pytest.mark.parametrize("sizes", [{"finest_mm": 0.0}, {"coarsest_mm": 0.7}, {"resampled_mm": float("nan")}])
def test_sizes_that_are_no_range_are_refused(network, weights, sizes):
    with_architecture(weights, {**network.architecture.to_dict(), **sizes})
    with pytest.raises(BadInput, match="pixel sizes"):
        load_weights(weights)
