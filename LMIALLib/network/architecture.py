"""`ChangeNetwork`: a small U-Net that marks what differs between two visits, built so that many passes are cheap.

The encoder carries nearly all the cost and is deterministic. Dropout of whole channels (spatial dropout, Tompson et
al., arXiv 1411.4280; as approximate Bayesian inference: Gal and Ghahramani, arXiv 1506.02142) acts only in the
bottleneck and in a narrow decoder that ends at half resolution, so T stochastic passes share one encoder pass and
everything that the skip connections contribute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.json_data import AnyFloat, Limits, shaped
from LMIALLib.network.slices import NEIGHBOURS, PixelSizes

FAMILY = "lmial-change-unet-2"
CHANNELS = 3 * (2 * NEIGHBOURS + 1)
"""Input channels: neighbouring slices of the baseline, of the follow-up and of their difference."""


_Width = Annotated[int, Limits(least=1, most=4096)]
_Share = Annotated[float, Limits(least=0, most=1)]


@dataclass(frozen=True)
class Architecture:
    """The numbers that define a `ChangeNetwork`; stored in the header of every weights file.

    Args:
        widths: channels of the encoder at 1/2, 1/4, 1/8 and 1/16 of the full resolution.
        decoder_width: channels of every decoder stage.
        bottleneck_dropout: share of bottleneck channels dropped in a stochastic pass.
        decoder_dropout: share of decoder channels dropped in a stochastic pass.
        family: name of the wiring; another name means another network.
        finest_mm, coarsest_mm, resampled_mm: pixel sizes that training covers, see ``slices.PixelSizes``; files written
            before these were stored mean the defaults.
    """

    widths: Annotated[tuple[_Width, ...], Limits(longest=8)] = (32, 64, 112, 144)
    decoder_width: _Width = 24
    bottleneck_dropout: _Share = 0.3
    decoder_dropout: _Share = 0.1
    family: str = FAMILY
    finest_mm: AnyFloat = 0.5
    coarsest_mm: AnyFloat = 1.15
    resampled_mm: AnyFloat = 0.8

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "the architecture") -> Architecture:
        """The inverse of ``to_dict``; what is missing takes its default.

        Raises TypeError for unknown names, BadInput, naming ``where`` and the field, for a value out of its range,
        ValueError for another family or numbers that make no network.
        """
        unknown = sorted(set(values) - {one.name for one in fields(cls)})
        if unknown:
            raise TypeError(f"unknown: {unknown[0]!a}")
        made = shaped(values, cls, where)
        if made.family != FAMILY:
            raise ValueError(f"the family is {made.family!a}, this version of LMIAL knows {FAMILY!r}")
        if len(made.widths) < 2:
            raise ValueError(f"widths {made.widths} make no network")
        if not 0 < made.finest_mm <= made.resampled_mm <= made.coarsest_mm < math.inf:
            raise ValueError(
                f"{made.finest_mm} to {made.coarsest_mm} mm, others brought to {made.resampled_mm} mm, "
                "is no range of pixel sizes"
            )
        return made

    @property
    def pixels(self) -> PixelSizes:
        """Pixel sizes that training covers."""
        return PixelSizes(self.finest_mm, self.coarsest_mm, self.resampled_mm)

    @property
    def multiple(self) -> int:
        """Rows and columns of the input must be multiples of this."""
        return 2 ** len(self.widths)


class Encoded(NamedTuple):
    """What the encoder leaves for the decoder: the bottleneck, and a narrow map per skip connection, coarse to fine."""

    bottleneck: Tensor
    skips: tuple[Tensor, ...]


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution without bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def conv_norm(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution without bias, batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))


class ChangeNetwork(nn.Module):
    """Logit of change for every pixel of a slice, from (baseline, follow-up, difference) of it and its neighbours.

    Args:
        architecture: widths and dropout shares.

    Input (n, 9, rows, columns) float32 as ``slices.network_input`` makes it: three neighbouring slices of the baseline,
    of the follow-up and of their difference, intensities as in `Pair` (brain median 0, robust spread 1), 0 outside the
    brain; rows and columns multiples of ``architecture.multiple``. Output (n, 1, rows, columns): logits of change on
    the middle slice.

    Space becomes channels at the entrance (pixel unshuffle: 9 channels become 36 at half resolution) and back at the
    exit (4 logits per position, pixel shuffle; Shi et al., arXiv 1609.05158), so no layer runs at full resolution.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        widths, narrow = self.architecture.widths, self.architecture.decoder_width
        inputs = (4 * CHANNELS, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(conv_block(inputs[i], width, 1 if i == 0 else 2), conv_block(width, width))
            for i, width in enumerate(widths)
        )
        self.skips = nn.ModuleList(conv_norm(width, narrow) for width in reversed(widths[:-1]))
        self.entrance = conv_norm(widths[-1], narrow)
        self.ups = nn.ModuleList(conv_norm(narrow, narrow) for _ in widths[2:])
        self.last = conv_block(narrow, narrow)
        self.head = nn.Conv2d(narrow, 4, 3, 1, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, inputs: Tensor) -> tuple[Encoded, Tensor]:
        """The deterministic part: what the decoder needs, and the map at 1/8 that features are pooled from."""
        value = functional.pixel_unshuffle(inputs, 2).contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.stages:
            value = stage(value)
            maps.append(value)
        skips = tuple(skip(level) for skip, level in zip(self.skips, reversed(maps[:-1]), strict=True))
        return Encoded(value, skips), maps[min(2, len(maps) - 1)]

    def decode(self, encoded: Encoded, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Logits (n, 1, rows, columns); ``masks`` holds one vector of channel factors for each of ``dropout_sites``.

        Without masks: random masks, one per sample, while training; none otherwise.
        """
        value = self._drop(encoded.bottleneck, 0, masks)
        layers = [self.entrance, *self.ups]
        for site, (layer, skip) in enumerate(zip(layers, encoded.skips, strict=True), start=1):
            value = functional.relu(functional.interpolate(layer(value), scale_factor=2.0, mode="nearest") + skip)
            value = self._drop(value, site, masks)
        return functional.pixel_shuffle(self.head(self.last(value)), 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of one pass: stochastic while training, deterministic otherwise."""
        return self.decode(self.encode(inputs)[0])

    def dropout_sites(self) -> tuple[tuple[int, float], ...]:
        """Channels and share dropped at each place where a pass drops channels, in the order of the pass."""
        architecture = self.architecture
        decoder = (architecture.decoder_width, architecture.decoder_dropout)
        return ((architecture.widths[-1], architecture.bottleneck_dropout), *(decoder for _ in self.skips))

    def _drop(self, value: Tensor, site: int, masks: Sequence[Tensor] | None) -> Tensor:
        """Multiply channels by a mask that was given, or by a random one while training."""
        if masks is not None:
            return value * masks[site].to(value.dtype)[None, :, None, None]
        return functional.dropout2d(value, self.dropout_sites()[site][1], training=True) if self.training else value


BALANCED = 10
"""Passes in which each channel is dropped as evenly as its share allows."""


def dropout_masks(network: ChangeNetwork, seed: int, index: int) -> tuple[Tensor, ...]:
    """Channel factors, 0 or 1 / (1 - share), of stochastic pass ``index``: they depend on seed and index alone.

    One vector of float32 per dropout site, the same for every slice of the pool, so that slices are compared under the
    same sampled networks. Each pass by itself drops channels independently; over ten successive passes each channel is
    drawn once from every tenth of [0, 1] (stratified sampling), so that few passes represent many. At least one channel
    of a site stays.
    """
    import numpy as np

    random = np.random.default_rng([seed, index // BALANCED, 0x6D61736B])
    masks = []
    for channels, share in network.dropout_sites():
        strata = random.permuted(np.tile(np.arange(BALANCED), (channels, 1)), axis=1)
        drawn = ((strata + random.random((channels, BALANCED))) / BALANCED)[:, index % BALANCED]
        kept = drawn >= share
        kept[int(np.argmax(drawn))] = True
        masks.append(torch.from_numpy(kept.astype(np.float32) / np.float32(1.0 - share)))
    return tuple(masks)
