"""A tiny nnInteractive model folder as an nnU-Net v2 training leaves it, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_blocks_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
INTERACTIONS = 7
"""Channels: the mask so far, two of boxes, two of points, two of scribbles."""


def plans() -> dict[str, Any]:
    """A plan of nnU-Net v2 whose network sees 56 x 56 x 56 voxels; refinement needs more than 48."""
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [56, 56, 56],
        "spacing": [1.0, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "architecture": json.loads(json.dumps(ARCHITECTURE)),
        "batch_dice": False,
    }
    return {
        "dataset_name": "Dataset001_tiny",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "configurations": {"3d_fullres": configuration},
    }


def save_model_folder(folder: Path, *, with_weights: bool = True) -> Path:
    """Write plans, data set, capabilities and (needs nnunetv2) a checkpoint with what nnU-Net's trainer stores."""
    (folder / "fold_0").mkdir(parents=True)
    dataset = {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "object": 1}, "file_ending": ".nrrd"}
    capabilities = {"point_radius": 2, "preferred_scribble_thickness": 2, "interaction_decay": 0.9}
    for name, content in (("plans", plans()), ("dataset", dataset), ("inference_session_class", capabilities)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    if not with_weights:
        checkpoint.write_bytes(b"stands for weights")
        return folder
    import numpy as np
    import torch
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    torch.manual_seed(2)
    kwargs = dict(ARCHITECTURE["arch_kwargs"])  # type: ignore[call-overload]
    kwargs |= {
        "conv_op": torch.nn.Conv3d,
        "norm_op": torch.nn.InstanceNorm3d,
        "nonlin": torch.nn.LeakyReLU,
    }
    network = ResidualEncoderUNet(input_channels=1 + INTERACTIONS, num_classes=2, deep_supervision=False, **kwargs)
    torch.save(
        {
            "network_weights": network.state_dict(),
            "trainer_name": "nnInteractiveTrainer_stub",
            "init_args": {"configuration": "3d_fullres", "fold": 0},
            "current_epoch": 3,
            "_best_ema": np.float64(0.5),
            "logging": {"mean_fg_dice": [np.float32(0.25)]},
            "inference_allowed_mirroring_axes": (0, 1, 2),
        },
        checkpoint,
    )
    return folder
