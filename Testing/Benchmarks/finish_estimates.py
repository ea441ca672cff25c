"""The estimate of the delivered Dice against the truth, after 3 to 15 answers, on synthetic pairs and the real ones.

What makes the interval (`estimate.SPREAD`, `estimate.SLACK_MM3`) was measured on pairs with odd seeds; those with even
seeds were used for nothing, the two real ones for the doubt that answers must overcome. Called by `finish.py`; alone:

    python Testing/Benchmarks/finish_estimates.py OUT [--pairs N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from finish_pairs import KINDS, REAL, FinishPair, data_folder, named_pair
from finish_simulation import Subject, next_of, run

from LMIALLib.adaptation.estimate import SLACK_MM3, SPREAD, VOLUME_SLACK_MM3, VOLUME_SPREAD
from LMIALLib.adaptation.head import HeadSettings

AFTER = range(3, 16)


def named_pairs(count: int) -> list[tuple[str, int]]:
    """Kinds and seeds of so many synthetic pairs, seed by seed."""
    return [(kind, seed) for seed in range(1, 1 + -(-count // len(KINDS))) for kind in KINDS][:count]


def rows_of(pair: FinishPair) -> list[dict[str, Any]]:
    """After each number of answers: true delivered Dice, the estimate and its interval, and the volumes."""
    steps = list(run(Subject.of(pair), next_of("default"), HeadSettings(), most=AFTER[-1], estimates=True))
    voxel = pair.inputs.voxel_mm3
    rows = []
    for answers, step in enumerate(steps):
        made = step.estimate
        if answers in AFTER and made is not None and made.dice is not None:
            rows.append(
                {
                    "pair": pair.name,
                    "answers": answers,
                    "true": step.dice,
                    "dice": made.dice,
                    "low": made.low,
                    "high": made.high,
                    "true_mm3": float(pair.truth.sum()) * voxel,
                    "mm3": made.volume_mm3,
                    "low_mm3": made.volume_low,
                    "high_mm3": made.volume_high,
                }
            )
    return rows


def rows_of_named(task: tuple[Path, str]) -> tuple[str, list[dict[str, Any]]]:
    """Name and rows of a pair, in a process of its own; the task is the data's folder and the name."""
    data, name = task
    return name, rows_of(named_pair(data, name))


def judge(data: Path, count: int, out: Path) -> None:
    """Judge all pairs, print the figures, write estimates.json and estimates.png."""
    kept = out / "estimates.jsonl"
    recipe = json.dumps([asdict(HeadSettings()), SPREAD, VOLUME_SPREAD, SLACK_MM3, VOLUME_SLACK_MM3])
    done: dict[str, list[dict[str, Any]]] = {}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else ():
        name, made_with, made = json.loads(line)
        if made_with == recipe:
            done[name] = made
    names = [*(f"{kind}-{seed}" for kind, seed in named_pairs(count)), *REAL]
    todo = [(data, name) for name in names if name not in done]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        for name, made in pool.imap(rows_of_named, todo):
            done[name] = made
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, recipe, made]) + "\n")
    rows = [row for name in names for row in done[name]]
    (out / "estimates.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    groups = grouped(rows)
    print(table(groups))
    picture(groups, out / "estimates.png")


def grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows by what they were used for."""
    synthetic = [row for row in rows if row["pair"] not in REAL]
    return {
        "synthetic, odd seeds (measured on)": [row for row in synthetic if odd(row["pair"])],
        "synthetic, even seeds (kept apart)": [row for row in synthetic if not odd(row["pair"])],
        **{patient: [row for row in rows if row["pair"] == patient] for patient in REAL},
    }


def table(groups: dict[str, list[dict[str, Any]]]) -> str:
    """The figures of every group as a Markdown table."""
    lines = [
        "| pairs | n | mean error of Dice | mean size of error | coverage of 90 % | width | coverage of the volume |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, group in groups.items():
        if group:
            lines.append(f"| {name} | {len({row['pair'] for row in group})} | {' | '.join(figures(group))} |")
    return "\n".join(lines)


def odd(name: str) -> bool:
    """Whether a synthetic pair's seed is odd."""
    return int(name.rpartition("-")[2]) % 2 == 1


def figures(rows: list[dict[str, Any]]) -> list[str]:
    """Mean error, mean size of the error, coverage, width, coverage of the volume."""
    error = np.array([row["dice"] - row["true"] for row in rows])
    inside = [row["low"] <= row["true"] <= row["high"] for row in rows]
    width = [row["high"] - row["low"] for row in rows]
    volume = [row["low_mm3"] <= row["true_mm3"] <= row["high_mm3"] for row in rows]
    return [
        f"{error.mean():+.3f}",
        f"{np.abs(error).mean():.3f}",
        f"{np.mean(inside):.2f}",
        f"{np.mean(width):.3f}",
        f"{np.mean(volume):.2f}",
    ]


def picture(groups: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Estimate over truth, with intervals."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 5))
    for colour, (name, rows) in zip(("C7", "C0", "C1", "C3"), groups.items(), strict=False):
        true, dice, low, high = (np.array([row[key] for row in rows]) for key in ("true", "dice", "low", "high"))
        if len(true):
            axis.errorbar(true, dice, (dice - low, high - dice), fmt="o", ms=2, lw=0.4, color=colour, label=name)
    axis.plot((0.4, 1), (0.4, 1), "k-", lw=0.8)
    axis.set(xlabel="delivered Dice", ylabel="estimate with its 90 % interval", xlim=(0.5, 1), ylim=(0.4, 1))
    axis.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=42)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    judge(data_folder(), arguments.pairs, arguments.out)


if __name__ == "__main__":
    main()
