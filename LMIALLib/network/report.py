"""The report of a fine-tuning run, by which its model is adopted or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FinetuneReport:
    """Figures of one run, before (the model it started from) and after (the model that was written).

    Args:
        digest: of the new weights.
        steps: optimiser steps made.
        losses: mean training loss of each tenth of the run.
        examples: annotated slices.
        dice_before, dice_after: Dice on the annotated slices, all read pixels pooled; None when no change is marked
        on any.
        held_out_before, held_out_after: Dice on the annotated slices of models that learned from the other half of them
            only, shifted as that half says, and of the old model; None below three slices or where there is nothing to
            compare.
        false_before, false_after: read pixels that are called change where the reader marked none.
        guard_before, guard_after: Dice on the synthetic set built into LMIAL, before any shift; 0.0 both where a
            family of networks does not measure it.
        kept: share of the old weights in the new ones.
        shift: what was added to the new model's logits, to call change where the reader does.
        finite: whether all parameters and figures are finite numbers; weights that are not are not written.
        seconds: how long it took.
    """

    digest: str
    steps: int
    losses: tuple[float, ...]
    examples: int
    dice_before: float | None
    dice_after: float | None
    held_out_before: float | None
    held_out_after: float | None
    false_before: int
    false_after: int
    guard_before: float
    guard_after: float
    kept: float
    shift: float
    finite: bool
    seconds: float
