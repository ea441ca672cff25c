"""Lesion by lesion: which true lesions were hit, and which predicted ones are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERED = 0.1
"""A true lesion is hit where at least this share of it is predicted; a predicted one is right where it is true."""

SIZES_MM3 = (0.0, 10.0, 27.0)
"""Lesions over these volumes are counted: all, those over 10 mm3, those over 3 x 3 x 3 mm."""


@dataclass(frozen=True)
class LesionCount:
    """Lesions over one volume.

    Args:
        over_mm3: only larger lesions are counted.
        true, hit: true lesions, and those of them that were hit.
        predicted, right: predicted lesions, and those of them that are right.
    """

    over_mm3: float
    true: int
    hit: int
    predicted: int
    right: int

    @property
    def sensitivity(self) -> float:
        """Share of the true lesions that were hit; NaN without any."""
        return self.hit / self.true if self.true else float("nan")

    @property
    def precision(self) -> float:
        """Share of the predicted lesions that are right; NaN without any."""
        return self.right / self.predicted if self.predicted else float("nan")

    @property
    def f1(self) -> float:
        """2 S P / (S + P) of sensitivity S and precision P; 0 where one kind only is there, NaN where neither is."""
        if not self.true and not self.predicted:
            return float("nan")
        if not self.hit or not self.right:
            return 0.0
        return 2 * self.sensitivity * self.precision / (self.sensitivity + self.precision)


def lesion_counts(
    predicted: np.ndarray, true: np.ndarray, voxel_mm3: float, sizes_mm3: Sequence[float] = SIZES_MM3
) -> list[LesionCount]:
    """Count lesions as 3-D components (26 neighbours), once for each smallest volume.

    A true lesion is hit when the prediction covers at least a tenth of it; a predicted lesion is right when at least a
    tenth of itself is true. The size decides only which lesions are counted: a true lesion over 27 mm3 may be hit by
    several small predicted ones. After the lesion-wise scores of Commowick et al., Scientific Reports 8, 2018, with
    their threshold on overlap alone.

    Args:
        predicted, true: bool, three axes in any order, same shape.
        voxel_mm3: volume of one voxel.
        sizes_mm3: a lesion is counted where its volume is larger.
    """
    true_size, true_found = _covered(true, predicted)
    predicted_size, predicted_right = _covered(predicted, true)
    counts = []
    for size in sizes_mm3:
        ours, theirs = true_size * voxel_mm3 > size, predicted_size * voxel_mm3 > size
        counts.append(
            LesionCount(
                over_mm3=float(size),
                true=int(ours.sum()),
                hit=int(true_found[ours].sum()),
                predicted=int(theirs.sum()),
                right=int(predicted_right[theirs].sum()),
            )
        )
    return counts


def _covered(lesions: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of each lesion, and whether ``other`` covers enough of it."""
    from scipy.ndimage import label

    number, count = label(lesions, np.ones((3, 3, 3), dtype=bool))
    size = np.bincount(number.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(number[np.asarray(other, dtype=bool)], minlength=count + 1)[1:]
    return size, shared >= COVERED * size - 1e-9
