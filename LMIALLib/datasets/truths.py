"""A mask of change from outside as the truth of a pair: values of the label schema on the pair's grid, 255 elsewhere.

255 stands where the truth is unknown: beyond its box (of a label map; beyond a segmentation nothing changed), where
it marks a class that it does not cover, and where the scans themselves show change of a kind that it does not cover
(``in_doubt``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers_text import shown
from LMIALLib.pairs.label_volume import read_label_volume
from LMIALLib.pairs.mapping import Mapped, mapped
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.segmentation import REVIEWED, Segmentation, is_segmentation, read_segmentation
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
OUTSIDE = ("background", "unknown")
"""What a truth means outside of its box: nothing changed there, or nothing is known."""


@dataclass(frozen=True)
class PlacedTruth:
    """A truth on the grid of its pair.

    Args:
        values: uint8 (k, j, i), see the module.
        unknown: share of the brain region, in [0, 1], of which nothing is known.
        sentence: what a person should know of how it was placed; empty where it covers the whole region and fits.
    """

    values: np.ndarray
    unknown: float
    sentence: str


@dataclass(frozen=True)
class MaskOfChange:
    """A truth as read.

    Args:
        path: the file, for sentences.
        values: uint8 (k, j, i) on ``grid``: 0, values of the schema that are covered, 255.
        grid: of the mask.
        to_mask: maps points of the follow-up to points of the mask (LPS, mm); None: they are one space.
        covers: names of the classes that it covers.
        outside: one of ``OUTSIDE``: what is known beyond its box.
        remark: what a person should know of how it was read, as a part of a sentence; mostly empty.
        remarks: the same as whole sentences.
    """

    path: Path
    values: np.ndarray
    grid: Grid
    to_mask: sitk.Transform | None
    covers: tuple[str, ...]
    outside: str = "unknown"
    remark: str = ""
    remarks: tuple[str, ...] = ()

    def on(self, pair: Pair) -> np.ndarray:
        """The values of ``placed_on``."""
        return self.placed_on(pair).values

    def placed_on(self, pair: Pair) -> PlacedTruth:
        """The truth of a pair whose grid is the follow-up's, by where it lies; see the module.

        Raises BadInput where it shows nothing of the pair's brain region.
        """
        here = self._on_grid(pair.grid)
        values = here.values
        covered = float(here.covered[pair.mask].mean())
        values[~here.covered] = UNREAD if self.outside == "unknown" else 0
        if covered == 0 or (values[pair.mask] == UNREAD).all():
            raise BadInput(f"{self.path}: this truth shows no part of the follow-up's brain; is it of another space?")
        values[(values == 0) & in_doubt(pair, self.covers)] = UNREAD
        unknown = float((values[pair.mask] == UNREAD).mean())
        return PlacedTruth(values, unknown, self._sentence(here, covered, unknown))

    def _sentence(self, here: Mapped, covered: float, unknown: float) -> str:
        parts = [self.remark] if self.remark else []
        if covered < 1:
            meant = "unknown" if self.outside == "unknown" else "without change"
            parts.append(
                f"the truth covers a box that holds {percent(covered)} of the brain region; outside of it the region"
                f" is taken as {meant}, so that {percent(unknown)} of the region is unknown in all"
            )
        if here.off_mm > 0:
            parts.append(
                f"it lies between the scan's voxels, and the nearest were taken, up to {here.off_mm:.2g} mm away"
            )
        if here.lost:
            parts.append(f"{here.lost} of its marked voxels lie outside of the scan and are left out")
        return " ".join([*self.remarks, *([f"{'; '.join(parts)}."] if parts else [])])

    def _on_grid(self, grid: Grid) -> Mapped:
        import SimpleITK as sitk

        if self.to_mask is None:
            return mapped(self.path, self.values, self.grid, grid, any_spacing=True)
        nowhere = UNREAD + 1
        moved = sitk.Resample(
            self.grid.image_of(self.values.astype(np.uint16)),
            grid.size,
            self.to_mask,
            sitk.sitkNearestNeighbor,
            grid.origin,
            grid.spacing,
            grid.direction,
            float(nowhere),
        )
        found = sitk.GetArrayFromImage(moved)
        covered = found != nowhere
        return Mapped(np.where(covered, found, 0).astype(np.uint8), covered)


def percent(share: float) -> str:
    """A share in words that never rounds something to nothing, or nearly all to all."""
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.2g} %" if share < 0.01 else f"{min(100 * share, 99.9):.1f} %"


def in_doubt(pair: Pair, covers: Collection[str]) -> np.ndarray:
    """Where unmarked voxels may hold change that a truth does not cover, bool (k, j, i).

    Where the smoothed difference reaches STRONG and DEVIATIONS with a sign that no covered class has: with a truth of
    new lesions, what is darker at the follow-up may have shrunk or vanished. What is brighter and unmarked counts as
    not new: the scans do not show that it enlarged. Nowhere, where a covered class has no sign of its own
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
    path: Path,
    covers: tuple[str, ...],
    schema: LabelSchema,
    *,
    to_follow_up: Path | None = None,
    outside: str | None = None,
) -> MaskOfChange:
    """Read a mask of change; nothing marked is a truth too.

    Args:
        path: a volume of 0 and values of the schema, or of 0 and one other value that is 1 or no class: then it marks
            the covered class, or "change" (1) where all are covered. 255 beside other values means "not covered". Or a
            ``.seg.nrrd`` or DICOM SEG whose segments are named as the classes, or are one class together; where one is
            called "reviewed", as LMIAL's exports have, nothing is known outside of that.
        covers: classes that it covers; empty: all.
        to_follow_up: file of an ITK transform from its points to the follow-up's.
        outside: one of ``OUTSIDE``; None: background for segmentations, unknown for label maps.

    Raises BadInput naming the file for what cannot be read, other values, or an unknown class in ``covers``; WrongUse
    for another word in ``outside``.
    """
    if outside is not None and outside not in OUTSIDE:
        raise WrongUse(f"what lies outside of a truth is {' or '.join(OUTSIDE)}, not {outside!r}.")
    path = Path(path)
    covered = schema.covering(covers or None)
    remark, meant = "", "unknown"
    remarks: tuple[str, ...] = ()
    if is_segmentation(path):
        segmentation = read_segmentation(path)
        grid: Grid | None = segmentation.grid
        values, remark = _segment_values(path, segmentation, covered, schema)
        meant = "unknown" if segmentation.named(REVIEWED) is not None else "background"
    else:
        volume = read_label_volume(path)
        grid, values = volume.grid, _schema_values(path, volume.values, covered, schema)
        remarks = volume.remarks
    if grid is None:
        raise BadInput(f"{path}: it is a plane without a position in space; a truth is a volume.")
    transform = None if to_follow_up is None else read_transform(to_follow_up).GetInverse()
    names = tuple(schema.name_of(value) for value in covered)
    return MaskOfChange(path, values, grid, transform, names, outside or meant, remark, remarks)


