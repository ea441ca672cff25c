"""Whether a pair looks like what the network learned from: heads in FLAIR or T1, not another organ or modality.

A network answers anything, also a chest. So six plain figures of each scan are held against ranges that lie beside the
weights (``Resources/Weights/family.json``; how they were measured stands in the model card). They are worked out on
voxels of about 2 mm, and blind to gain, offset, outliers and lesions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import LMIALError
from LMIALLib.json_data import read_json
from LMIALLib.pairs.brain import WORKING_MM, find_brain
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.outliers import usual_range
from LMIALLib.pairs.resampling import above
from LMIALLib.pairs.similarity import shrunk

if TYPE_CHECKING:
    import SimpleITK as sitk

FILE = "family.json"
DETAIL_MM = 3.0
"""What is finer than this Gaussian's standard deviation is detail: sulci, borders of ventricles, noise."""
RIM_MM = 4.0
"""So much of the region's rim is left out where detail is measured."""
GAP_MM = 8.0
ADVICE = "its suggestions and doubts may mean nothing here, so rank by difference alone"


@dataclass(frozen=True)
class Features:
    """What one scan looks like; spread is the robust spread (quartiles / 1.349) over the brain region.

    Args:
        volume_ml: of the region.
        width_mm: of the whole body, the larger of left-right and front-back: trunks are wider than heads.
        above_background: the region's median over the darkest grey of the volume, in spreads. CT and PET lie lower.
        dark_end: the region's median over its first percentile, in spreads: the fluid of FLAIR and T1 is dark.
        gap: the darkest grey within ``GAP_MM`` around the region (median over its surface) over the background, as a
            share of the region's median: skull is dark and goes all around, organs of a trunk touch each other.
        detail: robust spread of what a Gaussian of 3 mm takes away, over the region's. PET has less, noise more.
    """

    volume_ml: float
    width_mm: float
    above_background: float
    dark_end: float
    gap: float
    detail: float


@dataclass(frozen=True)
class Family:
    """The lowest and the highest value of each of the ``Features`` that the network learned from, with a margin."""

    format: int
    volume_ml: tuple[float, float]
    width_mm: tuple[float, float]
    above_background: tuple[float, float]
    dark_end: tuple[float, float]
    gap: tuple[float, float]
    detail: tuple[float, float]


REASONS = {
    "volume_ml": "no region has a brain's size",
    "width_mm": "the body is wider than a head",
    "above_background": "the grey values stand out from the background differently",
    "dark_end": "fluid is not dark",
    "gap": "no dark skull surrounds the region",
    "detail": "the amount of detail differs",
}


@lru_cache(maxsize=1)
def family_of_weights() -> Family:
    """The ranges beside the bundled weights. Raises LMIALError where the installation lacks them."""
    from LMIALLib.resources import resource

    try:
        return read_json(resource("Weights", FILE), Family)
    except FileNotFoundError as problem:
        raise LMIALError(f"The installation of LMIAL is incomplete: {problem}.", "Install LMIAL again.") from problem


def judge(
    baseline: sitk.Image, follow_up: sitk.Image, region: np.ndarray, forward: np.ndarray, *, asked: bool
) -> dict[str, Any]:
    """Whether both raw scans look like what the network learned from: JSON-ready ``alarm``, ``sentence``, ``features``.

    Args:
        region: bool (k, j, i) on the follow-up's grid, the region that is searched.
        forward: (4, 4), points (LPS, mm) of the follow-up to points of the baseline.
        asked: whether a reader gave the region. It need be no brain, so one that is found is looked at where there is.
    """
    if asked:
        found, report = find_brain(follow_up)
        region = region if report["method"] == "foreground" and not region.all() else found
    small = shrunk(Grid.of(follow_up).image_of(region), WORKING_MM, (0.0, 1.0))
    family, unlike, measurements = family_of_weights(), {}, {}
    for name, image, to_region in (("follow-up", follow_up, np.eye(4)), ("baseline", baseline, np.linalg.inv(forward))):
        features = measured(image, small, to_region)
        measurements[name] = asdict(features)
        strange = [one.name for one in fields(Features) if not _within(features, family, one.name)]
        if strange:
            unlike[name] = strange
    return {"alarm": bool(unlike), "sentence": _sentence(unlike), "features": measurements}


