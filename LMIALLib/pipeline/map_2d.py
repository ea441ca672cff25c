"""All slices of a study as points in a plane: alike ones lie together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from LMIALLib.queries.distances import directions

NEIGHBOURS = 15
"""Neighbours that UMAP keeps together, its own default."""


@dataclass(frozen=True)
class Embedded:
    """The slices of a case that hold brain, and their vectors.

    Args:
        case, subject: names.
        slices: int (n,).
        vectors: float (n, d).
        answered: slices of the case that are annotated.
    """

    case: str
    subject: str
    slices: np.ndarray
    vectors: np.ndarray
    answered: frozenset[int]


def coordinates(cases: Sequence[Embedded], distance: str, seed: int) -> tuple[np.ndarray, str]:
    """A place in the plane for every slice of all cases in their order, float64 (N, 2), and how it was found.

    UMAP (McInnes et al., arXiv 1802.03426) where the package umap-learn is installed and there are slices enough, else
    the first two principal components; for the cosine distance of the vectors scaled to length 1.
    """
    vectors = np.concatenate([np.asarray(case.vectors, dtype=np.float64) for case in cases])
    if distance == "cosine":
        vectors = directions(vectors)
    reducer = umap_class() if len(vectors) > NEIGHBOURS else None
    if reducer is None:
        return _principal(vectors)
    places = reducer(n_neighbors=NEIGHBOURS, random_state=seed, n_jobs=1).fit_transform(vectors)
    return np.asarray(places, dtype=np.float64), f"UMAP of {NEIGHBOURS} neighbours"


def umap_class() -> Any:
    """The class ``UMAP`` of umap-learn, or None where it is not installed."""
    try:
        from umap import UMAP
    except ImportError:
        return None
    return UMAP


def _principal(vectors: np.ndarray) -> tuple[np.ndarray, str]:
    """The first two principal components (N, 2), 0 where there are fewer, and which share of the variance they hold."""
    from sklearn.decomposition import PCA

    places = np.zeros((len(vectors), 2))
    count = min(2, *vectors.shape)
    if not count or not np.ptp(vectors, axis=0).any():
        return places, "All slices are alike"
    pca = PCA(count, svd_solver="full" if len(vectors) < 5000 else "covariance_eigh")
    places[:, :count] = pca.fit_transform(vectors)
    return places, f"Principal components, {100 * pca.explained_variance_ratio_.sum():.0f} % of the variance"
