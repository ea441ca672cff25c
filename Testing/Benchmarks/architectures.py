"""Architectures side by side on one pool of synthetic samples: the table of the model card.

    python Testing/Benchmarks/architectures.py early3 early1 siamese3 --seeds 3 --steps 500 [--work FOLDER]

Needs the open-ms scans (LMIAL_DATA, by default ../shared/data); patient01 and patient12 are left out. Validation
brains and lesion shapes are those of `PretrainConfig`, never trained on. All networks see the same batches in the same
order. The variants live here and not in the package, which holds the winner alone. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from LMIALLib.datasets.open_ms_patient import open_ms_root
from LMIALLib.network.calibration import figures
from LMIALLib.network.losses import change_loss
from LMIALLib.network.pretrain_config import PretrainConfig
from LMIALLib.network.pretraining_provenance import samples_record
from LMIALLib.network.samples import SamplePool, SampleSource, make_pool
from LMIALLib.network.schedule import interpolate, newest_share

EXCLUDED = ("patient01", "patient12")


@dataclass(frozen=True)
class Variant:
    """What is compared: slices a visit, one encoder for both visits or one each visit goes through, widths, norm."""

    slices: int = 3
    siamese: bool = False
    widths: tuple[int, ...] = (48, 96, 160, 192)
    narrow: int = 32
    norm: str = "batch"


VARIANTS = {
    "early3": Variant(),
    "early1": Variant(slices=1),
    "siamese3": Variant(siamese=True),
    "siamese1": Variant(slices=1, siamese=True),
    "early3-narrow": Variant(widths=(32, 64, 112, 144), narrow=24),
    "early3-wide": Variant(widths=(64, 128, 208, 256), narrow=40),
    "early3-instance": Variant(norm="instance"),
    "early3-group": Variant(norm="group"),
}


def normalised(inputs: int, outputs: int, norm: str, stride: int = 1) -> nn.Sequential:
    """3x3 convolution without bias and a normalisation."""
    kinds = {"batch": nn.BatchNorm2d, "instance": lambda n: nn.InstanceNorm2d(n, affine=True)}
    layer = nn.GroupNorm(8, outputs) if norm == "group" else kinds[norm](outputs)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), layer)


class Network(nn.Module):
    """`ChangeNetwork` with the choices of a `Variant`; input (n, 9, rows, columns), output (n, 1, rows, columns)."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        widths, narrow, norm = variant.widths, variant.narrow, variant.norm
        inputs = (4 * variant.slices * (1 if variant.siamese else 3), *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                normalised(inputs[i], width, norm, 1 if i == 0 else 2),
                nn.ReLU(inplace=True),
                normalised(width, width, norm),
                nn.ReLU(inplace=True),
            )
            for i, width in enumerate(widths)
        )
        several = 3 if variant.siamese else 1
        self.skips = nn.ModuleList(normalised(width * several, narrow, norm) for width in reversed(widths[:-1]))
        self.layers = nn.ModuleList(
            normalised(widths[-1] * several if i == 0 else narrow, narrow, norm) for i in range(len(widths) - 1)
        )
        self.last = normalised(narrow, narrow, norm)
        self.head = nn.Conv2d(narrow, 4, 3, 1, 1)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, -4.6)

    def encoded(self, inputs: Tensor) -> list[Tensor]:
        """The map of every stage."""
        value, maps = functional.pixel_unshuffle(inputs, 2).contiguous(memory_format=torch.channels_last), []
        for stage in self.stages:
            value = stage(value)
            maps.append(value)
        return maps

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits; Siamese features are joined with their difference (FC-Siam-diff, Daudt et al., arXiv 1810.08462)."""
        if self.variant.slices == 1:
            inputs = inputs[:, [1, 4, 7]]
        if self.variant.siamese:
            count, slices = len(inputs), self.variant.slices
            both = self.encoded(torch.cat((inputs[:, :slices], inputs[:, slices : 2 * slices])))
            maps = [torch.cat((m[:count], m[count:], m[count:] - m[:count]), dim=1) for m in both]
        else:
            maps = self.encoded(inputs)
        value = functional.dropout2d(maps[-1], 0.3, self.training)
        for layer, skip, level in zip(self.layers, self.skips, reversed(maps[:-1]), strict=True):
            wide = functional.interpolate(layer(value), scale_factor=2.0, mode="nearest")
            value = functional.dropout2d(functional.relu(wide + skip(level)), 0.1, self.training)
        return functional.pixel_shuffle(self.head(functional.relu(self.last(value))), 2)


def trained(variant: Variant, seed: int, steps: int, pool: SamplePool, bfloat16: bool) -> nn.Module:
    """The averaged network after ``steps``: the recipe of `pretraining`."""
    torch.manual_seed(seed)
    network = Network(variant).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged, loss = copy.deepcopy(network).eval(), change_loss()
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=2e-3,
    )
    for step in range(steps):
        falling = 0.01 + 0.495 * (1 + math.cos(math.pi * max(0, step - 60) / max(1, steps - 60)))
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min((step + 1) / 60, falling)
        batch = pool.batch(step)
        network.train()
        inputs = batch[:, :9].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = network(inputs)
        value = loss(logits, batch[:, 9:10], batch[:, 10:11] > 0)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        interpolate(averaged, network, newest_share(0.99, step))
    return averaged.eval()


def milliseconds(network: nn.Module) -> float:
    """Time of a slice of 192 x 192 in a batch of 8."""
    inputs = torch.zeros(8, 9, 192, 192).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(inputs)
        began = time.perf_counter()
        for _ in range(4):
            network(inputs)
    return (time.perf_counter() - began) / 32 * 1e3


def main() -> None:
    """Make the pool, train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+", choices=sorted(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pool", type=int, default=12_000)
    parser.add_argument("--threads", type=int, default=2, help="of the training; 1 where the cores are shared")
    parser.add_argument(
        "--bfloat16", action="store_true", help="train with bfloat16 convolutions, where the CPU has them"
    )
    parser.add_argument("--work", type=Path, default=Path("bench/architectures"), help="where the samples are kept")
    arguments = parser.parse_args()
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    config = PretrainConfig(data=str(root), pool=arguments.pool, phantoms=6)
    torch.set_num_threads(arguments.threads)
    source = SampleSource.prepare(config, EXCLUDED)
    make_pool(source, arguments.work, samples_record(source, EXCLUDED))
    print("| network | seed | lesion Dice | F1 by cover | F1 one to one | average precision | ms a slice | file |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.variants:
        for seed in range(arguments.seeds):
            pool = SamplePool(replace(config, seed=seed), arguments.work)
            network = trained(VARIANTS[name], seed, arguments.steps, pool, arguments.bfloat16)
            found = figures(network, source.validation)  # type: ignore[arg-type]
            size = sum(p.numel() for p in network.parameters()) * 2 / 1e6
            print(
                f"| {name} | {seed} | {found['dice']:.3f} | {found['lesion_f1']:.3f} | "
                f"{found['lesion_f1_matched']:.3f} | {found['average_precision']:.3f} | "
                f"{milliseconds(network):.0f} | {size:.1f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
