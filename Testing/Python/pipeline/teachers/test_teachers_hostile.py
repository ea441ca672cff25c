"""Folders of weights that somebody prepared: nothing of them runs, and nothing elsewhere is read."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interactive_models import save_model_folder
from teacher_models import save_onnx, save_sam, small_study

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.teachers.network_plan import check_capabilities, check_network
from LMIALLib.pipeline.teachers.onnx_files import files_of
from LMIALLib.pipeline.teachers.sam_folder import load_sam


class Bomb:
    """Makes a file when its pickle is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.file,)


def refused(study: Path, teacher: str, *fragments: str) -> None:
    command = [sys.executable, "-m", "LMIALLib", "pseudo-label", str(study), "--teacher", teacher]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=200, check=False, env=dict(os.environ)
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    for fragment in fragments:
        assert fragment in " ".join(done.stderr.split()), done.stderr


def change(file: Path, way: tuple[str, ...], value: object) -> dict[str, Any]:
    """Exchange one value of a JSON file."""
    whole = json.loads(file.read_text())
    inner = whole
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    file.write_text(json.dumps(whole))
    return dict(whole)


NETWORK = ("configurations", "3d_fullres", "architecture")
ARGUMENTS = (*NETWORK, "arch_kwargs")
HOSTILE: dict[str, tuple[tuple[str, ...], object]] = {
    "a name that begins well": ((*ARGUMENTS, "nonlin"), "torch.nn.parallel.distributed.os.system"),
    "a name in the library": ((*ARGUMENTS, "norm_op"), "dynamic_network_architectures.building_blocks.helper.np.save"),
    "a network that begins well": (
        (*NETWORK, "network_class_name"),
        "dynamic_network_architectures.architectures.unet.torch.load",
    ),
    "a name as a list": ((*ARGUMENTS, "nonlin"), ["os.system"]),
    "arguments of a layer": ((*ARGUMENTS, "nonlin_kwargs"), {"command": "true"}),
    "one more argument": ((*ARGUMENTS, "block"), "os.system"),
    "another name to import": ((*NETWORK, "_kw_requires_import"), ["nonlin_kwargs"]),
    "huge widths": ((*ARGUMENTS, "features_per_stage"), [10**7, 8]),
    "a huge patch": (("configurations", "3d_fullres", "patch_size"), [1024, 1024, 1024]),
    "another label manager": (("label_manager",), "LabelManagerOfMine"),
    "a second architecture": (("configurations", "mine"), {"architecture": {"network_class_name": "os.system"}}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_nninteractive_plans_hold_exact_names_and_numbers_within_ranges(what: str, tmp_path: Path) -> None:
    file = save_model_folder(tmp_path / "model", with_weights=False) / "plans.json"
    check_network(json.loads(file.read_text()), file)
    with pytest.raises(BadInput):
        check_network(change(file, *HOSTILE[what]), file)


def test_capabilities_hold_small_numbers_only(tmp_path: Path) -> None:
    check_capabilities({"point_radius": 4, "channel_mapping": {"points": [3, 4]}, "x": 0.98, "y": True}, tmp_path)
    for wrong in ({"interaction_channels": 10**6}, {"a": [[[[[[1]]]]]]}, {"preferred_scribble_thickness": [1e300]}):
        with pytest.raises(BadInput):
            check_capabilities(wrong, tmp_path)


def test_an_nninteractive_folder_that_names_a_shell_runs_nothing(tmp_path: Path) -> None:
    mark, folder = tmp_path / "it-ran", save_model_folder(tmp_path / "model", with_weights=False)
    change(folder / "plans.json", (*ARGUMENTS, "nonlin"), "torch.nn.parallel.distributed.os.system")
    change(folder / "plans.json", (*ARGUMENTS, "nonlin_kwargs"), {"command": f"touch {mark}"})
    with small_study(tmp_path / "study") as study:
        place = study.folder
    refused(place, f"nninteractive:{folder}", "os.system' as a part of the network")
    assert not mark.exists()


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    return save_sam(tmp_path / "sam")


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("attn_implementation",), "somebody/kernels"),
        (("_attn_implementation",), "somebody/kernels"),
        (("_attn_implementation_internal",), "somebody/kernels"),
        (("vision_config", "_attn_implementation"), "somebody/kernels"),
        (("quantization_config",), {"quant_method": "gptq", "bits": 4}),
        (("transformers_weights",), "other.safetensors"),
        (("auto_map",), {"AutoModelForMaskGeneration": "evil.Evil"}),
        (("experts_implementation",), "somebody/kernels"),
        (("backbone",), "somebody/net"),
    ],
)
def test_what_a_configuration_of_sam_names_beside_its_own_fields_is_left_out(
    sam: Path, way: tuple[str, ...], value: object
) -> None:
    change(sam / "config.json", way, value)
    model = load_sam(sam).model
    assert model.config._attn_implementation == "eager"
    assert model.config.vision_config._attn_implementation == "eager"
    assert getattr(model.config, "quantization_config", None) is None


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("vision_config", "model_type"), "timm_wrapper"),
        (("vision_config", "hidden_size"), 10**9),
        (("vision_config", "num_hidden_layers"), 10**6),
        (("prompt_encoder_config", "image_size"), 50_000),
        (("vision_config",), "os.system"),
        (("vision_config", "hidden_act"), "os.system"),
        (("vision_config", "hidden_size"), 60_000),
    ],
)
def test_a_configuration_of_sam_out_of_its_range_is_refused(sam: Path, way: tuple[str, ...], value: object) -> None:
    change(sam / "config.json", way, value)
    with pytest.raises(BadInput):
        load_sam(sam)


