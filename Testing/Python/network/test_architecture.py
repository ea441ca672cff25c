"""The network's shape, its channel masks, and that the folded form computes the same."""

from __future__ import annotations

import pytest
import torch

from LMIALLib.network.architecture import CHANNELS, Architecture, ChangeNetwork, dropout_masks
from LMIALLib.network.inference import FoldedNetwork

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_default_network_is_small_enough_for_the_bundle():
    parameters = sum(p.numel() for p in ChangeNetwork().parameters())
    assert parameters * 2 < 6_000_000


def test_logits_have_the_shape_of_the_slice(network):
    assert network(torch.zeros(2, CHANNELS, 32, 48)).shape == (2, 1, 32, 48)


def test_no_dropout_layer_is_on_in_evaluation(network):
    values = torch.randn(1, CHANNELS, 32, 32)
    assert torch.equal(network(values), network(values))


def test_passes_differ_while_training(network):
    network.train()
    values = torch.randn(2, CHANNELS, 32, 32)
    assert not torch.equal(network(values), network(values))


def test_masks_depend_on_seed_and_pass_alone(network):
    first, again = dropout_masks(network, 7, 3), dropout_masks(network, 7, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = dropout_masks(network, 7, 4)
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_masks_drop_whole_channels_and_keep_the_mean(network):
    share = network.architecture.bottleneck_dropout
    factors = torch.stack([dropout_masks(network, 0, t)[0] for t in range(300)])
    assert sorted(factors.unique().tolist()) == pytest.approx([0.0, 1 / (1 - share)])
    assert abs(float(factors.mean()) - 1.0) < 0.05


def test_ten_passes_drop_each_channel_equally_often(network):
    share = network.architecture.bottleneck_dropout
    dropped = sum((dropout_masks(network, 4, t)[0] == 0).int() for t in range(20, 30))
    assert dropped.tolist() == [round(10 * share)] * network.architecture.widths[-1]


@pytest.mark.parametrize("masked", [False, True])
def test_folded_network_computes_the_same(network, masked):
    values = torch.randn(2, CHANNELS, 32, 32)
    masks = dropout_masks(network, 1, 0) if masked else None
    folded = FoldedNetwork(network)
    with torch.inference_mode():
        expected = network.decode(network.encode(values)[0], masks)[:, 0]
        encoded, _ = folded.encode(values)
        found = folded.decode(encoded, folded.sampled(masks) if masks else None)
    assert torch.allclose(found, expected, atol=1e-4)


def test_architecture_survives_its_dictionary():
    made = Architecture(widths=(8, 16), decoder_width=4)
    assert Architecture.from_dict(made.to_dict()) == made


@pytest.mark.parametrize("family", ["vnet", "lmial-change-unet-1"])
def test_another_family_is_refused(family):
    with pytest.raises(ValueError, match="family"):
        Architecture.from_dict({**Architecture().to_dict(), "family": family})
