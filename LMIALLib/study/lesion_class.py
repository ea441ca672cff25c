"""The class of change that two visits' intensities propose for a region. Only a reader sets it."""

from __future__ import annotations

import numpy as np

LEAST_DIFFERENCE = 0.5
"""Robust standard deviations of the brain below which a region's difference proposes no class."""
LIKE_BRAIN = 1.5
"""Robust standard deviations from the brain's median up to which a spot looks like brain without a lesion."""


def proposed_class(region: np.ndarray, baseline: np.ndarray, follow_up: np.ndarray) -> str:
    """Name of the class that the sign of the difference proposes for a region, by its medians; empty where it is small.

    Brighter now: "enlarged" where the baseline was no plain brain, else "new". Darker: "shrunk" where the follow-up is
    no plain brain, else "vanished".

    Args:
        region: bool, of the shape of both others: a slice or a volume.
        baseline, follow_up: float, scaled intensities (brain median 0, robust spread 1).
    """
    before, after = float(np.median(baseline[region])), float(np.median(follow_up[region]))
    if abs(after - before) < LEAST_DIFFERENCE:
        return ""
    if after > before:
        return "enlarged" if before > LIKE_BRAIN else "new"
    return "shrunk" if after > LIKE_BRAIN else "vanished"
