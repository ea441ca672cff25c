"""What a plan of nnU-Net, its data set and its splits may hold. Everything else is refused by name.

nnU-Net finds classes and functions by the names that a plan holds, and calls them with what stands beside. So a plan
that was read from a file is never handed on: a new one is made, of names from this table and numbers within its ranges.
Nothing here imports nnU-Net.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, read_json, shaped
from LMIALLib.pipeline.nnunet.dataset import CHANNELS, dataset_json
from LMIALLib.pipeline.nnunet.places import PLANS, WorkFolder

MOST_CELLS = 400_000_000
"""Voxels of a batch times the channels of the first stage; nnU-Net's own plans for a GPU of 8 GB stay below 220
million."""
MOST_VOXELS = 2_000_000_000
"""Of a case at the spacing of a plan."""
CASE = re.compile(r"c[0-9]{4,7}")
"""nnU-Net's name of a case, as ``write_dataset`` gives it."""

_Side = Annotated[int, Limits(least=1, most=2048)]
_Sides = Annotated[list[_Side], Limits(longest=3)]
_Small = Annotated[int, Limits(least=1, most=3)]
_Stages = Annotated[list[Annotated[list[_Small], Limits(longest=3)]], Limits(longest=10)]
_Counts = Annotated[list[Annotated[int, Limits(least=1, most=8)]], Limits(longest=10)]
_Length = Annotated[float, Limits(least=0.05, most=100)]
_Channel = Literal["0", "1", "2"]
_Resampling = Literal["resample_data_or_seg_to_shape"]


@dataclass(frozen=True)
class _NormOptions:
    eps: Annotated[float, Limits(least=1e-8, most=0.1)]
    affine: Literal[True]


@dataclass(frozen=True)
class _NonlinOptions:
    inplace: Literal[True]


@dataclass(frozen=True)
class _Network:
    n_stages: Annotated[int, Limits(least=1, most=10)]
    features_per_stage: Annotated[list[Annotated[int, Limits(least=1, most=512)]], Limits(longest=10)]
    conv_op: Literal["torch.nn.modules.conv.Conv2d", "torch.nn.modules.conv.Conv3d"]
    kernel_sizes: _Stages
    strides: _Stages
    n_conv_per_stage: _Counts
    n_conv_per_stage_decoder: _Counts
    conv_bias: Literal[True]
    norm_op: Literal["torch.nn.modules.instancenorm.InstanceNorm2d", "torch.nn.modules.instancenorm.InstanceNorm3d"]
    norm_op_kwargs: _NormOptions
    dropout_op: None
    dropout_op_kwargs: None
    nonlin: Literal["torch.nn.LeakyReLU"]
    nonlin_kwargs: _NonlinOptions


@dataclass(frozen=True)
class _Architecture:
    network_class_name: Literal["dynamic_network_architectures.architectures.unet.PlainConvUNet"]
    arch_kwargs: _Network
    _kw_requires_import: tuple[Literal["conv_op"], Literal["norm_op"], Literal["dropout_op"], Literal["nonlin"]]


@dataclass(frozen=True)
class _ResamplingOptions:
    is_seg: bool
    order: Annotated[int, Limits(least=0, most=5)]
    order_z: Annotated[int, Limits(least=0, most=5)]
    force_separate_z: None


@dataclass(frozen=True)
class _Configuration:
    data_identifier: Literal["lmial_2d", "lmial_3d_fullres"]
    preprocessor_name: Literal["DefaultPreprocessor"]
    batch_size: Annotated[int, Limits(least=1, most=100_000)]
    patch_size: _Sides
    median_image_size_in_voxels: Annotated[list[Annotated[float, Limits(least=0, most=1e5)]], Limits(longest=3)]
    spacing: Annotated[list[_Length], Limits(longest=3)]
    normalization_schemes: tuple[Literal["NoNormalization"], Literal["NoNormalization"], Literal["NoNormalization"]]
    use_mask_for_norm: tuple[Literal[False], Literal[False], Literal[False]]
    resampling_fn_data: _Resampling
    resampling_fn_seg: _Resampling
    resampling_fn_data_kwargs: _ResamplingOptions
    resampling_fn_seg_kwargs: _ResamplingOptions
    resampling_fn_probabilities: _Resampling
    resampling_fn_probabilities_kwargs: _ResamplingOptions
    architecture: _Architecture
    batch_dice: bool


@dataclass(frozen=True)
class _Intensities:
    max: float
    mean: float
    median: float
    min: float
    percentile_00_5: float
    percentile_99_5: float
    std: float


@dataclass(frozen=True)
class _Plan:
    dataset_name: Literal["Dataset701_pre", "Dataset702_fine"]
    plans_name: Literal["lmial"]
    original_median_spacing_after_transp: tuple[_Length, _Length, _Length]
    original_median_shape_after_transp: tuple[_Side, _Side, _Side]
    image_reader_writer: Literal["SimpleITKIO"]
    transpose_forward: tuple[Literal[0], Literal[1], Literal[2]]
    transpose_backward: tuple[Literal[0], Literal[1], Literal[2]]
    configurations: dict[Literal["2d", "3d_fullres"], _Configuration]
    experiment_planner_used: Literal["ExperimentPlanner"]
    label_manager: Literal["LabelManager"]
    foreground_intensity_properties_per_channel: dict[_Channel, _Intensities]


