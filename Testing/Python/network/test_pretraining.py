"""Pretraining: it improves its own start, resumes to the same weights, and leaves out whom it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LMIALLib.cohorts.backgrounds import background_of
from LMIALLib.errors import BadInput
from LMIALLib.network import samples
from LMIALLib.network.architecture import Architecture, ChangeNetwork
from LMIALLib.network.calibration import calibrate, figures
from LMIALLib.network.pretraining import PretrainConfig, learning_rate, pretrain
from LMIALLib.network.pretraining_provenance import unseen
from LMIALLib.network.weights import load_weights, save_weights


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
        "pool": 250,
        "rate": 5e-3,
        "warm_up": 5,
        "average": 0.8,
        "phantoms": 1,
        "validation_samples": 12,
        "validate_every": 20,
        "workers": 1,
        "threads": 1,
        "device": "cpu",
        "synthesis": {"size": 64, "contrast": [2.0, 4.0], "noise": [0.05, 0.1], "blank": 0.0},
        "architecture": {"widths": [8, 16, 16], "decoder_width": 8},
    }
)
BRIEF = replace(CONFIG, steps=4, validate_every=2, validation_samples=2)


def test_it_improves_on_its_own_start(tmp_path):
    logged = []
    report = pretrain(CONFIG, ["patient01"], tmp_path / "w.safetensors", log=logged.append, about={"command": "x"})
    first, last = report.figures[0], report.figures[-1]
    assert last["cross_entropy"] < 0.8 * first["cross_entropy"]
    assert last["dice"] > first["dice"] + 0.1
    assert last["lesion_f1"] > first["lesion_f1"]
    assert last["average_precision"] > first["average_precision"]
    assert logged[0] == {"samples": 250, "of": 250}
    assert [entry["step"] for entry in logged[1:]] == [0, 20, 40, 40]
    _, info = load_weights(tmp_path / "w.safetensors")
    assert info.provenance["excluded"] == ["patient01"]
    assert info.provenance["config"]["steps"] == 40
    assert info.provenance["backgrounds"] == ["phantom/1"]
    assert info.provenance["shapes"] and info.provenance["start"] is None
    assert {"command", "versions", "seconds", "citations", "processes", "device"} <= info.provenance.keys()
    assert info.provenance["calibration"].keys() == {"scale", "shift", "before"}
    assert info.provenance["validation"].keys() == info.provenance["calibration"]["before"].keys()
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


class Power(Exception):
    """The power fails."""


def fails_at(step):
    def log(entry):
        if entry.get("step") == step:
            raise Power

    return log


def test_stopped_run_goes_on_as_if_uninterrupted(tmp_path):
    out = tmp_path / "again.safetensors"
    whole = pretrain(BRIEF, [], tmp_path / "whole.safetensors")
    with pytest.raises(Power):
        pretrain(BRIEF, [], out, log=fails_at(4))
    assert (tmp_path / "again.safetensors.checkpoint").exists()
    logged = []
    assert pretrain(BRIEF, [], out, log=logged.append).digest == whole.digest
    assert not any("samples" in entry for entry in logged)


def test_samples_of_another_run_are_refused(tmp_path):
    with pytest.raises(Power):
        pretrain(BRIEF, [], tmp_path / "w.safetensors", log=fails_at(0))
    for other, exclude in ((replace(BRIEF, seed=1), []), (BRIEF, ["patient01"])):
        with pytest.raises(BadInput, match="another run"):
            pretrain(other, exclude, tmp_path / "w.safetensors")
    with pytest.raises(Power):  # what the samples do not depend on may change
        pretrain(replace(BRIEF, rate=1e-3), [], tmp_path / "w.safetensors", log=fails_at(4))
    with pytest.raises(BadInput, match="other settings"):
        pretrain(BRIEF, [], tmp_path / "w.safetensors")


def test_it_begins_from_given_weights(tmp_path):
    torch.manual_seed(5)
    start = ChangeNetwork(Architecture(widths=(8, 12, 16), decoder_width=8))
    torch.nn.init.constant_(start.head.bias, 1.0)
    seen = {"excluded": ["longitudinal/patient01", "patient02"], "backgrounds": ["longitudinal/patient04"]}
    digest = save_weights(start, tmp_path / "start.safetensors", seen)
    config = replace(BRIEF, start=str(tmp_path / "start.safetensors"), rate=1e-9)
    out = tmp_path / "w.safetensors"
    report = pretrain(config, ["patient01", "patient12"], out)
    network, info = load_weights(out)
    scale, shift = report.calibration["scale"], report.calibration["shift"]
    assert network.head.bias.detach().numpy() == pytest.approx(scale + shift, abs=2e-3)  # the head was not reset
    assert info.provenance["start"] == digest
    assert info.provenance["excluded"] == ["longitudinal/patient01"]
    assert info.provenance["backgrounds"] == ["longitudinal/patient04", "phantom/1"]
    assert str(tmp_path) not in json.dumps(info.provenance)


def test_only_patients_that_neither_run_saw_count_as_excluded():
    assert unseen(["patient01", "patient12"], ["patient12"]) == ["patient12"]
    assert unseen(["patient01"], ["longitudinal/patient01"]) == ["longitudinal/patient01"]
    assert unseen(["patient01"], []) == []


TWO_PROCESSES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import test_pretraining as tests
from LMIALLib.network import pretraining
from LMIALLib.network.weights import network_arrays, tensors_digest

tests.samples.phantom_backgrounds = lambda count, seed: [tests.ball(seed + n) for n in range(count)]
kept = []

class Kept(pretraining._Run):
    def step(self, number):
        kept[:] = [self]
        return super().step(number)

pretraining._Run = Kept
report = pretraining.pretrain(tests.BRIEF, [], tests.Path(sys.argv[2]), log=lambda entry: None)
weights = {name: value for name, value in network_arrays(kept[0].network).items() if "running" not in name}
print("found " + json.dumps([kept[0].rank.number, tensors_digest(weights), report and report.digest]), flush=True)
"""


