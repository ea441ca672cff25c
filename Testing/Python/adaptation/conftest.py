"""A small case whose lesions the network half sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from LMIALLib.adaptation.features import Features, features_of
from LMIALLib.adaptation.inputs import HeadInputs


@dataclass(frozen=True)
class Case:
    """A case with its truth, bool (slices, rows, columns)."""

    features: Features
    truth: np.ndarray


def made_case(seed: int, *, changed: bool = True) -> Case:
    """Ten slices of 64 x 60: bright spots in the follow-up; the network takes dark ones for change as well."""
    rng = np.random.default_rng(seed)
    shape = (10, 64, 60)
    region = np.zeros(shape, bool)
    region[:, 6:-6, 6:-6] = True
    truth, decoy = np.zeros(shape, bool), np.zeros(shape, bool)
    for number in range(24):
        k, row, column = rng.integers(10), rng.integers(12, 52), rng.integers(12, 48)
        rows, columns = np.ogrid[:64, :60]
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= 9
        (truth if changed and number % 2 else decoy)[k] |= disc
    decoy &= ~truth
    baseline = rng.normal(0, 0.3, shape).astype(np.float32)
    follow_up = (baseline + rng.normal(0, 0.2, shape) + 2.0 * truth - 2.0 * decoy).astype(np.float32)
    hint = gaussian_filter((truth | decoy).astype(np.float32), (0, 1, 1))
    mean = np.where(region, np.clip(0.002 + 0.8 * hint, 0, 1), 0).astype(np.float32)
    inputs = HeadInputs(
        mean=mean,
        baseline=baseline,
        follow_up=follow_up,
        region=region,
        spacing=(3.0, 1.0, 1.0),
        variance=0.1 * mean * (1 - mean),
        expected_entropy=mean * (1 - mean),
    )
    return Case(features_of(inputs), truth)


@pytest.fixture(scope="session")
def case() -> Case:
    return made_case(1)


@pytest.fixture(scope="session")
def unchanged() -> Case:
    return made_case(2, changed=False)
