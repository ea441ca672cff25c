"""Lesion by lesion: which true lesions were hit, and which predicted ones are right.

Counted twice. By cover, each lesion is looked at alone, and one blob over everything hits all lesions at once. One to
one, a predicted lesion stands for one true lesion at most. Both are given, because the first is what the literature on
multiple sclerosis mostly prints, and the second is what it is taken for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LMIALLib.metrics.lesion_matching import matched_lesions

COVERED = 0.1
"""A true lesion is hit where at least this share of it is predicted; a predicted one is right where it is true."""

SIZES_MM3 = (0.0, 10.0, 27.0)
"""Lesions over these volumes are counted: all, those over 10 mm3, those over 3 x 3 x 3 mm."""

SMALLEST_ON_A_SLICE = 4
"""Pixels of the smallest lesion that counts where lesions are those of one slice."""


@dataclass(frozen=True)
class LesionCount:
    """Lesions over one volume.

    Args:
        over_mm3: only larger lesions are counted.
        true, hit: true lesions, and those of them that were hit.
        predicted, right: predicted lesions, and those of them that are right.
        matched_true, matched_predicted: true and predicted lesions that have a partner, one to one.
    """

    over_mm3: float
    true: int
    hit: int
    predicted: int
    right: int
    matched_true: int = 0
    matched_predicted: int = 0

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
        """F1 by cover, 2 S P / (S + P) of sensitivity S and precision P; 0 where one kind is missing, NaN without any.

        It is 1 for one blob over all lesions; see `matched_f1`.
        """
        return self._f1(self.hit, self.right)

    @property
    def matched_f1(self) -> float:
        """The same of lesions that are matched one to one."""
        return self._f1(self.matched_true, self.matched_predicted)

    @property
    def hit_f1(self) -> float:
        """2 H / (2 H + M + W) of hits H, missed true ones M and wrong predicted ones W; 1 where there are neither."""
        wrong = self.true - self.hit + self.predicted - self.right
        return 2 * self.hit / (2 * self.hit + wrong) if self.hit + wrong else 1.0

    def _f1(self, hit: int, right: int) -> float:
        if not self.true and not self.predicted:
            return float("nan")
        if not hit or not right:
            return 0.0
        sensitivity, precision = hit / self.true, right / self.predicted
        return 2 * sensitivity * precision / (sensitivity + precision)


def lesion_counts(
    predicted: np.ndarray,
    true: np.ndarray,
    voxel_mm3: float,
    sizes_mm3: Sequence[float] = SIZES_MM3,
    *,
    within_slices: bool = False,
) -> list[LesionCount]:
    """Count lesions as 3-D components (26 neighbours), once for each smallest volume.

    A true lesion is hit when the prediction covers at least a tenth of it; a predicted lesion is right when at least a
    tenth of itself is true. The size decides only which lesions are counted: a true lesion over 27 mm3 may be hit by
    several small predicted ones. After the lesion-wise scores of Commowick et al., Scientific Reports 8, 2018, with
    their threshold on overlap alone. One to one: see `matched_lesions`.

    Args:
        predicted, true: bool, three axes in any order, same shape.
        voxel_mm3: volume of one voxel.
        sizes_mm3: a lesion is counted where its volume is larger.
        within_slices: lesions are components of one slice (first axis; 8 neighbours) instead.
    """
    true_number, true_size, true_found = _covered(true, predicted, within_slices)
    predicted_number, predicted_size, predicted_right = _covered(predicted, true, within_slices)
    partner_found, partner_hit = matched_lesions(predicted_number, true_number)
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
                matched_true=int(partner_hit[ours].sum()),
                matched_predicted=int(partner_found[theirs].sum()),
            )
        )
    return counts


def slice_lesions(predicted: np.ndarray, true: np.ndarray) -> LesionCount:
    """Count the lesions of slices, bool (n, rows, columns): components of one slice of at least 4 pixels."""
    return lesion_counts(predicted, true, 1.0, (SMALLEST_ON_A_SLICE - 1.0,), within_slices=True)[0]


def _covered(lesions: np.ndarray, other: np.ndarray, within_slices: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lesions' numbers from 1 on, voxels of each, and whether ``other`` covers enough of it."""
    from scipy.ndimage import label

    touching = np.ones((3, 3, 3), dtype=bool)
    if within_slices:
        touching[[0, 2]] = False
    number, count = label(lesions, touching)
    size = np.bincount(number.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(number[np.asarray(other, dtype=bool)], minlength=count + 1)[1:]
    return number, size, shared >= COVERED * size - 1e-9