def _segment_values(
    path: Path, segmentation: Segmentation, covered: tuple[int, ...], schema: LabelSchema
) -> tuple[np.ndarray, str]:
    """Values of the schema (k, j, i) that the segments' names say, and what a person should know of it."""
    i, j, k = segmentation.grid.size
    values, remark = np.zeros((k, j, i), np.uint8), ""
    drawn = [one for one in segmentation.segments if one.name.casefold() != REVIEWED and one.inside.any()]
    known = {one.name.casefold(): one.value for one in schema.classes}
    strange = [one for one in drawn if one.name.casefold() not in known]
    if not strange:
        for one in drawn:
            values[one.inside] = known[one.name.casefold()]
        values[(values != 0) & ~np.isin(values, covered)] = UNREAD
    elif len(strange) == len(drawn):
        together = np.any([one.inside for one in drawn], axis=0).astype(np.uint8)
        values = _schema_values(path, together, covered, schema)
        if len(drawn) > 1:
            remark = f"its {len(drawn)} segments have no names of classes, and are taken for one class together"
    else:
        raise BadInput(
            f"{path}: its segment {shown(strange[0].name)} is none of the classes ({schema.described()}), others are.",
            "Name every segment as a class, or none.",
        )
    reviewed = segmentation.named(REVIEWED)
    if reviewed is not None:
        values[(values == 0) & ~reviewed] = UNREAD
    return values, remark


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
