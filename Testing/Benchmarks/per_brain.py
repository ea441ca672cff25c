"""Figures per brain: each of the brains with images in turn is left out of training, and judged alone.

    python Testing/Benchmarks/per_brain.py [--steps 600] [--pool 6000] [--work bench/per_brain]

Needs the open-ms scans (LMIAL_DATA, by default ../shared/data). For each brain a network is trained by `pretrain` on
all others, phantoms included, with a short run; neither an image nor a lesion shape of the brain's patient is in it.
It is judged on synthetic slices of that brain, painted with shapes of patients that no training sample has. Prints a
Markdown table and writes bench/per_brain.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL, LONGITUDINAL
from LMIALLib.datasets.open_ms_patient import open_ms_root
from LMIALLib.laboratory.synthetic_data.heads import real_heads
from LMIALLib.network.pretrain_config import VALIDATION_SHAPES, PretrainConfig
from LMIALLib.network.pretraining import pretrain


def main() -> None:
    """Train without each brain, judge on it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--pool", type=int, default=6000)
    parser.add_argument("--work", type=Path, default=Path("bench/per_brain"))
    arguments = parser.parse_args()
    root = open_ms_root()
    if root is None:
        sys.exit("No open-ms scans were found; set LMIAL_DATA to the folder that holds open_ms.")
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    print("| brain | lesion Dice | F1 by cover | F1 one to one | average precision | calibration error | weights |")
    print("|---|---|---|---|---|---|---|")
    for brain in sorted({source for source, _ in real_heads(root)}):
        patient = brain.split("/")[1]
        own = {f"{database}/{patient}" for database in (LONGITUDINAL, CROSS_SECTIONAL)}
        config = PretrainConfig(
            data=str(root),
            steps=arguments.steps,
            pool=arguments.pool,
            bfloat16=True,
            threads=1,
            validation=(brain,),
            validation_shapes=tuple(dict.fromkeys((*VALIDATION_SHAPES, *sorted(own)))),
            validate_every=arguments.steps,
        )
        out = arguments.work / f"without-{brain.replace('/', '-')}.safetensors"
        # the same number in the other database may be the same person: it is left out altogether
        report = pretrain(config, sorted(own - {brain}), out)
        assert report is not None
        found = report.figures[-1]
        rows.append({"brain": brain, "digest": report.digest, **found})
        print(
            f"| {brain} | {found['dice']:.3f} | {found['lesion_f1']:.3f} | {found['lesion_f1_matched']:.3f} "
            f"| {found['average_precision']:.3f} | {found['calibration_error']:.3f} | {report.digest[:12]} |",
            flush=True,
        )
    Path("bench").mkdir(exist_ok=True)
    Path("bench/per_brain.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
