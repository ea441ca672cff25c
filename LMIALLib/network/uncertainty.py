"""The predictions of several passes of a network, added up as they come, at the pixels that the network sees.

Entropies are no straight lines, so what is made from them must be made before slices are resampled: between a pixel of
p = 0 and one of p = 1 the resampled p is 1/2, whose entropy is ln 2, although no pass doubts anything. BALD made from a
resampled mean and a resampled expected entropy would be that ln 2 instead of 0.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

ROUNDING = 1e-5
"""Mutual information under this share of the entropy is rounding of float32 logits and counts as 0."""


def uncertainty_maps(passes: Iterable[Tensor]) -> dict[str, Tensor]:
    """Maps of one or more passes over the same slices, each float32 of the shape of the logits.

    ``mean``: probability of change; ``entropy``: of that mean, nats; from two passes on also ``expected_entropy``: mean
    of each pass's entropy; ``variance`` of the probability; ``mutual_information``: entropy minus expected entropy
    (BALD: Houlsby et al., arXiv 1112.5745), exactly 0 for equal passes.

    Only sums are kept, in float64, so memory does not grow with the number of passes. Both probabilities, p and 1 - p,
    come from the logit: float32 has no number between 1 - 6e-8 and 1, and a floor under the entropy would rank slices
    by the area of their brain wherever the network is sure.

    Args:
        passes: logits (n, rows, columns), float32, of one pass after the other; at least one.
    """
    count = 0
    change = unchanged = expected = square = torch.zeros(())
    for logits in passes:
        probability, entropy = torch.sigmoid(logits), binary_entropy_of(logits)
        if count == 0:
            first = probability, entropy
            change, unchanged = probability.double(), torch.sigmoid(-logits).double()
            expected, square = entropy.double(), probability.double().square()
        else:
            change += probability
            unchanged += torch.sigmoid(-logits)
            expected += entropy
            square += probability.double().square()
        count += 1
    if count == 1:
        return {"mean": first[0], "entropy": first[1]}
    mean, expected = change / count, expected / count
    rarer = torch.minimum(mean, unchanged / count)
    total = -torch.xlogy(rarer, rarer) - (1 - rarer) * torch.log1p(-rarer)
    gain = total - expected
    made = {
        "mean": mean,
        "entropy": total,
        "expected_entropy": expected,
        "variance": (square / count - mean * mean).clamp_(min=0),
        "mutual_information": torch.where(gain > ROUNDING * total, gain, 0.0),
    }
    return {name: value.float() for name, value in made.items()}


def binary_entropy_of(logits: Tensor) -> Tensor:
    """H(p) of p = sigmoid(z), nats: softplus(-|z|) + |z| sigmoid(-|z|), of positive terms, so without cancellation."""
    size = logits.abs()
    return functional.softplus(-size) + size * torch.sigmoid(-size)
