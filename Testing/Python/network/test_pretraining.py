"""Pretraining: it improves its own start, resumes to the same weights, and leaves out whom it is told to."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LMIALLib.cohorts.backgrounds import background_of
from LMIALLib.errors import BadInput
from LMIALLib.network import samples
from LMIALLib.network.calibration import calibrate, figures
from LMIALLib.network.pretraining import PretrainConfig, learning_rate, pretrain
from LMIALLib.network.weights import load_weights


def ball(number: int):
    """A small round brain with a dark middle, thick slices."""
    random = np.random.default_rng([number, 1])
    z, y, x = np.ogrid[:9, :96, :96]
    radius = np.sqrt(((z - 4) / 5.0) ** 2 + ((y - 48) / 42.0) ** 2 + ((x - 48) / 40.0) ** 2)
    volume = 400 + 60 * np.sin(x / 7.0) + 12 * random.standard_normal((9, 96, 96))
    volume = np.where(radius < 0.25, 90.0, volume)
    return background_of(f"phantom/{number}", volume.astype(np.float32), radius < 1, 3.0, 1.0, seed=number)


@pytest.fixture(autouse=True)
def _balls(monkeypatch):
    monkeypatch.setattr(samples, "phantom_backgrounds", lambda count, seed: [ball(seed + n) for n in range(count)])


CONFIG = PretrainConfig.from_dict(
    {
        "steps": 40,
        "batch": 6,
        "rate": 5e-3,
        "warm_up": 5,
        "average": 0.8,
        "phantoms": 1,
        "validation_samples": 12,
        "validate_every": 20,
        "workers": 0,
        "threads": 1,
        "bfloat16": False,
        "synthesis": {"size": 64, "contrast": [2.0, 4.0], "noise": [0.05, 0.1], "blank": 0.0},
        "architecture": {"widths": [8, 16, 16], "decoder_width": 8},
    }
)


def test_it_improves_on_its_own_start(tmp_path):
    logged = []
    report = pretrain(CONFIG, ["patient01"], tmp_path / "w.safetensors", log=logged.append)
    first, last = report.figures[0], report.figures[-1]
    assert last["cross_entropy"] < 0.8 * first["cross_entropy"]
    assert last["dice"] > first["dice"] + 0.1
    assert logged[0]["step"] == 0
    _, info = load_weights(tmp_path / "w.safetensors")
    assert info.provenance["excluded"] == ["patient01"]
    assert info.provenance["config"]["steps"] == 40
    assert not (tmp_path / "w.safetensors.checkpoint").exists()


def test_stopped_run_goes_on_as_if_uninterrupted(tmp_path):
    config = PretrainConfig.from_dict(
        {
            **{k: v for k, v in CONFIG.to_dict().items() if k != "data"},
            "steps": 4,
            "validate_every": 2,
            "validation_samples": 2,
        }
    )
    whole = pretrain(config, [], tmp_path / "whole.safetensors")

    class Power(Exception):
        pass

    def fails(entry):
        if entry["step"] == 4:
            raise Power

    with pytest.raises(Power):
        pretrain(config, [], tmp_path / "again.safetensors", log=fails)
    assert (tmp_path / "again.safetensors.checkpoint").exists()
    assert pretrain(config, [], tmp_path / "again.safetensors").digest == whole.digest


def test_learning_rate_warms_up_and_falls():
    rates = [learning_rate(CONFIG, step) for step in range(CONFIG.steps)]
    assert rates[0] < rates[4] == pytest.approx(CONFIG.rate)
    assert rates[-1] < 0.05 * CONFIG.rate


def test_configuration_from_a_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"steps": 7, "synthesis": {"size": 64}}))
    assert PretrainConfig.from_file(path).steps == 7
    path.write_text(json.dumps({"stepps": 7}))
    with pytest.raises(BadInput, match="stepps"):
        PretrainConfig.from_file(path)


def test_place_of_the_data_is_not_stored():
    stored = PretrainConfig(data="/somewhere/private").to_dict()
    assert "private" not in json.dumps(stored)


def test_calibration_makes_probabilities_more_honest(network):
    source = samples.SampleSource.prepare(CONFIG, [])
    before = figures(network, source.validation)
    found = calibrate(network, source.validation)
    after = figures(network, source.validation)
    assert after["cross_entropy"] < before["cross_entropy"]
    assert abs(np.log(after["volume_ratio"])) < abs(np.log(before["volume_ratio"]))
    assert 0.3 <= found["scale"] <= 3.0


def test_guard_is_bundled_and_readable():
    from LMIALLib.network.guard import load_guard

    guard = load_guard()
    assert sum(s.target.any() for s in guard) >= 8
    assert any(not s.target.any() for s in guard)
    assert all(s.brain.any() and not s.target[~s.brain].any() for s in guard)


def test_guard_survives_its_file(tmp_path):
    from LMIALLib.network.guard import load_guard, save_guard

    guard = load_guard()
    save_guard(guard, tmp_path / "guard.npz")
    with np.load(tmp_path / "guard.npz", allow_pickle=False) as stored:
        assert np.abs(stored["baseline"][0] * (8 / 127) - guard[0].baseline).max() < 0.04
