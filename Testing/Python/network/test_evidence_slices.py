"""Expected Dice against passes that are all kept, gradients against autograd."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from LMIALLib.network import slice_terms
from LMIALLib.network.architecture import Architecture, ChangeNetwork, dropout_masks
from LMIALLib.network.inference import FoldedNetwork
from LMIALLib.network.prediction import batches
from LMIALLib.network.slice_terms import GRADIENTS, expected_dice, gradient_embeddings, head_gradients


def parts_of(network, pair, size=8):
    architecture = network.architecture
    return batches(pair, architecture.pixels, architecture.multiple, size, torch.device("cpu"))


def dice_of_kept_passes(network, pair, passes, seed):
    """(n,) with every pass's map in memory, through the network as it was trained."""
    result = np.ones(pair.n_slices)
    with torch.inference_mode():
        for part in parts_of(network, pair):
            encoded = network.encode(part.inputs)[0]
            every = [network.decode(encoded, dropout_masks(network, seed, index)) for index in range(passes)]
            p = torch.sigmoid(torch.stack(every))[:, :, 0].double().numpy()
            for place, number in enumerate(part.chosen):
                of_slice = p[:, place][:, part.region[place].numpy()]
                mean = of_slice.mean(0)
                dice = []
                for one in of_slice:
                    change = 2 * (mean * one).sum() / (mean + one).sum()
                    rest = 2 * ((1 - mean) * (1 - one)).sum() / ((1 - mean) + (1 - one)).sum()
                    dice.append((change + rest) / 2)
                result[number] = np.mean(dice)
    return result


@pytest.mark.parametrize("spacing", [(0.9, 0.9, 3.0), (2.0, 2.0, 4.0)])
@pytest.mark.parametrize("batch", [1, 8])
def test_expected_dice_equals_that_of_kept_passes(network, pair_of, spacing, batch):
    pair = pair_of(spacing=spacing)
    found = expected_dice(network, pair, passes=4, seed=3, batch=batch)
    assert (found.shape, found.dtype) == ((5,), np.float32)
    assert np.allclose(found, dice_of_kept_passes(network, pair, 4, 3), atol=1e-5)
    assert found[[0, 4]].tolist() == [1, 1] and 0 < found[2] < 1


@pytest.mark.parametrize(("bias", "expected"), [(-300.0, 1.0), (300.0, 1.0), (0.0, 0.5)])
def test_expected_dice_of_a_network_that_always_says_the_same(network, pair, bias, expected):
    """No change anywhere, change everywhere, and 1/2 everywhere, where soft Dice of equal passes is 1/2."""
    sure = copy.deepcopy(network)
    with torch.no_grad():
        sure.head.weight.zero_()
        sure.head.bias.fill_(bias)
    assert np.allclose(expected_dice(sure, pair, passes=3, seed=0)[1:4], expected)


def test_passes_leave_no_more_behind_when_there_are_more(network, pair, monkeypatch):
    """Structure: each batch is encoded once and decoded twice a pass, whatever their number."""
    calls = {"encode": 0, "decode": 0}
    for name in calls:
        original = getattr(FoldedNetwork, name)

        def counted(self, *arguments, _name=name, _original=original):
            calls[_name] += 1
            return _original(self, *arguments)

        monkeypatch.setattr(FoldedNetwork, name, counted)
    expected_dice(network, pair, passes=6, seed=0)
    assert calls == {"encode": 1, "decode": 12}


def autograd(network, pair):
    """Gradient of each slice's loss at its pseudo-label, (n, 4 x (9 x width + 1)), by torch."""
    rows = np.zeros((pair.n_slices, sum(p.numel() for p in network.head.parameters())), np.float32)
    for part in parts_of(network, pair):
        for place, number in enumerate(part.chosen):
            network.zero_grad()
            logits = network.decode(network.encode(part.inputs[place : place + 1])[0])[0, 0]
            label = (torch.sigmoid(logits) >= 0.5).float().detach()
            loss = functional.binary_cross_entropy_with_logits(logits, label, reduction="none")
            (loss * part.region[place]).sum().backward()
            rows[number] = torch.cat([network.head.weight.grad.flatten(), network.head.bias.grad]).numpy()
    return rows


def test_gradients_equal_those_of_autograd(network, pair):
    with torch.inference_mode():
        (part,) = parts_of(network, pair)
        found = head_gradients(FoldedNetwork(network), part).numpy()
    expected = autograd(network, pair)
    assert np.abs(expected[1:4]).max() > 0.1
    assert np.allclose(found, expected[1:4], atol=1e-3, rtol=1e-4)
    assert not expected[[0, 4]].any()


def test_short_gradients_are_kept_whole(pair):
    torch.manual_seed(1)
    narrow = ChangeNetwork(Architecture(widths=(4, 6, 8), decoder_width=4)).eval()
    found = gradient_embeddings(narrow, pair, batch=2)
    assert found.shape == (5, 4 * (9 * 4 + 1))
    assert np.allclose(found, autograd(narrow, pair), atol=1e-3, rtol=1e-4)


def test_long_gradients_are_projected_and_keep_their_distances(network, pair, monkeypatch):
    whole = autograd(network, pair)
    assert whole.shape[1] > GRADIENTS
    found = gradient_embeddings(network, pair)
    assert (found.shape, found.dtype) == ((5, GRADIENTS), np.float32)
    for a, b in ((1, 2), (2, 3), (1, 3), (0, 2)):
        ratio = np.linalg.norm(found[a] - found[b]) / np.linalg.norm(whole[a] - whole[b])
        assert 0.8 < ratio < 1.2
    slice_terms._projection.cache_clear()
    assert np.array_equal(gradient_embeddings(network, pair), found), "the projection must be the same each time"


def test_a_sure_network_has_short_gradients(network, pair):
    sure = copy.deepcopy(network)
    with torch.no_grad():
        sure.head.bias.fill_(-30.0)
    length = np.linalg.norm(gradient_embeddings(sure, pair), axis=1)
    assert length.max() < 1e-3 < np.linalg.norm(gradient_embeddings(network, pair), axis=1)[2]