def read_plan(file: Path) -> dict[str, Any]:
    """The plan in a file, made anew. Raises BadInput naming the field that is not in the table; FileNotFoundError."""
    return plan_from(read_json(file, dict[str, Any]), str(file))


def plan_from(found: object, where: str) -> dict[str, Any]:
    """A plan as nnU-Net takes it, made anew from what ``where`` holds. Raises BadInput as ``read_plan``."""
    plan = shaped(found, _Plan, where)
    made = _plain(plan)
    _nothing_else(found, made, where)
    for name, configuration in plan.configurations.items():
        _check(configuration, name, f"{where}: configurations.{name}")
    if len(plan.foreground_intensity_properties_per_channel) != len(CHANNELS):
        raise BadInput(f"{where}: foreground_intensity_properties_per_channel has not {len(CHANNELS)} entries.")
    return made


def dataset_from(found: object, where: str) -> dict[str, Any]:
    """``dataset.json`` made anew for the cases that it names. Raises BadInput naming what is not as LMIAL writes it."""
    given = shaped(found, dict[str, Any], where)
    names = shaped(given.get("dataset"), dict[str, Any], f"{where}: dataset")
    for name in names:
        checked_case(name, f"{where}: dataset")
    made = dataset_json(names)
    for key in sorted(made.keys() | given.keys()):
        if key not in made or key not in given or made[key] != given[key]:
            raise BadInput(f"{where}: {key[:60]!a} is not as LMIAL writes it.")
    return made


def splits_from(found: object, where: str) -> list[dict[str, list[str]]]:
    """Splits made anew. Raises BadInput for other keys than train and val, and for what is no name of a case."""
    made = []
    for number, split in enumerate(shaped(found, list[dict[Literal["train", "val"], list[str]]], where)):
        if len(split) != 2:
            raise BadInput(f"{where}: [{number}] has not both of train and val.")
        made.append(
            {side: [checked_case(name, f"{where}: [{number}].{side}") for name in split[side]] for side in split}
        )
    return made  # type: ignore[return-value]  # its keys are texts


def checked_case(name: str, where: str) -> str:
    """nnU-Net's name of a case. Raises BadInput for anything else: nnU-Net makes paths of it."""
    if not CASE.fullmatch(name):
        raise BadInput(f"{where}: {name[:60]!a} is no name of a case; they are like c0001.")
    return name


def check_plans(works: Iterable[WorkFolder]) -> None:
    """Raise BadInput where the plan of a data set holds anything that is not in the table."""
    for work in works:
        file = work.preprocessed / f"{PLANS}.json"
        if file.exists():
            read_plan(file)


def _check(configuration: _Configuration, name: str, where: str) -> None:
    """Hold against each other what a configuration says in several places, and bound the memory that it takes."""
    flat = name == "2d"
    axes, network = (2 if flat else 3), configuration.architecture.arch_kwargs
    stages = network.n_stages
    wanted = (
        ("data_identifier", configuration.data_identifier, f"{PLANS}_{name}"),
        ("conv_op", network.conv_op, f"torch.nn.modules.conv.Conv{axes}d"),
        ("norm_op", network.norm_op, f"torch.nn.modules.instancenorm.InstanceNorm{axes}d"),
        ("patch_size", len(configuration.patch_size), axes),
        ("spacing", len(configuration.spacing), axes),
        ("median_image_size_in_voxels", len(configuration.median_image_size_in_voxels), axes),
        ("features_per_stage", len(network.features_per_stage), stages),
        ("kernel_sizes", [len(one) for one in network.kernel_sizes], [axes] * stages),
        ("strides", [len(one) for one in network.strides], [axes] * stages),
        ("n_conv_per_stage", len(network.n_conv_per_stage), stages),
        ("n_conv_per_stage_decoder", len(network.n_conv_per_stage_decoder), stages - 1),
    )
    for field, found, expected in wanted:
        if found != expected:
            raise BadInput(f"{where}.{field} does not fit the rest of the plan.")
    strides = [math.prod(stage[axis] for stage in network.strides) for axis in range(axes)]
    if any(side % stride for side, stride in zip(configuration.patch_size, strides, strict=True)):
        raise BadInput(f"{where}.patch_size cannot be divided by the strides of the network.")
    cells = configuration.batch_size * math.prod(configuration.patch_size) * max(network.features_per_stage[0], 3)
    if cells > MOST_CELLS:
        raise BadInput(f"{where}: patch_size, batch_size and features_per_stage would take too much memory.")
    if math.prod(configuration.median_image_size_in_voxels) > MOST_VOXELS:
        raise BadInput(f"{where}.median_image_size_in_voxels is larger than any case.")


def _nothing_else(found: Any, made: Any, where: str, field: str = "") -> None:
    """Raise BadInput for the first name in ``found`` that is not in what was made of it."""
    if isinstance(found, dict):
        for name, value in found.items():
            at = f"{field}.{name}" if field else str(name)
            if name not in made:
                raise BadInput(f"{where}: {at[:120]!a} is not known to LMIAL, so the plan is not used.")
            _nothing_else(value, made[name], where, at)


def _plain(value: Any) -> Any:
    """Declared shapes as objects and lists, as JSON has them."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