def test_pickles_adapters_and_other_checkpoints_beside_a_sam_are_left_alone(sam: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    for name in ("pytorch_model.bin", "adapter_model.bin", ".metadata", "__0_0.distcp", "model.pt"):
        (sam / name).write_bytes(pickle.dumps(Bomb(mark)))
    (sam / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "elsewhere")}))
    assert load_sam(sam).architecture == "sam" and not mark.exists()


@pytest.mark.parametrize("name", ["../model.safetensors", "/tmp/model.safetensors", "pytorch_model.bin", "..", 3])
def test_an_index_that_names_files_elsewhere_is_refused(sam: Path, name: object) -> None:
    (sam / "model.safetensors").rename(sam.parent / "model.safetensors")
    (sam / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(BadInput, match="does not say in which files beside it"):
        load_sam(sam)


def with_tensor_in(file: Path, place: str, *, where: str = "initializer") -> Path:
    """An ONNX file whose kernel, or a constant, lies in another file."""
    import onnx
    from onnx import TensorProto, helper

    save_onnx(file)
    model = onnx.load(str(file))
    if where == "initializer":
        tensor = model.graph.initializer[0]
    else:
        inner = helper.make_graph([], "inner", [], [], [])
        inner.initializer.add()
        node = helper.make_node("If", ["c"], ["unused"], then_branch=inner)
        node.attribute.append(helper.make_attribute("value", TensorProto()))
        model.graph.node.append(node)  # a copy
        node = model.graph.node[-1]
        tensor = node.attribute[1].t if where == "constant" else node.attribute[0].g.initializer[0]
        tensor.data_type, tensor.name = TensorProto.FLOAT, "k"
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", place)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    file.write_bytes(model.SerializeToString())
    return file


@pytest.mark.parametrize("where", ["initializer", "constant", "graph of a node"])
@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/secret", "..", "", "C:secret", "a\\b", "missing"])
def test_an_onnx_file_whose_tensors_lie_elsewhere_is_refused(tmp_path: Path, where: str, place: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(12))
    (tmp_path / "in").mkdir()
    with pytest.raises(BadInput):
        files_of(with_tensor_in(tmp_path / "in" / "m.onnx", place, where=where))


def test_tensors_beside_an_onnx_file_are_part_of_its_digest(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(np.ones(3, np.float32).tobytes())
    assert files_of(with_tensor_in(tmp_path / "m.onnx", "weights")) == [tmp_path / "m.onnx", tmp_path / "weights"]
    (tmp_path / "weights").unlink()
    (tmp_path / "weights").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="no plain file"):
        files_of(tmp_path / "m.onnx")


def test_an_onnx_file_that_reads_elsewhere_is_refused_by_the_command(tmp_path: Path) -> None:
    with small_study(tmp_path / "study") as study:
        place = study.folder
    refused(place, f"onnx:{with_tensor_in(tmp_path / 'm.onnx', '../secret')}", "only files in the same folder")


def test_random_bytes_are_no_onnx_file_and_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole = save_onnx(tmp_path / "good.onnx").read_bytes()
    for _ in range(300):
        spoilt = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            spoilt[place] = int(random.integers(0, 256))
        (tmp_path / "m.onnx").write_bytes(bytes(spoilt))
        try:
            files_of(tmp_path / "m.onnx")
        except BadInput:
            continue
    (tmp_path / "m.onnx").write_bytes(b"\x3a\x80" * 5000)
    with pytest.raises(BadInput):
        files_of(tmp_path / "m.onnx")
