"""What a simulation leaves on disk, made up: curves of known shape, chosen slices, small cases."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

COLUMNS = [
    "strategy",
    "seed",
    "round",
    "labelled",
    "fraction",
    "dice_unlabelled",
    "dice_start_same_slices",
    "dice_fixed",
    "dice_all",
    "lesion_f1",
    "seconds",
    "two_class_dice",
    "sensitivity",
    "precision",
    "volume_error_ml",
    "hd95_mm",
    "calibration_error",
    "subjects",
    "foreground_voxels",
    "foreground_fraction",
    "minutes",
    "minutes_low",
    "minutes_high",
]
SPEEDS = {
    "default": 34.0,
    "foreground-random-prediction": 26.0,
    "difference-entropy": 30.0,
    "entropy": 24.0,
    "core-set": 18.0,
    "random": 12.0,
}
"""Per unit of the fraction of labels: how fast each strategy's made-up Dice rises."""


def write_rows(folder: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """rounds.csv with the given columns, the others empty."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "rounds.csv", "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, COLUMNS, restval="")
        table.writeheader()
        table.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    return folder


def made_up_rows(
    speeds: Mapping[str, float] = SPEEDS,
    *,
    seeds: int = 4,
    rounds: int = 10,
    start: float = 0.10,
    full: float = 0.72,
    noise: float = 0.01,
) -> list[dict[str, object]]:
    """Dice(x) = c - (c - d) exp(-speed x) over 0 to 20 % of 1000 slices, with an offset a seed and noise a round."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for seed in range(seeds):
        shift = noise * rng.standard_normal()
        for strategy, speed in speeds.items():
            for number in range(rounds + 1):
                x = 0.2 * number / rounds
                dice = full - (full - start) * np.exp(-speed * x) + shift
                dice += noise * rng.standard_normal() if number > 1 else 0.0
                foreground = 1 - np.exp(-3 * speed / 26 * x)
                rows.append(
                    {
                        "strategy": strategy,
                        "seed": seed,
                        "round": number,
                        "labelled": round(1000 * x),
                        "fraction": float(x),
                        "dice_unlabelled": float(dice - 0.02),
                        "dice_start_same_slices": start + shift,
                        "dice_fixed": float(dice),
                        "dice_all": float(dice + 0.01 * x),
                        "lesion_f1": float(dice * 0.9),
                        "foreground_fraction": float(foreground),
                        "minutes": float(300 * x * (1 + speed / 60)),
                        "minutes_low": float(150 * x * (1 + speed / 60)),
                        "minutes_high": float(450 * x * (1 + speed / 60)),
                    }
                )
        rows.append({"strategy": "full", "seed": seed, "round": 0, "labelled": 1000, "fraction": 1.0})
        rows[-1].update(dice_fixed=float(full + shift), dice_all=float(full + shift), lesion_f1=full * 0.9)
    return rows


def write_chosen(folder: Path, speeds: Mapping[str, float], *, seeds: int, study: bool) -> None:
    """chosen.csv and cases/*.npz: round 1 the same for all, then queries; a study has one case and two folds."""
    rng = np.random.default_rng(1)
    cases = ["head"] if study else [f"subject{k:02d}" for k in range(1, 9)]
    slices, shape = (60, (40, 36)) if study else (30, (40, 36))
    (folder / "cases").mkdir(exist_ok=True)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    brain = ((yy - 20) / 18) ** 2 + ((xx - 18) / 16) ** 2 < 1
    for k, case in enumerate(cases):
        baseline = np.where(brain, 1 + 0.3 * rng.standard_normal((slices, *shape)), 0)
        truth = np.zeros((slices, *shape), dtype=bool)
        if k % 4 != 3:
            for centre in (slices // 3, slices // 2 + 3):
                truth[centre - 2 : centre + 3, 12:17, 10 + k : 15 + k] = True
        np.savez_compressed(
            folder / "cases" / f"{case}.npz",
            baseline=baseline.astype(np.float16),
            follow_up=(baseline + 2.0 * truth).astype(np.float16),
            mask=np.broadcast_to(brain, truth.shape),
            truth=truth,
            voxel_mm=np.array([3.0, 2.0, 2.0]),
        )
    with open(folder / "chosen.csv", "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["strategy", "seed", "part", "round", "order", "case", "slice"])
        pairs = [(case, number) for case in cases for number in range(slices)]
        for seed in range(seeds):
            first = [pairs[k] for k in np.random.default_rng(seed).permutation(len(pairs))]
            for place, strategy in enumerate(speeds):
                for part in ("pool", "fold0", "fold1") if study else ("pool",):
                    rest = [first[k] for k in 4 + np.random.default_rng(97 * seed + place).permutation(len(first) - 4)]
                    for order, (case, number) in enumerate([*first[:4], *rest[:24]]):
                        table.writerow([strategy, seed, part, 1 + order // 4, order, case, number])
