"""What shapes a fine-tuning run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FinetuneSettings:
    """Everything that shapes a fine-tuning run; stored with the model.

    Args:
        steps: optimiser steps; as many again for each half of the slices that is judged on the other.
        minutes: stop earlier after this time, judging included; None: only steps count.
        seed: of crops, augmentation, painted samples and dropout.
        rate: highest learning rate (AdamW); it rises over 10 steps, then falls to a tenth along a cosine.
        average: decay of the running average of the weights, which is what is kept of the run.
        annotated, unread, painted: crops of each kind in a step.
        opinion: weight of the loss that keeps the old model's predictions where nobody read; stored under this name.
        kept: share of the old weights in the new ones; the way between both is straight (Wortsman et al., arXiv
            2109.01903, "WiSE-FT"). It grows in fifths while the new model reads the built-in synthetic set worse than
            the old one by more than ``forgotten``.
        forgotten: largest loss of Dice on that set.
        size: rows and columns of a crop.
        checkpoint_every: steps between two checkpoints.
        threads: CPU threads; None keeps torch's number.
        device: "cpu", "cuda" or "auto"; where a GPU runs out of memory the run goes on on the CPU.
    """

    steps: int = 30
    minutes: float | None = None
    seed: int = 0
    rate: float = 6e-4
    average: float = 0.95
    annotated: int = 5
    unread: int = 2
    painted: int = 1
    opinion: float = 5.0
    kept: float = 0.4
    forgotten: float = 0.02
    size: int = 112
    checkpoint_every: int = 20
    threads: int | None = None
    device: str = "cpu"
