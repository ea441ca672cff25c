"""Weights files: round trip, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from LMIALLib.errors import BadInput
from LMIALLib.network.architecture import CHANNELS
from LMIALLib.network.weights import load_weights, save_weights


def rewritten(path, header=None, flip=False):
    """Change one entry of the header's metadata, or one bit of the last tensor, keeping the file well-formed."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    stored = json.loads(raw[8 : 8 + length])
    stored["__metadata__"] |= header or {}
    text = json.dumps(stored).encode()
    text += b" " * (-len(text) % 8)
    body = bytearray(raw[8 + length :])
    if flip:
        body[-1] ^= 1
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(body))


def test_round_trip(network, tmp_path):
    digest = save_weights(network, tmp_path / "a.safetensors", {"seed": 4}, dtype="float32")
    loaded, info = load_weights(tmp_path / "a.safetensors")
    assert info.digest == digest
    assert info.provenance == {"seed": 4}
    assert info.architecture == network.architecture
    values = torch.randn(1, CHANNELS, 32, 32)
    assert torch.allclose(loaded(values), network(values), atol=1e-6)
    assert not loaded.training


def test_same_network_same_digest(network, tmp_path):
    channels_last = network.to(memory_format=torch.channels_last)
    first = save_weights(channels_last, tmp_path / "a.safetensors", {})
    second = save_weights(network.to(memory_format=torch.contiguous_format), tmp_path / "b.safetensors", {"other": 1})
    assert first == second


def test_missing_file(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        load_weights(tmp_path / "nothing.safetensors")


def test_pickle_is_never_opened(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weight": np.zeros(50)}))
    with pytest.raises(BadInput, match="pickle"):
        load_weights(path)


def test_torch_archive_is_never_opened(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"\x80\x02.")
    with pytest.raises(BadInput, match="pickle or torch archive"):
        load_weights(path)


def test_header_length_that_begins_like_a_pickle_is_no_pickle(network, tmp_path):
    path = tmp_path / "a.safetensors"
    for filling in range(256):
        save_weights(network, path, {"filling": "x" * filling})
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.skip("no header length ended in 0x80")
    load_weights(path)


@pytest.mark.parametrize("kept", [0, 5, 60, -200])
def test_truncated(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"truncated|damaged"):
        load_weights(weights)


def test_text(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("these are not weights, they are words")
    with pytest.raises(BadInput, match="not a safetensors"):
        load_weights(path)


def test_safetensors_of_someone_else(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="does not say"):
        load_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("family", ["vnet", "lmial-change-unet-1"])
def test_other_architecture(weights, family):
    rewritten(weights, {"architecture": json.dumps({"widths": [8, 12, 16], "family": family})})
    with pytest.raises(BadInput, match="another architecture"):
        load_weights(weights)


def test_tensors_that_do_not_fit_their_architecture(weights, network):
    wider = {**network.architecture.to_dict(), "decoder_width": 9}
    rewritten(weights, {"architecture": json.dumps(wider)})
    with pytest.raises(BadInput, match="does not fit the architecture"):
        load_weights(weights)


def test_altered_tensor(weights):
    rewritten(weights, flip=True)
    with pytest.raises(BadInput, match="digest"):
        load_weights(weights)


def test_network_that_is_not_finite_is_not_saved(network, tmp_path):
    with torch.no_grad():
        network.head.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        save_weights(network, tmp_path / "a.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_bundled_weights_load():
    from LMIALLib.resources import resource

    path = resource("Weights", "change.safetensors")
    assert path.stat().st_size < 6_000_000
    _, info = load_weights(path)
    assert len(info.digest) == 64
