"""Fine-tuning in the benchmark `make finish`: a network of a few weights, two steps a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import finish_finetuning
import finish_pairs
import finish_simulation
import numpy as np
import pytest
import torch
from finish_finetuning import Finetuning

from LMIALLib.adaptation.answers import SliceAnswer, mask_answer
from LMIALLib.adaptation.head import HeadSettings
from LMIALLib.adaptation.inputs import HeadInputs
from LMIALLib.network import adoption
from LMIALLib.network.architecture import Architecture, ChangeNetwork
from LMIALLib.network.finetune_settings import FinetuneSettings
from LMIALLib.network.weights import save_weights

QUICK = FinetuneSettings(steps=2, size=32, threads=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(ChangeNetwork(Architecture(widths=(8, 12), decoder_width=8)).eval(), path, {})
    return path


@pytest.fixture(scope="module")
def pair(weights: Path) -> finish_pairs.FinishPair:
    """Eight slices of 48 x 44 with a bright square on every second one, under that network."""
    rng = np.random.default_rng(1)
    shape = (8, 48, 44)
    region, truth = np.zeros(shape, bool), np.zeros(shape, bool)
    region[:, 4:-4, 4:-4] = True
    truth[::2, 16:22, 12:19] = True
    baseline = rng.normal(0, 0.3, shape).astype(np.float32)
    zeros = np.zeros(shape, np.float32)
    bare = HeadInputs(zeros, baseline, baseline + 2 * truth.astype(np.float32), region, (3.0, 1.0, 1.0), zeros, zeros)
    inputs = finish_pairs.inputs_under(finish_pairs.FinishPair("tiny", "own", bare, truth), weights)
    return finish_pairs.FinishPair("tiny", "own", inputs, truth)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Decide about new networks in place of the rules, which no network of two steps passes."""

    def decide(adopted: bool) -> None:
        monkeypatch.setattr(adoption, "judge", lambda *_, **__: adoption.Adoption(adopted, ("by the test",)))

    return decide


def answers_of(pair: finish_pairs.FinishPair, *numbers: int) -> list[SliceAnswer]:
    return [mask_answer(number, pair.truth[number]) for number in numbers]


def tuned(pair: finish_pairs.FinishPair, weights: Path, folder: Path, **more: Any) -> Finetuning:
    return Finetuning(pair, settings=QUICK, after=(2, 4), folder=folder, weights=weights, **more)


def test_an_adopted_network_brings_its_maps_and_is_trained_on(pair, weights, tmp_path, judged):
    judged(True)
    training = tuned(pair, weights, tmp_path)
    assert training(answers_of(pair, 0)) is None
    first = training(answers_of(pair, 0, 3))
    assert first is not None and not np.array_equal(first.mean, pair.inputs.mean)
    assert np.array_equal(first.baseline, pair.inputs.baseline)
    after_two = training.weights
    assert after_two != weights
    second = training(answers_of(pair, 0, 3, 2, 1))
    assert second is not None and training.weights not in (weights, after_two)
    assert training.adopted == [2, 4]


def test_a_training_is_kept_whatever_the_order_of_its_answers(pair, weights, tmp_path, judged, monkeypatch):
    judged(True)
    first = tuned(pair, weights, tmp_path)(answers_of(pair, 0, 3))
    monkeypatch.setattr(finish_finetuning, "_train", lambda *_: pytest.fail("trained again"))
    again = tuned(pair, weights, tmp_path)(answers_of(pair, 3, 0))
    assert first is not None and again is not None and np.array_equal(first.mean, again.mean)


def test_a_network_that_is_not_adopted_leaves_everything(pair, weights, tmp_path, judged):
    judged(False)
    training = tuned(pair, weights, tmp_path)
    assert training(answers_of(pair, 0, 3)) is None
    assert training.weights == weights and training.adopted == []
    assert not list(tmp_path.glob("*.safetensors")) and len(list(tmp_path.glob("*.json"))) == 1


def test_only_unread_slices_of_the_region_hold_the_network_to_what_it_said(pair):
    drawn = finish_finetuning.unread_slices(pair, answers_of(pair, 0, 3), seed=0)
    assert drawn == [1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("settings", [None, HeadSettings()])
def test_a_run_goes_on_under_the_new_network(pair, weights, tmp_path, judged, settings):
    judged(True)
    subject = finish_simulation.Subject.of(pair)
    training = tuned(pair, weights, tmp_path)
    order = finish_simulation.next_of("equidistant")
    shown: list[np.ndarray] = []

    def watched(subject: finish_simulation.Subject, reading: finish_simulation.Reading) -> int:
        shown.append(reading.maps.probability)
        return order(subject, reading)

    assert len(list(finish_simulation.run(subject, watched, settings, most=3, enough=2.0, training=training))) == 4
    assert len(list(finish_simulation.run(subject, watched, settings, most=3, enough=2.0))) == 4
    assert training.adopted == [2]
    same = [np.array_equal(tuned, plain) for tuned, plain in zip(shown[:3], shown[3:], strict=True)]
    assert same == [True, True, False]
