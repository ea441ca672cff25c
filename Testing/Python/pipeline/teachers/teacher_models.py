"""A tiny study, and tiny teachers with random weights, saved in the formats in which real ones come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study.store import Study

SIDE = 64
"""Of the square that the tiny SAMs take."""
NEW, GONE = (2, slice(12, 18), slice(10, 17)), (3, slice(26, 33), slice(20, 27))
"""Slice, rows and columns of a bright and of a dark change of ``small_pair``."""


def small_pair(axis: int = 0, seed: int = 0) -> Pair:
    """Six slices of 48 x 40 pixels; the outer two hold no brain, the next inner two no change."""
    random = np.random.default_rng(seed)
    baseline = random.normal(size=(6, 48, 40)).astype(np.float32) * 0.3
    follow_up = baseline + random.normal(size=baseline.shape).astype(np.float32) * 0.1
    mask = np.zeros(baseline.shape, bool)
    mask[1:5, 4:44, 4:36] = True
    follow_up[NEW] += 4
    baseline[GONE] += 4
    volumes = [np.ascontiguousarray(np.moveaxis(volume, 0, axis)) for volume in (baseline, follow_up, mask)]
    spacing = np.insert(np.array([0.9, 0.9]), 2 - axis, 3.0)
    grid = Grid(volumes[0].shape[::-1], tuple(spacing), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    return Pair(*volumes, grid, axis)


def small_study(folder: Path, cases: tuple[str, ...] = ("a",), axis: int = 0) -> Study:
    """An open study with cases of ``small_pair``."""
    study = Study.create(folder, reader="reader-1")
    for number, name in enumerate(cases):
        staged = study.cases.stage(name)
        save_pair(small_pair(axis, number), staged / "pair-1")
        (staged / "source").mkdir()
        (staged / "source" / "follow_up.nrrd").write_bytes(b"stands for a volume")
        study.cases.add(name, staged)
    return study


def save_sam(folder: Path, kind: str = "sam", **save: Any) -> Path:
    """A random SAM of a few thousand parameters, with its picture settings, as downloads have it.

    ``kind``: the type of a model in ``transformers``; SAM 2.1 comes as "sam2_video".
    """
    import torch
    import transformers

    torch.manual_seed(1)
    side = 112 if kind == "sam3_tracker" else SIDE
    prompt = {"hidden_size": 16, "image_size": side, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    layers: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    plain = {
        **layers, "output_channels": 16, "image_size": side, "patch_size": 16, "window_size": 2,
        "global_attn_indexes": [1], "num_pos_feats": 8, "mlp_dim": 64,
    }  # fmt: skip
    hiera = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [side, side],
        "blocks_per_stage": [1, 1, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [2, 2, 2, 2],
        "global_attention_blocks": [], "window_positional_embedding_background_size": [2, 2],
    }  # fmt: skip
    pyramid = {
        "backbone_config": hiera, "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 16,
    }  # fmt: skip
    vit = {
        **layers, "model_type": "sam3_vit_model", "intermediate_size": 64, "image_size": side, "patch_size": 14,
        "window_size": 4, "global_attn_indexes": [1], "pretrain_image_size": side,
    }  # fmt: skip
    tracker = {
        "backbone_config": vit, "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]], "fpn_hidden_size": 16,
    }  # fmt: skip
    name, vision, more = {
        "sam": ("Sam", plain, {}),
        "sam_hq": ("SamHQ", plain, {"vit_dim": 32}),
        "sam2": ("Sam2", pyramid, {}),
        "sam2_video": ("Sam2Video", pyramid, {}),
        "sam3_tracker": ("Sam3Tracker", tracker, {}),
    }[kind]
    if kind == "sam3_tracker":
        prompt["patch_size"] = 14
    config = getattr(transformers, f"{name}Config")(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config={**decoder, **more}
    )
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder, **save)
    size = {"longest_edge": side} if kind in ("sam", "sam_hq") else {"height": side, "width": side}
    picture = {"size": size, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    if kind in ("sam", "sam_hq"):
        picture |= {"image_processor_type": "SamImageProcessor", "pad_size": {"height": side, "width": side}}
    if kind == "sam2_video":
        said: dict[str, Any] = {"image_processor": picture, "processor_class": "Sam2VideoProcessor"}
        (folder / "processor_config.json").write_text(json.dumps(said), encoding="utf-8")
    else:
        (folder / "preprocessor_config.json").write_text(json.dumps(picture), encoding="utf-8")
    return folder


def save_onnx(
    file: Path,
    weights: tuple[tuple[float, ...], ...] = ((0.0, 0.0, 1.0),),
    bias: tuple[float, ...] = (0.0,),
    size: tuple[int | str, int | str] = ("rows", "columns"),
    **stated: Any,
) -> Path:
    """A real ONNX model, one 1 x 1 convolution (classes, channels), and the statement of its input beside it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.array(weights, np.float32)[:, :, None, None]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["slices", "kernel", "bias"], ["answer"])],
        "segmenter",
        [helper.make_tensor_value_info("slices", TensorProto.FLOAT, [1, kernel.shape[1], *size])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, kernel.shape[0], *size])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array(bias, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
    said = {
        "channels": ["baseline", "follow_up", "difference"],
        "size": {"multiple_of": 16} if isinstance(size[0], str) else list(size),
        "scaling": "robust",
        "output": "logit",
        **stated,
    }
    file.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    return file
