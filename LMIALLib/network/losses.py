"""What training minimises. Ignored pixels take no part in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

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
