"""Distances between feature vectors, exact and without a table of all pairs."""

from __future__ import annotations

import numpy as np

ROWS = 8192
"""Rows whose exact differences are in memory at a time."""


class NearestCentre:
    """Squared Euclidean distance of each point to the nearest of the centres so far.

    Differences are squared, not expanded: the expansion gives tiny negative numbers for near duplicates, whose root is
    NaN. The expansion, in float32 and with its error bound, only rules out points that a new centre is not nearer to.

    Args:
        points: (N, d) float64.
    """

    def __init__(self, points: np.ndarray) -> None:
        self._points = points
        self._middle = points.mean(axis=0) if len(points) else np.zeros(points.shape[1])
        self._near_zero = np.empty(points.shape, dtype=np.float32)
        for start in range(0, len(points), ROWS):
            self._near_zero[start : start + ROWS] = points[start : start + ROWS] - self._middle
        self._norm = np.einsum("ij,ij->i", self._near_zero, self._near_zero)
        self._error = np.float32((points.shape[1] + 8) * np.finfo(np.float32).eps)
        self.squared = np.full(len(points), np.inf)

    def forget(self) -> None:
        """No centre any more: every distance is infinite."""
        self.squared = np.full(len(self._points), np.inf)

    def add(self, centre: np.ndarray) -> None:
        """One more centre, float64 (d,)."""
        small = (centre - self._middle).astype(np.float32)
        reach = self._norm + small @ small
        least = reach - 2.0 * (self._near_zero @ small) - self._error * reach
        nearer = np.flatnonzero(~(least >= self.squared))
        for start in range(0, nearer.size, ROWS):
            rows = nearer[start : start + ROWS]
            exact = np.square(self._points[rows] - centre).sum(axis=1)
            self.squared[rows] = np.minimum(self.squared[rows], exact)


def nearest_squared(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of each point (N, d) to the nearest centre (A, d), float64 (N,), never negative.

    Without centres every distance is infinite.
    """
    nearest = NearestCentre(np.asarray(points, dtype=np.float64))
    for centre in np.asarray(centres, dtype=np.float64):
        nearest.add(centre)
    return nearest.squared


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, d) scaled to length 1; a vector of zeros stays. Half the squared distance of two is 1 - cos."""
    length = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0)
