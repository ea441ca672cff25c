"""Prediction: the same bits each time, the same as complete passes, empty slices, geometry, memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LMIALLib.errors import WrongUse
from LMIALLib.network import prediction as module
from LMIALLib.network.architecture import dropout_masks
from LMIALLib.network.prediction import predict
from LMIALLib.network.slices import (
    Window,
    brain_window,
    cut,
    network_input,
    network_shape,
    paste,
    with_neighbours,
)


def entropy(p):
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def complete_passes(network, pair, passes, seed):
    """Every pass of every slice by itself, through the network as it was trained, masks multiplied in."""
    volumes = (pair.baseline, pair.follow_up, pair.mask)
    inputs = torch.from_numpy(network_input(*(with_neighbours(v, np.arange(len(v))) for v in volumes)))
    window = brain_window(pair.mask, network.architecture.multiple)
    inputs = torch.from_numpy(cut(inputs.numpy(), window))
    result = []
    with torch.inference_mode():
        for index in range(passes):
            logits = network.decode(network.encode(inputs)[0], dropout_masks(network, seed, index))
            whole = np.zeros(pair.mask.shape, np.float32)
            paste(torch.sigmoid(logits)[:, 0].numpy(), window, whole)
            result.append(whole * pair.mask)
    return np.stack(result)


def test_same_inputs_same_bits(network, pair):
    first, second = (predict(network, pair, passes=3, seed=5, threads=1) for _ in range(2))
    for name in ("mean", "expected_entropy", "variance", "features"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert first.conditions == second.conditions


def test_another_seed_gives_other_passes(network, pair):
    first, second = (predict(network, pair, passes=3, seed=seed).mean for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_shared_encoder_equals_complete_passes(network, pair):
    found = predict(network, pair, passes=4, seed=2, batch=8)
    brute = complete_passes(network, pair, 4, 2)
    assert np.allclose(found.mean, brute.mean(0), atol=1e-5)
    assert np.allclose(found.variance, brute.var(0), atol=1e-5)
    brain = pair.mask
    assert np.allclose(found.expected_entropy[brain], entropy(brute).mean(0)[brain], atol=1e-4)


def test_mutual_information_is_not_negative(network, pair):
    found = predict(network, pair, passes=5, seed=1)
    information = entropy(found.mean) - found.expected_entropy
    assert information[pair.mask].min() > -1e-6
    assert information[pair.mask].max() > 1e-5


def test_one_pass_is_without_dropout(network, pair):
    first, second = (predict(network, pair, seed=seed) for seed in (0, 1))
    assert np.array_equal(first.mean, second.mean)
    assert first.expected_entropy is None
    assert first.variance is None


def test_outside_the_brain_there_is_nothing(network, pair):
    found = predict(network, pair, passes=2)
    for stack in (found.mean, found.expected_entropy, found.variance):
        assert stack.dtype == np.float32
        assert not stack[~pair.mask].any()
    assert not found.features[[0, 4]].any()
    assert found.features[2].any()
    assert found.features.shape[1] <= 256


def test_empty_slices_are_not_computed(network, pair, monkeypatch):
    seen = []
    original = module.FoldedNetwork.encode
    monkeypatch.setattr(
        module.FoldedNetwork, "encode", lambda self, x: seen.append(tuple(x.shape)) or original(self, x)
    )
    predict(network, pair)
    assert [shape[0] for shape in seen] == [3]
    assert seen[0][2] % network.architecture.multiple == 0


def test_a_slice_is_judged_by_its_neighbours_and_no_farther(network, pair_of):
    def changed_at(number):
        pair = pair_of()
        pair.follow_up[number] += 1.0
        return predict(network, pair).mean

    plain, near, far = predict(network, pair_of()).mean, changed_at(2), changed_at(3)
    for changed in (near, far):
        assert not np.array_equal(changed[2], plain[2])
    assert not np.array_equal(near[1], plain[1])
    assert not np.array_equal(near[3], plain[3])
    assert np.array_equal(far[1], plain[1])


@pytest.mark.parametrize("spacing", [(0.9, 0.9, 3.0), (2.0, 2.0, 4.0)])
def test_batch_size_does_not_matter(network, pair_of, spacing):
    whole, *parts = (predict(network, pair_of(spacing=spacing), passes=2, batch=batch) for batch in (8, 1, 2))
    for part in parts:
        assert np.allclose(part.mean, whole.mean, atol=1e-5)
        assert np.allclose(part.features, whole.features, atol=1e-4)


def test_each_slice_is_resized_once_a_batch(network, pair_of, monkeypatch):
    sizes = []
    original = module.resized
    monkeypatch.setattr(module, "resized", lambda stack, shape: sizes.append(len(stack)) or original(stack, shape))
    predict(network, pair_of(spacing=(2.0, 2.0, 4.0)))
    assert sizes == [5, 5, 5, 3, 3]  # what comes back: mean and entropy


def test_neighbours_beyond_the_ends_repeat_the_last_slice():
    stack = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    found = with_neighbours(stack, np.array([0, 2, 3]))
    assert found.shape == (3, 3, 2, 3)
    assert found[:, :, 0, 0].tolist() == [[0, 0, 1], [1, 2, 3], [2, 3, 3]]
    assert with_neighbours(stack[:1], np.array([0]))[0, :, 0, 0].tolist() == [0, 0, 0]


def test_input_holds_baseline_follow_up_and_difference_in_this_order():
    baseline = np.array([1.0, 2.0, 3.0], np.float32)[None, :, None, None] * np.ones((2, 3, 4, 5), np.float32)
    follow_up = baseline * 3
    mask = np.ones((2, 3, 4, 5), bool)
    mask[:, 1, 0] = False
    found = network_input(baseline, follow_up, mask)
    assert (found.shape, found.dtype) == ((2, 9, 4, 5), np.float32)
    assert found[0, :, 1, 1].tolist() == [1, 2, 3, 3, 6, 8, 2, 4, 5]  # 9 is clipped to 8
    assert found[0, :, 0, 0].tolist() == [1, 0, 3, 3, 0, 8, 2, 0, 5]


def test_pair_without_brain(network, pair):
    blank = type(pair)(pair.baseline, pair.follow_up, np.zeros_like(pair.mask), pair.grid, pair.axis)
    assert not predict(network, blank, passes=2).mean.any()


def test_slices_follow_the_pair_s_axis(network, pair_of):
    along, across = pair_of(), pair_of(axis=2, spacing=(3.0, 0.9, 0.9))
    assert np.allclose(predict(network, along).mean, predict(network, across).mean, atol=1e-6)


def test_batch_and_passes_do_not_change_what_is_kept(network, pair):
    """Structure of the sums: each batch leaves five maps, however many passes there are."""
    shapes = []
    original = module._predict_batch

    def watched(*arguments):
        results, pooled = original(*arguments)
        shapes.append([r.shape for r in results.values()])
        return results, pooled

    module._predict_batch = watched
    try:
        predict(network, pair, passes=2, batch=1)
        few = list(shapes)
        shapes.clear()
        predict(network, pair, passes=9, batch=1)
    finally:
        module._predict_batch = original
    assert few == shapes
    assert all(len(batch) == 5 for batch in shapes)


def test_coarse_pixels_are_brought_to_the_network_s_size(network, pair_of):
    pair = pair_of(spacing=(2.0, 2.0, 4.0))
    assert network_shape(pair.slice_shape, pair.in_plane_spacing) == (100, 90)
    found = predict(network, pair, passes=2)
    assert found.mean.shape == (5, 40, 36)
    assert found.mutual_information.min() >= 0


def test_usual_pixels_stay_as_they_are():
    assert network_shape((320, 300), (0.72, 0.72)) == (320, 300)


def test_bfloat16_stays_close(network, pair):
    single, half = (predict(network, pair, dtype=dtype).mean for dtype in ("float32", "bfloat16"))
    assert np.abs(single - half).max() < 0.05


def test_conditions_name_what_must_be_the_same(network, pair):
    conditions = predict(network, pair, passes=2, seed=9, threads=1).conditions
    assert conditions["threads"] == 1
    assert conditions["seed"] == 9
    assert {"device", "dtype", "batch", "passes", "cpu", "versions"} <= set(conditions)


def test_torch_settings_are_put_back(network, pair):
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    predict(network, pair, threads=2)
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before


@pytest.mark.parametrize(
    ("options", "word"), [({"device": "tpu"}, "tpu"), ({"dtype": "int8"}, "int8"), ({"passes": 0}, "0 passes")]
)
def test_wrong_use(network, pair, options, word):
    with pytest.raises(WrongUse, match=word):
        predict(network, pair, **options)


def test_out_of_memory_halves_the_batch_then_uses_the_cpu(network, pair, monkeypatch):
    batches, devices = [], []
    original, folded = module._predict_stacks, module.FoldedNetwork

    def full(network_, layers, pair_, multiple, batch, progress):
        batches.append(batch)
        if len(batches) <= 3:
            raise torch.OutOfMemoryError("full")
        return original(network_, layers, pair_, multiple, batch, progress)

    monkeypatch.setattr(module, "chosen_device", lambda name: "cuda")
    monkeypatch.setattr(module, "FoldedNetwork", lambda n, d, t: devices.append(d) or folded(n, "cpu", t))
    monkeypatch.setattr(module, "_predict_stacks", full)
    found = predict(network, pair, batch=4)
    assert batches == [4, 2, 1, 8]
    assert devices[-1] == "cpu"
    assert len(found.conditions["notes"]) == 3
    assert found.conditions["device"] == "cpu"


def test_window_and_paste_are_inverse():
    stack = np.arange(2 * 10 * 12, dtype=np.float32).reshape(2, 10, 12)
    mask = np.zeros((2, 10, 12), bool)
    mask[:, 0:3, 9:12] = True
    window = brain_window(mask, 8)
    assert window == Window(top=-16, bottom=24, left=-8, right=32)
    back = np.zeros_like(stack)
    paste(cut(stack, window), window, back)
    assert np.array_equal(back[mask], stack[mask])


def test_a_pixels_probability_does_not_depend_on_where_the_brain_region_ends(network, pair):
    """The same slices with a brain region that reaches less far elsewhere: far from its new edge nothing changes."""
    smaller = pair.mask.copy()
    rows = np.flatnonzero(pair.mask.any(axis=(0, 2)))
    smaller[:, : rows[0] + 3] = False
    starts = {
        brain_window(mask, network.architecture.multiple).top % network.architecture.multiple
        for mask in (pair.mask, smaller)
    }
    assert starts == {0}, "windows must lie on one lattice: the network is not blind to shifts below it"
