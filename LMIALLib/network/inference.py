"""`FoldedNetwork`: a `ChangeNetwork` made ready for prediction, its normalisations folded into the convolutions.

A convolution followed by batch normalisation with fixed statistics is one convolution (Jacob et al., arXiv 1712.05877,
section 3.2). A mask over the input channels of a convolution is a factor on its weights, so that a stochastic pass
costs no multiplication of maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.network.architecture import ChangeNetwork, Encoded


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """Weight (out, in, 3, 3) and bias (out,) of a convolution with its normalisation folded in, float32."""
    weight = convolution.weight.detach().float()
    bias = torch.zeros(weight.shape[0], device=weight.device)
    if convolution.bias is not None:
        bias = convolution.bias.detach().float()
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach().float() / torch.sqrt(norm.running_var.float() + norm.eps)
    shift = norm.bias.detach().float() + (bias - norm.running_mean.float()) * scale
    return weight * scale[:, None, None, None], shift


def folded_block(block: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a block that begins with a convolution and its normalisation."""
    convolution, norm = block.get_submodule("0"), block.get_submodule("1")
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return folded(convolution, norm)


def stride_of(block: nn.Module) -> int:
    """Stride of the convolution that a block begins with."""
    convolution = block.get_submodule("0")
    assert isinstance(convolution, nn.Conv2d)
    return convolution.stride[0]


class FoldedNetwork:
    """Encoder and decoder of a network in evaluation mode, as plain convolutions.

    Args:
        network: the network; its parameters are copied.
        device: where to compute.
        dtype: float32, or bfloat16 or float16 where the device gains from it.
    """

    def __init__(
        self, network: ChangeNetwork, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.stages = [
            [(*self._ready(*folded_block(block)), stride_of(block)) for block in stage.children()]
            for stage in network.stages
        ]
        self.skips = [self._ready(*folded_block(skip)) for skip in network.skips]
        self.stochastic = [folded_block(layer) for layer in (network.entrance, *network.ups, network.last)]
        self.plain = [self._ready(*layer) for layer in self.stochastic]
        self.head = self._ready(*folded(network.head, None))

    def _ready(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias on the device, in the type and memory order of prediction."""
        weight = weight.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        return weight, bias.to(self.device, self.dtype)

    def encode(self, inputs: Tensor) -> tuple[Encoded, Tensor]:
        """As ``ChangeNetwork.encode``; inputs (n, 9, rows, columns) float32."""
        value = functional.pixel_unshuffle(inputs, 2).to(self.dtype).contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.stages:
            for weight, bias, stride in stage:
                value = functional.relu_(functional.conv2d(value, weight, bias, stride, 1))
            maps.append(value)
        skips = tuple(
            functional.conv2d(level, weight, bias, 1, 1)
            for (weight, bias), level in zip(self.skips, reversed(maps[:-1]), strict=True)
        )
        return Encoded(value, skips), maps[min(2, len(maps) - 1)]

    def sampled(self, masks: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """The decoder's layers with one pass's channel masks folded into their weights."""
        return [
            self._ready(weight * mask.to(weight)[None, :, None, None], bias)
            for (weight, bias), mask in zip(self.stochastic, masks, strict=True)
        ]

    def decode(self, encoded: Encoded, layers: Sequence[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """Logits (n, rows, columns) float32 of one pass: ``layers`` from ``sampled``, or none for no dropout."""
        return self.judged(self.last_map(encoded, layers))

    def last_map(self, encoded: Encoded, layers: Sequence[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """What the last layer sees, (n, decoder width, rows / 2, columns / 2); ``layers`` as in ``decode``."""
        *coarse, last = self.plain if layers is None else layers
        value = encoded.bottleneck
        for (weight, bias), skip in zip(coarse, encoded.skips, strict=True):
            narrow = functional.conv2d(value, weight, bias, 1, 1)
            value = functional.relu_(functional.interpolate(narrow, scale_factor=2.0, mode="nearest").add_(skip))
        return functional.relu_(functional.conv2d(value, *last, 1, 1))

    def judged(self, value: Tensor) -> Tensor:
        """Logits (n, rows, columns) float32 that the last layer makes of ``last_map``."""
        return functional.pixel_shuffle(functional.conv2d(value, *self.head, 1, 1), 2)[:, 0].float()
