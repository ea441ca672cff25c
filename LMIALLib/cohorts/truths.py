"""A mask of change from outside as the truth of a pair: values of the label schema on the pair's grid, 255 elsewhere.

255 stands where the truth says nothing: beyond its field of view, where it marks a class that it does not cover, and
where the scans themselves show change of a kind that it does not cover (``in_doubt``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.transforms import read_transform
from LMIALLib.study.labels import UNREAD, LabelSchema

if TYPE_CHECKING:
    import SimpleITK as sitk

SIGNS = {"new": 1, "enlarged": 1, "shrunk": -1, "vanished": -1}
"""Whether a kind of change is brighter (1) or darker (-1) at the follow-up, where lesions are brighter than tissue."""
STRONG = 1.0
"""Robust spreads of the brain's intensity by which two scans differ strongly, after smoothing. On patient12 of open-ms,
56 % of the voxels of lesions that shrank reach it, and 0.14 % of the brain that did not change."""
DEVIATIONS = 3.0
"""And by how many robust standard deviations of the smoothed difference in this brain, for scans that are noisy."""
SMOOTHING_MM = 1.0
"""Standard deviation of the Gaussian in plane before scans are called different: noise of a voxel is no change."""
SAME_GRID_MM = 0.1


@dataclass(frozen=True)
class MaskOfChange:
    """A truth as read.

    Args:
        path: the file, for sentences.
        values: uint8 (k, j, i) on ``grid``: 0, values of the schema that are covered, 255.
        grid: of the mask.
        to_mask: maps points of the follow-up to points of the mask (LPS, mm); None: they are one space.
        covers: names of the classes that it covers.
    """

    path: Path
    values: np.ndarray
    grid: Grid
    to_mask: sitk.Transform | None
    covers: tuple[str, ...]

    def on(self, pair: Pair) -> np.ndarray:
        """The truth of a pair whose grid is the follow-up's, uint8 (k, j, i), by nearest neighbour; see the module.

        Raises BadInput where it shows nothing of the pair's brain region.
        """
        values = self._on_grid(pair.grid)
        if (values[pair.mask] == UNREAD).all():
            raise BadInput(f"{self.path}: this truth shows no part of the follow-up's brain; is it of another space?")
        values[(values == 0) & in_doubt(pair, self.covers)] = UNREAD
        return values

    def _on_grid(self, grid: Grid) -> np.ndarray:
        import SimpleITK as sitk

        if self.to_mask is None and self.grid.same_as(grid, SAME_GRID_MM):
            return self.values.copy()
        moved = sitk.Resample(
            self.grid.image_of(self.values),
            grid.size,
            self.to_mask or sitk.Transform(3, sitk.sitkIdentity),
            sitk.sitkNearestNeighbor,
            grid.origin,
            grid.spacing,
            grid.direction,
            float(UNREAD),
        )
        return sitk.GetArrayFromImage(moved)


def in_doubt(pair: Pair, covers: Collection[str]) -> np.ndarray:
    """Where unmarked voxels may hold change that a truth does not cover, bool (k, j, i).

    Where the smoothed difference reaches STRONG and DEVIATIONS with a sign that no covered class has: with a truth of
    new lesions, what is darker at the follow-up may have shrunk or vanished. What is brighter and unmarked counts as
    not new: that it enlarged cannot be told from the scans. Nowhere, where a covered class has no sign of its own
    ("change"). The signs are those of scans in which lesions are bright (FLAIR, T2).
    """
    from scipy.ndimage import gaussian_filter

    signs = {SIGNS.get(name, 0) for name in covers}
    if 0 in signs or signs == {1, -1}:
        return np.zeros(pair.mask.shape, bool)
    millimetres = np.array(pair.grid.spacing[::-1])
    width = SMOOTHING_MM / millimetres
    width[pair.axis] = 0.0
    difference = gaussian_filter(pair.difference, width, truncate=3.0)
    deviation = 1.4826 * np.median(np.abs(difference[pair.mask]))  # of a normal distribution about zero
    return np.asarray(pair.mask & (-difference * signs.pop() >= max(STRONG, DEVIATIONS * deviation)))


def read_mask_of_change(
    path: Path, covers: tuple[str, ...], schema: LabelSchema, *, to_follow_up: Path | None = None
) -> MaskOfChange:
    """Read a mask of change; nothing marked is a truth too.

    Args:
        path: a volume of 0 and values of the schema, or of 0 and one other value that is 1 or no class: then it marks
            the covered class, or "change" (1) where all are covered. 255 beside other values means "not covered".
        covers: classes that it covers; empty: all.
        to_follow_up: file of an ITK transform from its points to the follow-up's.

    Raises BadInput naming the file for what cannot be read, other values, or an unknown class in ``covers``.
    """
    import SimpleITK as sitk

    from LMIALLib.pairs.reading import read_volume

    covered = schema.covering(covers or None)
    volume = read_volume(path, may_be_empty=True)
    values = _schema_values(path, sitk.GetArrayViewFromImage(volume.image), covered, schema)
    transform = None if to_follow_up is None else read_transform(to_follow_up).GetInverse()
    return MaskOfChange(path, values, volume.grid, transform, tuple(schema.name_of(value) for value in covered))


def _schema_values(path: Path, voxels: np.ndarray, covered: tuple[int, ...], schema: LabelSchema) -> np.ndarray:
    marked = np.unique(voxels[voxels != 0])
    if marked.size == 1 and (marked[0] == 1 or marked[0] not in schema.values):
        if len(covered) > 1 and covered != schema.values:
            raise BadInput(
                f"{path}: it marks with one value, which may be any of "
                f"{', '.join(schema.name_of(value) for value in covered)}.",
                f"Write the classes as values ({schema.described()}), or cover one class.",
            )
        return np.where(voxels != 0, covered[0], 0).astype(np.uint8)
    unknown = [value for value in marked if value != UNREAD and value not in schema.values]
    if unknown:
        found = ", ".join(f"{value:g}" for value in unknown[:6])
        raise BadInput(f"{path}: it holds the values {found}; expected 0 and one other, or {schema.described()}.")
    values = voxels.astype(np.uint8)
    values[(values != 0) & ~np.isin(values, covered)] = UNREAD
    return values
