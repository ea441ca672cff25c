"""Fine-tuning: what is learned from, what is not, and that a stopped run goes on as if it had not been."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from LMIALLib.errors import BadInput
from LMIALLib.metrics.voxels import dice
from LMIALLib.network import finetuning
from LMIALLib.network.finetuning import FinetuneSettings, finetune
from LMIALLib.network.finetuning_batches import Example, FinetuningBatches, _stacked, prepared
from LMIALLib.network.losses import change_loss
from LMIALLib.network.slices import network_input, with_neighbours
from LMIALLib.network.weights import load_weights
from LMIALLib.progress import Cancelled

SETTINGS = FinetuneSettings(
    steps=6, annotated=3, unread=2, painted=1, size=32, checkpoint_every=2, rate=2e-3, threads=1
)


@pytest.fixture
def examples(example_of):
    return [example_of(1, change=True), example_of(2, change=False)]


@pytest.fixture
def unread(example_of):
    found = [example_of(seed, change=True) for seed in (5, 6)]
    return [replace(example, target=np.full_like(example.target, 255)) for example in found]


@pytest.fixture(autouse=True)
def _guard(small_guard):
    return small_guard


def test_it_learns_what_was_marked(weights, examples, unread, tmp_path):
    settings = replace(SETTINGS, steps=60, annotated=4, unread=0, rate=1e-2, average=0.5, kept=0.0)
    report = finetune(weights, examples, unread, tmp_path / "new.safetensors", settings=settings)
    assert report.finite
    assert report.steps == 60
    assert report.dice_after > report.dice_before + 0.15
    assert report.losses[-1] < report.losses[0]
    assert load_weights(tmp_path / "new.safetensors")[1].digest == report.digest


def test_same_seed_same_weights(weights, examples, unread, tmp_path):
    reports = [
        finetune(weights, examples, unread, tmp_path / f"{n}.safetensors", settings=SETTINGS) for n in ("a", "b")
    ]
    assert reports[0].digest == reports[1].digest
    other = finetune(weights, examples, unread, tmp_path / "c.safetensors", settings=replace(SETTINGS, seed=1))
    assert other.digest != reports[0].digest


def test_stopped_run_goes_on_as_if_uninterrupted(weights, examples, unread, tmp_path):
    whole = finetune(weights, examples, unread, tmp_path / "whole.safetensors", settings=SETTINGS)
    asked = []

    def after_four() -> bool:
        asked.append(1)
        return len(asked) > 4

    checkpoint, out = tmp_path / "run.checkpoint.safetensors", tmp_path / "resumed.safetensors"
    with pytest.raises(Cancelled, match="4 of 6"):
        finetune(weights, examples, unread, out, settings=SETTINGS, checkpoint=checkpoint, cancelled=after_four)
    assert not out.exists()
    assert checkpoint.exists()
    resumed = finetune(weights, examples, unread, out, settings=SETTINGS, checkpoint=checkpoint)
    assert resumed.digest == whole.digest
    assert not checkpoint.exists()


def test_checkpoint_of_another_run_is_refused(weights, examples, unread, tmp_path):
    checkpoint = tmp_path / "run.checkpoint.safetensors"
    calls = iter([False] * 2 + [True])
    with pytest.raises(Cancelled):
        finetune(
            weights,
            examples,
            unread,
            tmp_path / "a.safetensors",
            settings=SETTINGS,
            checkpoint=checkpoint,
            cancelled=lambda: next(calls),
        )
    with pytest.raises(BadInput, match="other settings"):
        finetune(
            weights,
            examples,
            unread,
            tmp_path / "a.safetensors",
            settings=replace(SETTINGS, seed=2),
            checkpoint=checkpoint,
        )


def test_damaged_checkpoint_is_refused(weights, examples, unread, tmp_path):
    checkpoint = tmp_path / "run.checkpoint.safetensors"
    checkpoint.write_bytes(b"nonsense, and not much of it")
    with pytest.raises(BadInput, match="damaged"):
        finetune(weights, examples, unread, tmp_path / "a.safetensors", settings=SETTINGS, checkpoint=checkpoint)


def test_examples_are_needed(weights, unread, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        finetune(weights, [], unread, tmp_path / "a.safetensors", settings=SETTINGS)


def test_time_limit_counts_as_fewer_steps(weights, examples, unread, tmp_path):
    report = finetune(weights, examples, unread, tmp_path / "a.safetensors", settings=replace(SETTINGS, minutes=0.0))
    assert report.steps == 0
    assert report.dice_after == report.dice_before


def test_unread_slices_hold_no_target(examples, unread):
    batches = FinetuningBatches(examples, unread, size=32, seed=0)
    batch = batches.unread_slices(0, 4)
    assert not batch.counted.any()
    assert not batch.target.any()
    assert batch.visits.any()


def test_unread_slices_keep_their_own_pixel_size(examples, unread):
    coarse = replace(unread[0], in_plane_spacing=(1.6, 1.6))
    batches = FinetuningBatches(examples, [coarse, unread[1]], size=32, seed=0)
    assert [tuple(part.planes.shape[1:]) for part in batches.unread] == [(96, 96), (48, 48)]


def test_backgrounds_are_slices_with_their_neighbours_at_their_own_distance(examples):
    wide = [replace(example, in_plane_spacing=(1.4, 1.4), slice_spacing=4.5) for example in examples]
    batches = FinetuningBatches(examples[:1], wide[1:], size=32, seed=0)
    assert [found.volume.shape for found in batches.backgrounds] == [(3, 48, 48)]
    assert (batches.backgrounds[0].slice_mm, batches.backgrounds[0].pixel_mm) == (4.5, 1.4)
    assert batches.painted(0, 2).visits.shape == (2, 6, 32, 32)


def test_example_of_a_pair_holds_the_slice_between_its_neighbours(pair_of):
    pair = pair_of(axis=2, spacing=(3.0, 0.9, 0.8))
    target = np.ones(pair.slice_shape, np.uint8)
    read, unread = Example.of_pair(pair, 1, target), Example.of_pair(pair, 4)
    stacks = [pair.stack(volume) for volume in (pair.baseline, pair.follow_up, pair.mask)]
    for found, stack in zip((read.baseline, read.follow_up, read.mask), stacks, strict=True):
        assert np.array_equal(found, stack[0:3])
    assert np.array_equal(unread.baseline, with_neighbours(stacks[0], np.array([4]))[0])
    assert (read.in_plane_spacing, read.slice_spacing) == (pair.in_plane_spacing, 3.0)
    assert np.array_equal(read.read, stacks[2][1])
    assert not unread.read.any()


def test_lessons_are_fed_as_prediction_is(example_of):
    """A crop that nothing varies is what ``network_input`` makes of the same slices."""
    example = example_of(1, change=True)
    planes = prepared(example).planes
    batch = _stacked([planes])
    expected = network_input(example.baseline, example.follow_up, example.mask)
    assert np.allclose(batch.inputs[0].numpy(), expected, atol=1e-6)
    assert np.array_equal(batch.brain[0, 0].numpy(), example.brain)
    assert np.array_equal(batch.target[0, 0].numpy() > 0, example.target == 1)


def test_unread_slices_are_no_negatives(weights, unread):
    """Where nobody read, a model that still predicts as the old one gets no gradient, however much change it sees."""
    network, _ = load_weights(weights)
    values = torch.from_numpy(network_input(unread[0].baseline, unread[0].follow_up, unread[0].mask)[None])
    brain = torch.from_numpy(unread[0].brain[None, None])
    with torch.no_grad():
        network.head.bias.add_(2.0)
        predicted = torch.sigmoid(network(values))
    assert (predicted > 0.5).any()
    loss = finetuning.divergence_loss(network(values), predicted, brain)
    loss.backward()
    gradient = max(float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None)
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert gradient < 1e-6


def test_the_divergence_pulls_towards_the_old_model_from_both_sides():
    predicted = torch.tensor([0.95, 0.05])[None, None, None]
    logits = torch.zeros_like(predicted).requires_grad_()
    finetuning.divergence_loss(logits, predicted, torch.ones_like(predicted, dtype=torch.bool)).backward()
    assert logits.grad[0, 0, 0, 0] < 0 < logits.grad[0, 0, 0, 1]


def test_ignored_pixels_have_no_gradient():
    logits = torch.randn(2, 1, 16, 16, requires_grad=True)
    target = (torch.rand(2, 1, 16, 16) > 0.8).float()
    counted = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    counted[:, :, 8:] = False
    change_loss()(logits, target, counted).backward()
    assert not logits.grad[~counted].any()
    assert logits.grad[counted].all()


def test_target_of_ignored_pixels_does_not_matter():
    logits, counted = torch.randn(1, 1, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool)
    counted[..., :4, :] = False
    losses = [change_loss()(logits, torch.full((1, 1, 8, 8), value) * ~counted, counted) for value in (0.0, 1.0)]
    assert losses[0] == losses[1]


def test_ignored_marks_are_not_counted_in_lessons(example_of):
    batches = FinetuningBatches([example_of(1, change=True, ignored=True)], [], size=48, seed=0)
    batch = batches.annotated(0, 6)
    assert batch.counted.any()
    assert float(batch.counted.float().mean()) < 0.7


def test_nothing_here_slices_are_true_negatives(example_of):
    batches = FinetuningBatches([example_of(2, change=False)], [], size=32, seed=0)
    batch = batches.annotated(0, 3)
    assert batch.counted.any()
    assert not batch.target.any()


def test_normalisation_keeps_its_statistics(weights, examples, unread, tmp_path):
    finetune(weights, examples, unread, tmp_path / "new.safetensors", settings=SETTINGS)
    before, after = (dict(load_weights(p)[0].named_buffers()) for p in (weights, tmp_path / "new.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)


def test_half_kept_lies_in_the_middle(network):
    import copy

    other = copy.deepcopy(network)
    with torch.no_grad():
        other.head.weight.add_(1.0)
    middle = copy.deepcopy(other)
    finetuning.interpolate(middle, network, 0.5)
    assert torch.allclose(middle.head.weight, network.head.weight + 0.5)


def test_more_is_kept_while_the_synthetic_set_is_forgotten(weights, examples, unread, tmp_path, monkeypatch):
    answers = iter([0.7, 0.5, 0.6, 0.69, 0.69])
    monkeypatch.setattr(finetuning, "guard_dice", lambda network: next(answers))
    report = finetune(weights, examples, unread, tmp_path / "a.safetensors", settings=replace(SETTINGS, kept=0.4))
    assert report.kept == pytest.approx(0.8)
    assert (report.guard_before, report.guard_after) == (0.7, 0.69)


def test_model_that_always_forgets_ends_as_the_old_one(weights, examples, unread, tmp_path, monkeypatch):
    answers = iter([0.7] + [0.1] * 9)
    monkeypatch.setattr(finetuning, "guard_dice", lambda network: next(answers))
    report = finetune(weights, examples, unread, tmp_path / "a.safetensors", settings=SETTINGS)
    assert report.kept == 1.0
    before, after = (dict(load_weights(p)[0].named_parameters()) for p in (weights, tmp_path / "a.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_line_is_drawn_where_held_out_slices_say(weights, examples, unread, example_of, tmp_path, monkeypatch):
    three = [*examples, example_of(3, change=True)]
    settings = replace(SETTINGS, steps=2)
    plain, shifted = (tmp_path / f"{name}.safetensors" for name in ("plain", "shifted"))
    monkeypatch.setattr(finetuning.HeldOut, "shift", lambda found: 0.0)
    first = finetune(weights, three, unread, plain, settings=settings)
    monkeypatch.setattr(finetuning.HeldOut, "shift", lambda found: -0.75 if len(found.halves) == 2 else 0.0)
    second = finetune(weights, three, unread, shifted, settings=settings)
    biases = [load_weights(path)[0].head.bias for path in (plain, shifted)]
    assert torch.allclose(biases[1], biases[0] - 0.75, atol=2e-3)
    assert (first.shift, second.shift) == (0.0, -0.75)
    assert second.guard_after == first.guard_after
    assert second.held_out_before is not None


def test_progress_reports_steps_and_loss(weights, examples, unread, tmp_path):
    heard = []
    finetune(
        weights,
        examples,
        unread,
        tmp_path / "a.safetensors",
        settings=SETTINGS,
        progress=lambda stage, done, total, **figures: heard.append((done, total, figures)),
    )
    assert [h[0] for h in heard] == list(range(7))  # before each step, and once before both models are compared
    assert {"loss", "dice"} == set(heard[-1][2])


def test_progress_counts_the_judging(weights, examples, unread, example_of, tmp_path):
    heard = []
    finetune(
        weights,
        [*examples, example_of(3, change=True)],
        unread,
        tmp_path / "a.safetensors",
        settings=replace(SETTINGS, steps=2),
        progress=lambda stage, done, total, **figures: heard.append((done, total)),
    )
    done = [one for one, _ in heard]
    assert done == sorted(done) and set(done) == set(range(7)) and {total for _, total in heard} == {6}


def test_gpu_that_is_full_is_given_up_for_the_cpu(weights, examples, unread, tmp_path, monkeypatch):
    devices, original = [], finetuning._Run.step

    def step(run, number):
        devices.append(run.settings.device)
        if run.settings.device == "auto":
            raise torch.OutOfMemoryError("full")
        original(run, number)

    monkeypatch.setattr(finetuning, "run_on_cpu", lambda settings: settings.device == "cpu")
    monkeypatch.setattr(finetuning._Run, "step", step)
    settings = replace(SETTINGS, device="auto", steps=2)
    assert finetune(weights, examples, unread, tmp_path / "a.safetensors", settings=settings).steps == 2
    assert devices == ["auto", "cpu", "cpu"]


def test_dice_of_two_empty_sets_is_one():
    empty = np.zeros(4, bool)
    assert dice(empty, empty, empty=1.0) == 1.0
    assert dice(np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)) == 0.5
