"""What one round is worth: a line of ``rounds.csv`` from the labels, the probabilities and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from LMIALLib.laboratory.measures import Judged, measured
from LMIALLib.laboratory.readers import TimeSpent
from LMIALLib.laboratory.subjects import Subject
from LMIALLib.laboratory.tracks import Track

COLUMNS = (
    *("strategy", "seed", "round", "labelled", "fraction", "dice_unlabelled", "dice_start_same_slices", "dice_fixed"),
    *(
        "dice_all",
        "lesion_f1",
        "lesion_f1_matched",
        "seconds",
        "two_class_dice",
        "sensitivity",
        "precision",
        "volume_error_ml",
        "hd95_mm",
    ),
    *("calibration_error", "subjects", "foreground_voxels", "foreground_fraction", "minutes", "minutes_low"),
    *("minutes_high", "dice_delivered", "minutes_correcting"),
)
"""Of ``rounds.csv``."""

Subjects = Mapping[str, Subject]
Probability = Mapping[str, np.ndarray]
"""Case name to float32 (slices, rows, columns)."""


def row_of(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures in the order of `COLUMNS`; what is not a number is None, as JSON and the table know it."""
    finite = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in figures.items()}
    return {name: finite[name] for name in COLUMNS}


def budget_figures(
    subjects: Subjects, track: Track, read: Sequence[tuple[str, int]], spent: TimeSpent
) -> dict[str, float]:
    """What was spent: slices, cases touched, voxels of true change on the slices read, seconds and minutes."""
    change = {name: subjects[name].counted & (subjects[name].truth == 1) for name in track.pool}
    found = sum(int(change[case][number].sum()) for case, number in read)
    every = sum(int(change[case][flags].sum()) for case, flags in track.pool.items())
    low, high = spent.bounds
    return {
        "labelled": len(read),
        "fraction": len(read) / track.size,
        "subjects": len({case for case, _ in read}),
        "foreground_voxels": found,
        "foreground_fraction": found / every if every else float("nan"),
        "seconds": spent.seconds,
        "minutes": spent.seconds / 60,
        "minutes_low": low / 60,
        "minutes_high": high / 60,
    }


def pool_figures(
    subjects: Subjects,
    track: Track,
    read: Sequence[tuple[str, int]],
    probability: Probability,
    start: Probability | None,
) -> dict[str, float]:
    """Dice on the slices of the pool's cases that nobody read, of this model and of that of round 0 (``start``), and on
    all of them."""
    every = {name: np.ones(subjects[name].pair.n_slices, dtype=bool) for name in track.pool}
    left = {name: flags.copy() for name, flags in every.items()}
    for case, number in read:
        left[case][number] = False
    return {
        "dice_unlabelled": pooled_dice(subjects, probability, left),
        "dice_start_same_slices": float("nan") if start is None else pooled_dice(subjects, start, left),
        "dice_all": pooled_dice(subjects, probability, every),
    }


def pooled_dice(subjects: Subjects, probability: Probability, slices: Mapping[str, np.ndarray]) -> float:
    """Lesion Dice at p >= 0.5, voxels pooled over the counted brain of some slices; NaN where neither marks any."""
    both = total = 0
    for name, flags in slices.items():
        counted = subjects[name].counted[flags]
        predicted, true = probability[name][flags] >= 0.5, subjects[name].truth[flags] == 1
        both += int((predicted & true & counted).sum())
        total += int((predicted & counted).sum()) + int((true & counted).sum())
    return 2 * both / total if total else float("nan")


def test_figures(subjects: Subjects, judged: Sequence[tuple[Track, Probability]]) -> dict[str, float]:
    """Every measure on the fixed test set; of a study the test blocks of both folds together."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for track, probability in judged:
        for name, flags in track.test.items():
            before, slices = found.get(name, (np.zeros_like(probability[name]), np.zeros_like(flags)))
            found[name] = (np.where(flags[:, None, None], probability[name], before), slices | flags)
    cases = [
        Judged(
            case=name,
            probability=values,
            truth=subjects[name].truth == 1,
            counted=subjects[name].counted & slices[:, None, None],
            voxel_mm=subjects[name].voxel_mm,
        )
        for name, (values, slices) in sorted(found.items())
    ]
    figures = measured(cases)
    return {"dice_fixed": figures.pop("dice"), **figures}