def measured(image: sitk.Image, region: sitk.Image, to_region: np.ndarray) -> Features:
    """The features of a raw scan.

    Args:
        region: share of each voxel, 0 to 1, that belongs to the region, on a grid of its own.
        to_region: (4, 4), points (LPS, mm) of the scan to points of the region.
    """
    import SimpleITK as sitk
    from scipy import ndimage as ndi

    small = shrunk(image, WORKING_MM, usual_range(sitk.GetArrayViewFromImage(image)))
    grid, voxels = Grid.of(small), sitk.GetArrayFromImage(small)
    spacing = grid.spacing[::-1]
    inside = above(region, 0.5, grid, to_region, outside=0.0)
    if not inside.any():
        inside[:] = True
    darkest = float(np.percentile(voxels, 0.5))
    low, first, middle, third = (float(value) for value in np.percentile(voxels[inside], [1, 25, 50, 75]))
    spread = (third - first) / 1.349 or float(voxels[inside].std()) or 1.0
    sigma = [DETAIL_MM / step for step in spacing]
    weight = ndi.gaussian_filter(inside.astype(np.float32), sigma)
    smooth = ndi.gaussian_filter(np.where(inside, voxels, np.float32(0)), sigma) / np.maximum(weight, 1e-6)
    core = ndi.distance_transform_edt(inside, sampling=spacing) > RIM_MM
    fine = (voxels - smooth)[core if core.any() else inside]
    detail = float(np.subtract(*np.percentile(fine, [75, 25]))) / 1.349
    return Features(
        volume_ml=round(float(np.count_nonzero(inside)) * grid.voxel_ml, 1),
        width_mm=round(_width(voxels > darkest + 0.15 * (middle - darkest), grid), 1),
        above_background=round((middle - darkest) / spread, 3),
        dark_end=round((middle - low) / spread, 3),
        gap=round((_gap(voxels, inside, spacing) - darkest) / max(middle - darkest, 1e-6 * spread), 3),
        detail=round(detail / spread, 3),
    )


def _gap(voxels: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...]) -> float:
    """The median, over the region's surface, of the darkest grey within ``GAP_MM``."""
    from scipy import ndimage as ndi

    surface = inside & ~ndi.binary_erosion(inside)
    darkest = ndi.minimum_filter(voxels, [2 * round(GAP_MM / step) + 1 for step in spacing])
    return float(np.median(darkest[surface]))


def _width(body: np.ndarray, grid: Grid) -> float:
    """mm, left to right or front to back, between which 99 % of the largest part of ``body`` lie."""
    from scipy import ndimage as ndi

    labels, count = ndi.label(ndi.binary_opening(body))
    if count == 0:
        return 0.0
    index = np.argwhere(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))[:, ::-1]
    points = (index * np.array(grid.spacing)) @ np.array(grid.direction).reshape(3, 3).T
    low, high = np.percentile(points[:, :2], [0.5, 99.5], axis=0)
    return float((high - low).max())


def _within(features: Features, family: Family, name: str) -> bool:
    low, high = getattr(family, name)
    return bool(low <= getattr(features, name) <= high)


def _sentence(unlike: dict[str, list[str]]) -> str:
    if not unlike:
        return ""
    who = "Both scans look" if len(unlike) == 2 else f"The {next(iter(unlike))} looks"
    first = next(name for names in unlike.values() for name in names)
    return f"{who} unlike the FLAIR and T1 scans of heads that the network learned from ({REASONS[first]}): {ADVICE}."
