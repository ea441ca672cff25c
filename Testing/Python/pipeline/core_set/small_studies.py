"""Pairs, cases and trainings that are as small as the pipeline takes them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.pipeline.embeddings.masked_autoencoder import MaskedTraining
from LMIALLib.study.store import Study

TINY = MaskedTraining(
    size=32, patch=8, width=32, layers=2, heads=2, decoder_width=16, decoder_layers=1, decoder_heads=2,
    steps=6, batch=4, checkpoint_every=2, device="cpu",
)  # fmt: skip


def head(seed: int, *, slices: int = 10, brain: bool = True) -> Pair:
    """A pair of an egg of smooth noise, 32 x 28 pixels of 1 mm, in which one spot brightened; no brain at both ends."""
    draw = np.random.default_rng(seed)
    shape = (slices, 32, 28)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    mask = (k**2 + j**2 + i**2 < 0.85) & brain
    baseline = gaussian_filter(draw.normal(size=shape), (0.5, 2, 2)).astype(np.float32) * 6
    follow_up = baseline + gaussian_filter(draw.normal(size=shape), 0.5).astype(np.float32)
    follow_up[slices // 2, 12:16, 10:14] += 6
    grid = Grid(shape[::-1], (1.0, 1.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Pair(baseline, follow_up, mask, grid, 0)


def put(study: Study, name: str, pair: Pair, subject: str | None = None) -> None:
    """Add a case the way ``prepare`` would leave it."""
    staged = study.cases.stage(name)
    save_pair(pair, staged / "pair-1")
    (staged / "source").mkdir()
    study.cases.add(name, staged, subject=subject or name)
