"""What training minimises, and the Dice it is judged by. Ignored pixels take part in neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

IGNORED = 255
SURE_OF_NOTHING = -20.0


def change_loss(dice: float = 0.5, cross_entropy: float = 5.0) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The loss: soft Dice over the batch (Milletari et al., arXiv 1606.04797) plus cross-entropy, both from MONAI.

    Args:
        dice: weight of the Dice part, which resists the rarity of change.
        cross_entropy: weight of the cross-entropy part (mean over pixels), which keeps probabilities honest.

    The function returned takes logits, target (0 or 1) and counted (bool), all (n, 1, rows, columns). A pixel that is
    not counted enters as a sure and correct "no change", so that neither it nor its gradient matters.
    """
    from monai.losses import DiceCELoss

    combined = DiceCELoss(sigmoid=True, batch=True, lambda_dice=dice, lambda_ce=cross_entropy)

    def loss(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        held = torch.where(counted, logits.float(), torch.full_like(logits, SURE_OF_NOTHING, dtype=torch.float32))
        result: Any = combined(held, target.float() * counted)
        return result

    return loss


def pooled_dice(prediction: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Dice of all pixels together, in [0, 1]; 1 when both are empty. Bool arrays of a shape; ``counted`` limits it."""
    ours, theirs = prediction.astype(bool), truth.astype(bool)
    if counted is not None:
        ours, theirs = ours & counted, theirs & counted
    total = int(ours.sum()) + int(theirs.sum())
    return 1.0 if total == 0 else 2.0 * int((ours & theirs).sum()) / total