def test_two_processes_end_with_the_same_weights(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, script, Path(__file__).parent, tmp_path / "w.safetensors"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    (_, ours, digest), (_, theirs, nothing) = sorted(json.loads(line.removeprefix("found ")) for line in lines)
    assert ours == theirs
    assert nothing is None
    info = load_weights(tmp_path / "w.safetensors")[1]
    assert info.digest == digest
    assert info.provenance["processes"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two.py", "w.safetensors"]


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


@pytest.mark.parametrize(
    "odd",
    [
        {"synthesis": [1]}, {"synthesis": {"size": "x"}}, {"synthesis": {"sise": 3}}, {"synthesis": 7},
        {"architecture": [1]}, {"architecture": {"widths": 3}}, {"architecture": None},
        {"validation": 3}, {"validation": [3]}, {"validation_shapes": {"a": 1}},
        {"steps": 0}, {"steps": "7"}, {"steps": 1e99}, {"rate": -1.0}, {"kept": 2.0}, {"data": 3}, {"device": None},
        {"bfloat16": "no"}, {"seed": -1},
    ],
)  # fmt: skip
def test_a_configuration_of_another_shape_is_one_sentence(tmp_path, odd):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(odd))
    with pytest.raises(BadInput):
        PretrainConfig.from_file(path)


def test_place_of_the_data_is_not_stored():
    stored = PretrainConfig(data="/somewhere/private", start="/private/w.safetensors").to_dict()
    assert "private" not in json.dumps(stored)


def test_calibration_makes_probabilities_more_honest(network):
    source = samples.SampleSource.prepare(replace(CONFIG, validation_samples=24), [])
    fitted, judged = source.validation[::2], source.validation[1::2]
    before = figures(network, judged)
    found = calibrate(network, fitted)
    after = figures(network, judged)
    assert after["cross_entropy"] < before["cross_entropy"]
    assert after["calibration_error"] < before["calibration_error"]
    assert abs(np.log(after["volume_ratio"])) < abs(np.log(before["volume_ratio"]))
    assert after["average_precision"] == pytest.approx(before["average_precision"], abs=1e-3)
    assert 0.3 <= found["scale"] <= 3.0


def test_guard_is_bundled_and_readable():
    from LMIALLib.network.guard import load_guard

    guard = load_guard()
    assert sum(s.target.any() for s in guard) >= 8
    assert any(not s.target.any() for s in guard)
    assert all(s.brain.any() and not s.target[~s.brain[1]].any() for s in guard)


def test_guard_survives_its_file(tmp_path):
    from LMIALLib.network.guard import load_guard, save_guard

    guard = load_guard()
    save_guard(guard, tmp_path / "guard.npz")
    with np.load(tmp_path / "guard.npz", allow_pickle=False) as stored:
        assert np.abs(stored["baseline"][0] * (8 / 127) - guard[0].baseline).max() < 0.04
