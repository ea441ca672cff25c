"""Where in a slice a map is high: the place a reader is brought to, and how many places there are."""

from __future__ import annotations

import numpy as np

BOX = 5
"""Side in pixels of the box over which maps are smoothed, so that one noisy pixel is no place to go to."""

SPOT_RADIUS = 10
"""Pixels around a spot that belong to it."""

MOST_SPOTS = 9
"""Counting stops here."""


def box_smoothed(image: np.ndarray) -> np.ndarray:
    """Mean over `BOX` by `BOX` pixels, float64 (r, c), outside the image counts as 0. Numpy only, by running sums."""
    half = BOX // 2
    smoothed = np.asarray(image, dtype=np.float64)
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (half, half)
        padded = np.pad(smoothed, padding)
        length = smoothed.shape[axis]
        smoothed = np.zeros_like(smoothed)
        for shift in range(BOX):
            smoothed += padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length]
        smoothed /= BOX
    return smoothed


def spots(smoothed: np.ndarray, inside: np.ndarray) -> list[tuple[int, int]]:
    """Places (row, column) of a smoothed map (r, c), highest first: the peak, and others at least half as high.

    Only pixels of ``inside``, bool (r, c), count. A map that is 0 inside has no spot. Two spots are more than
    `SPOT_RADIUS` pixels apart along rows or columns.
    """
    rest = np.where(inside, smoothed, 0.0)
    found: list[tuple[int, int]] = []
    lowest = 0.0
    while len(found) < MOST_SPOTS:
        row, column = (int(v) for v in np.unravel_index(int(np.argmax(rest)), rest.shape))
        if rest[row, column] <= 0.0 or rest[row, column] < lowest:
            break
        if not found:
            lowest = 0.5 * float(rest[row, column])
        found.append((row, column))
        rows = slice(max(row - SPOT_RADIUS, 0), row + SPOT_RADIUS + 1)
        rest[rows, max(column - SPOT_RADIUS, 0) : column + SPOT_RADIUS + 1] = 0.0
    return found


def middle(inside: np.ndarray) -> tuple[int, int]:
    """The middle of a region, bool (r, c); of the image where the region is empty."""
    rows, columns = np.nonzero(inside)
    if not rows.size:
        return inside.shape[0] // 2, inside.shape[1] // 2
    return round(float(rows.mean())), round(float(columns.mean()))
