"""The grey values of a volume without its outliers: a few hot or cold voxels must not decide anything about the rest.

Every scanner and converter leaves some: spikes, dead pixels, burnt-in marks, a corner that was overwritten.
"""

from __future__ import annotations

import numpy as np

OUTLIERS = 0.5
"""Per cent of the voxels at either end of the grey values that may be anything."""
MANY_OUTLIERS = 2.0
"""The same where they are so far away that the rest would be one grey."""
FURTHEST = 4.0
"""Widths of the usual range beyond it at which a value is damaged, not just bright."""
_LOOKED_AT = 2_000_000


def usual_range(voxels: np.ndarray) -> tuple[float, float]:
    """Grey values between which all voxels lie but ``OUTLIERS`` per cent at either end, or ``MANY_OUTLIERS``.

    An array of more than two million voxels is judged by as many of them, evenly spread. A volume of which nearly all
    voxels have one value has the range of all its values: what differs there is no outlier but all there is.
    """
    step = max(1, voxels.size // _LOOKED_AT) | 1
    ends = [OUTLIERS, MANY_OUTLIERS, 100.0 - MANY_OUTLIERS, 100.0 - OUTLIERS]
    low, lower, higher, high = (float(value) for value in np.percentile(voxels.reshape(-1)[::step], ends))
    width = FURTHEST * (higher - lower)
    if 0 < width < lower - low:
        low = lower
    if 0 < width < high - higher:
        high = higher
    return (low, high) if high > low else (float(voxels.min()), float(voxels.max()))


def believable_range(voxels: np.ndarray) -> tuple[float, float]:
    """Grey values beyond which a voxel is damaged, not bright or dark: ``FURTHEST`` widths of the usual range."""
    low, high = usual_range(voxels)
    width = FURTHEST * (high - low)
    return low - width, high + width
