"""Training, validation and test parts of a cohort: split by brain and by patient, never by synthetic subject."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL, LONGITUDINAL, is_excluded
from LMIALLib.laboratory.synthetic_data.heads import real_heads

PARTS = ("train", "validation", "test")


def parts_of(n: int) -> list[str]:
    """Which part each of ``n`` things belongs to: a fifth, but at least one, for test and then for validation.

    One thing alone is for training; two are for training and test. Training comes first.
    """
    test = max(1, round(0.2 * n)) if n > 1 else 0
    validation = max(1, round(0.2 * n)) if n > 2 else 0
    return ["train"] * (n - test - validation) + ["validation"] * validation + ["test"] * test


def part_of_patients(root: Path, exclude: Collection[str], seed: int) -> dict[str, str]:
    """The part of every patient of open-ms that is not excluded, by name ("patient04").

    Patients with images are dealt out first, so that each part has some; a number is one patient in both databases,
    which do not say whether they share persons.
    """
    scanned = {source.split("/")[1] for source, _ in real_heads(root) if not is_excluded(source, exclude)}
    masks = [*root.glob(f"{LONGITUDINAL}/patient*/gt.nii.gz"), *root.glob(f"{CROSS_SECTIONAL}/patient*/lesions.nii.gz")]
    sources = {f"{path.parent.parent.name}/{path.parent.name}" for path in masks}
    masked = {source.split("/")[1] for source in sources if not is_excluded(source, exclude)}
    rng = np.random.default_rng([seed, 0x73706C69])
    dealt: dict[str, str] = {}
    for group in (scanned, masked - scanned):
        shuffled = [str(name) for name in rng.permutation(sorted(group))]
        dealt |= dict(zip(shuffled, parts_of(len(shuffled)), strict=True))
    return dealt
