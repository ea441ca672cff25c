"""A suggested lesion outlined tighter or wider, from the model's own map of probabilities."""

from __future__ import annotations

import numpy as np

TIGHTEST, WIDEST = -3, 3
"""Levels of an outline; 0 is the lesion as it is suggested."""
REACH_MM = 4.0
"""How far a wider outline may go from the lesion: other change may be connected with it at a low probability."""
SMOOTH_MM = 0.7
"""Standard deviation of the smoothing within a slice: a map may jump from 0 to 1, and an outline must still move."""


def outlined(
    probability: np.ndarray, lesion: np.ndarray, level: int, *, axis: int, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Outline a lesion at another level, bool (k, j, i).

    The threshold of the probability is 1 / (1 + exp(level)): 0.73 for -1, 0.27 for 1. Wider takes what is connected
    with the lesion there within `REACH_MM`, tighter leaves at least its most probable voxel.

    Args:
        probability: float (k, j, i), of change, 0 to 1.
        lesion: bool (k, j, i), as it is suggested, at least one voxel.
        level: from `TIGHTEST` to `WIDEST`; 0 returns the lesion.
        axis: array axis along which slices are counted.
        spacing: mm along the array axes k, j, i.

    Raises ValueError for another level or an empty lesion.
    """
    from scipy import ndimage
    from skimage.measure import label

    if not TIGHTEST <= level <= WIDEST:
        raise ValueError(f"level is {level}; expected {TIGHTEST} to {WIDEST}")
    if not lesion.any():
        raise ValueError("the lesion has no voxel")
    if level == 0:
        return lesion.copy()
    margin = [int(np.ceil(REACH_MM / length)) + 1 for length in spacing]
    around = tuple(
        slice(max(int(places.min()) - wide, 0), int(places.max()) + wide + 1)
        for places, wide in zip(np.nonzero(lesion), margin, strict=True)
    )
    inside = lesion[around]
    sigma = [0.0 if one == axis else SMOOTH_MM / length for one, length in enumerate(spacing)]
    smooth = ndimage.gaussian_filter(np.nan_to_num(probability[around]).astype(np.float64), sigma)
    likely = smooth >= 1.0 / (1.0 + np.exp(level))
    if level > 0:
        near = ndimage.distance_transform_edt(~inside, sampling=spacing) <= REACH_MM
        parts = label((likely & near) | inside, connectivity=3)
        part = np.isin(parts, np.unique(parts[inside]))
    else:
        part = likely & inside
        if not part.any():
            part = inside & (smooth == smooth[inside].max())
    found = np.zeros_like(lesion)
    found[around] = part
    return found
