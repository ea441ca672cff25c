"""Small hand-made cases for the tests of the queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from LMIALLib.queries.pool import CaseMaps, CaseScores


def maps_of(mean: np.ndarray, **given: Any) -> CaseMaps:
    """Maps of a case: brain everywhere and a difference of 1 unless given otherwise."""
    mean = np.asarray(mean, dtype=np.float32)
    defaults = {"case": "a", "mask": np.ones(mean.shape, dtype=bool), "difference": np.ones(mean.shape, np.float32)}
    return CaseMaps(mean=mean, **(defaults | given))


def random_maps(seed: int = 0, shape: tuple[int, int, int] = (8, 16, 18), **given: Any) -> CaseMaps:
    """Maps of a case with everything in them: a round brain, two passes, votes, vectors and numbers a slice."""
    rng = np.random.default_rng(seed)
    passes = rng.beta(0.5, 2.0, (2, *shape))
    entropies = -passes * np.log(passes.clip(1e-7)) - (1 - passes) * np.log((1 - passes).clip(1e-7))
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    disc = (rows - shape[1] / 2) ** 2 + (columns - shape[2] / 2) ** 2 < (min(shape[1:]) / 2.2) ** 2
    defaults = {
        "mask": np.broadcast_to(disc, shape).copy(),
        "difference": rng.standard_normal(shape).astype(np.float32),
        "expected_entropy": entropies.mean(axis=0).astype(np.float32),
        "variance": passes.var(axis=0).astype(np.float32),
        "features": rng.standard_normal((shape[0], 5)).astype(np.float32),
        "vote_entropy": (rng.integers(0, 2, shape) * np.log(2)).astype(np.float32),
        "gradients": rng.standard_normal((shape[0], 7)).astype(np.float32),
        "expected_dice": rng.random(shape[0]).astype(np.float32),
        "learned": rng.random(shape[0]).astype(np.float32),
        "seconds": (5 + 20 * rng.random(shape[0])).astype(np.float32),
    }
    return maps_of(**({"mean": passes.mean(axis=0)} | defaults | given))


def scores_of(score: Any, case: str = "a", **given: Any) -> CaseScores:
    """Scores of a case, as `score_case` would give them."""
    score = np.asarray(score, dtype=np.float64)
    names = ("sum", "weight", "uncertainty", "difference", "spots", "predicted_pixels")
    defaults = {
        "terms": {"score": score} | {name: np.zeros(score.size) for name in names},
        "peak": np.zeros((score.size, 2), dtype=int),
        "features": None,
        "slice_spacing": 3.0,
        "answered": frozenset(),
        "skipped": frozenset(),
        "eligible": np.ones(score.size, dtype=bool),
    }
    return CaseScores(case=case, score=score, **(defaults | given))


@pytest.fixture
def make_maps() -> Callable[..., CaseMaps]:
    return maps_of


@pytest.fixture
def make_random_maps() -> Callable[..., CaseMaps]:
    return random_maps


@pytest.fixture(scope="session")
def make_scores() -> Callable[..., CaseScores]:
    return scores_of
