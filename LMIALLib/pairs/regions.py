"""The region in which a pair is searched: how it was chosen, and whether it can be what it is taken for."""

from __future__ import annotations

from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid

CHOICES = ("brain", "everything", "given")
"""How a reader can choose the region: found in the follow-up, the whole volume, or drawn or read from a file."""
LEAST_ML = 1.0
"""A region that a reader gives is at least so large, or hardly anything is searched."""
LEAST_SHARE = 0.8
"""At least so much of the region should lie inside the baseline, or much of it is not searched."""


def region_report(method: str, mask: np.ndarray, outside: int, grid: Grid) -> dict[str, Any]:
    """What a pair keeps of its region, JSON-ready.

    Args:
        method: as ``brain.find_brain`` says it ("morphology", "stripped", "foreground"), or "everything" or "given".
        mask: bool (k, j, i) on the pair's grid, the voxels that are searched.
        outside: voxels of the region that the baseline does not show, which are not searched.

    Holds ``method``, ``millilitres`` (searched), ``voxels``, ``voxels_outside_baseline``, ``alarm``, and ``sentence``:
    one where the region cannot be what it should be, else empty.
    """
    voxels = int(np.count_nonzero(mask))
    millilitres = voxels * grid.voxel_ml
    share = voxels / max(voxels + outside, 1)
    sentence = ""
    if method == "foreground":
        sentence = (
            f"No brain was found in the follow-up, so the whole body in it is searched ({_litres(millilitres)}): check"
            " the region, then draw or import one, or search everything."
        )
    elif share < LEAST_SHARE:
        sentence = (
            f"The baseline shows only {100 * share:.0f} % of the region; the rest cannot be compared and is not"
            " searched: check that both scans show the same part of the body."
        )
    elif method == "given" and millilitres < LEAST_ML:
        sentence = (
            f"The region that was given has only {_litres(millilitres)}, so hardly anything is searched: draw or import"
            " another one, or search everything."
        )
    return {
        "method": method,
        "millilitres": round(millilitres, 2),
        "voxels": voxels,
        "voxels_outside_baseline": outside,
        "alarm": bool(sentence),
        "sentence": sentence,
    }


def _litres(millilitres: float) -> str:
    return f"{millilitres / 1000:.1f} litres" if millilitres >= 1000 else f"{millilitres:.3g} ml"
