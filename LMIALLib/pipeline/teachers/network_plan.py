"""What the plans of an nnInteractive model may name: exact names of networks and layers, and numbers within ranges.

nnU-Net imports whatever a plan names and calls it with what stands beside, so only names of this table are let through.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, shaped

NETWORKS = (
    "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
    "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet",
)
PARTS = {
    "conv_op": ("torch.nn.modules.conv.Conv2d", "torch.nn.modules.conv.Conv3d", "torch.nn.Conv2d", "torch.nn.Conv3d"),
    "norm_op": tuple(
        f"torch.nn.{module}{kind}{axes}d"
        for kind, home in (("InstanceNorm", "modules.instancenorm."), ("BatchNorm", "modules.batchnorm."))
        for module in (home, "")
        for axes in (2, 3)
    ),
    "dropout_op": tuple(f"torch.nn.{module}Dropout{axes}d" for module in ("modules.dropout.", "") for axes in (2, 3)),
    "nonlin": tuple(
        f"torch.nn.{module}{name}" for module in ("modules.activation.", "") for name in ("LeakyReLU", "ReLU", "GELU")
    ),
}
"""Which arguments of a network are names, and which names each may be, beside none."""
LABELS = "LabelManager"
MOST_CELLS = 600_000_000
"""Voxels of a patch times the channels of the first stage; those of nnInteractive's own model are 230 million."""

_Few = Annotated[int, Limits(least=1, most=16)]
_ByStage = Annotated[list[_Few], Limits(longest=16)] | _Few
_ByAxis = Annotated[list[_ByStage], Limits(longest=16)] | _Few
_Width = Annotated[int, Limits(least=1, most=2048)]


@dataclass(frozen=True)
class _Norm:
    eps: Annotated[float, Limits(least=0, most=1)] = 1e-5
    affine: bool = True
    momentum: Annotated[float, Limits(least=0, most=1)] = 0.1
    track_running_stats: bool = False


@dataclass(frozen=True)
class _Dropout:
    p: Annotated[float, Limits(least=0, most=1)] = 0.0
    inplace: bool = False


@dataclass(frozen=True)
class _Nonlin:
    inplace: bool = False
    negative_slope: Annotated[float, Limits(least=0, most=1)] = 0.01


@dataclass(frozen=True)
class _Arguments:
    """Of a network; a plan may leave some to what inherits from it."""

    n_stages: _Few = 1
    features_per_stage: Annotated[list[_Width], Limits(longest=16)] | _Width = 1
    conv_op: str | None = None
    kernel_sizes: _ByAxis = 1
    strides: _ByAxis = 1
    n_blocks_per_stage: _ByStage = 1
    n_conv_per_stage: _ByStage = 1
    n_conv_per_stage_decoder: Annotated[list[_Few], Limits(longest=16)] | _Few = 1
    conv_bias: bool = False
    norm_op: str | None = None
    norm_op_kwargs: _Norm | None = None
    dropout_op: str | None = None
    dropout_op_kwargs: _Dropout | None = None
    nonlin: str | None = None
    nonlin_kwargs: _Nonlin | None = None
    stem_channels: _Width | None = None
    bottleneck_channels: Annotated[list[_Width], Limits(longest=16)] | _Width | None = None


@dataclass(frozen=True)
class _Architecture:
    network_class_name: str
    arch_kwargs: _Arguments
    _kw_requires_import: Annotated[list[Literal["conv_op", "norm_op", "dropout_op", "nonlin"]], Limits(longest=8)]


@dataclass(frozen=True)
class _Patch:
    patch_size: Annotated[list[Annotated[int, Limits(least=1, most=1024)]], Limits(longest=3)] = dataclasses.field(
        default_factory=list
    )


def check_network(plans: dict[str, Any], file: Path) -> None:
    """Raise BadInput where plans name anything that is not in the table, or a network that no computer holds."""
    configurations = plans.get("configurations")
    if not isinstance(configurations, dict) or not configurations:
        raise BadInput(f"{file} is no plan of nnU-Net v2: it has no configurations.")
    if plans.get("label_manager", LABELS) != LABELS:
        raise _foreign(file, plans["label_manager"])
    patches, widths = [1], [1]
    for name, configuration in configurations.items():
        if not isinstance(configuration, dict) or not isinstance(configuration.get("architecture", {}), dict):
            raise BadInput(f"{file} is no plan of nnU-Net v2: a configuration is no object.")
        patches.append(math.prod(shaped(configuration, _Patch, f"{file}: configurations.{name[:40]}").patch_size))
        if "architecture" in configuration:
            widths.append(_checked(configuration["architecture"], file, f"configurations.{name[:40]}.architecture"))
    if max(patches) * max(widths) > MOST_CELLS:
        raise BadInput(f"{file}: patch_size and features_per_stage would take too much memory.")


def check_capabilities(found: Any, file: Path, depth: int = 0) -> None:
    """Raise BadInput for a number that no model has there: channels, radii and thickness are counts of a few."""
    values = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    if depth > 4 or (isinstance(found, (int, float)) and not abs(found) <= 256):
        raise BadInput(f"{file} cannot be used: it holds a number above 256, or lies too deep.")
    for one in values:
        check_capabilities(one, file, depth + 1)


def _checked(described: dict[str, Any], file: Path, field: str) -> int:
    """Channels of the first stage, once everything that a network is made of was looked at."""
    arguments = described.get("arch_kwargs")
    named: list[tuple[Any, tuple[str | None, ...]]] = [(described.get("network_class_name"), NETWORKS)]
    if isinstance(arguments, dict):
        named += [(arguments[part], (None, *known)) for part, known in PARTS.items() if part in arguments]
    for name, known in named:
        if name not in known:
            raise _foreign(file, name)
    given = shaped(described, _Architecture, f"{file}: {field}")
    for found, shape in (
        (described, _Architecture),
        (arguments, _Arguments),
        (described["arch_kwargs"].get("norm_op_kwargs"), _Norm),
        (described["arch_kwargs"].get("dropout_op_kwargs"), _Dropout),
        (described["arch_kwargs"].get("nonlin_kwargs"), _Nonlin),
    ):
        unknown = sorted(set(found or ()) - {one.name for one in dataclasses.fields(shape)})
        if unknown:
            raise BadInput(f"{file}: {field} holds {unknown[0][:60]!a}, which is no argument of nnU-Net's networks.")
    widths = given.arch_kwargs.features_per_stage
    return widths if isinstance(widths, int) else max(widths[:1], default=1)


def _foreign(file: Path, name: object) -> BadInput:
    return BadInput(
        f"{file} names {ascii(name)[:80]} as a part of the network; LMIAL loads only networks of nnU-Net's own library."
    )
