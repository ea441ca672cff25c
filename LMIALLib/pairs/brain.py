"""The brain region of a head scan by classical image processing: threshold, opening, largest part, closing.

The brain is the largest compact bright body in a head, and skull, meninges and fluid part it from the scalp by a dark
gap that is bridged in a few thin places only (eyes, vessels, nerves). So tissue is thresholded, opened by a distance
wider than those bridges, the largest part is kept and grown back into the tissue, and sulci and ventricles are closed
(the scheme of Lemieux et al., Magnetic Resonance in Medicine 42, 1999, and Hoehne and Hanson, JCAT 16, 1992).
It was made for FLAIR; T1 works too. Where the outcome has no brain's size, the body with all that it encloses is taken,
and the region raises an alarm (``regions.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.outliers import usual_range
from LMIALLib.pairs.resampling import above

if TYPE_CHECKING:
    import SimpleITK as sitk

WORKING_MM = 2.0
"""Voxels are averaged to about this width first: the shape does not need more, and noise goes."""
TISSUE_SHARE = 0.5
"""Tissue is brighter than this share of the way from the background to the head's median."""
OPENINGS_MM = (6.0, 8.0, 10.0, 4.5, 3.0)
"""Half the width of the bridges that are cut; the first that gives a plausible brain is taken."""
GROWN_BACK_MM = 1.5
CLOSING_MM = 8.0
PLAUSIBLE_ML = (600.0, 2200.0)
"""Brains with ventricles and sulci, from a child's to the largest adult's."""
PLAUSIBLE_BODY_ML = 8000.0
"""A foreground larger than this is no head."""


@dataclass(frozen=True)
class _Small:
    """The volume at working resolution: voxels (k, j, i), mm along (k, j, i), and which voxels are foreground."""

    voxels: np.ndarray
    spacing: tuple[float, ...]
    foreground: np.ndarray

    def millilitres(self, region: np.ndarray) -> float:
        return float(np.count_nonzero(region) * np.prod(self.spacing)) / 1000.0


def find_brain(image: sitk.Image) -> tuple[np.ndarray, dict[str, Any]]:
    """The brain region (bool, (k, j, i), never empty) and a JSON-ready report.

    ``method`` is "morphology" (a head with skull), "stripped" (only a brain on an empty background), or "foreground"
    (no brain found). ``millilitres`` is the region's volume. Outliers of the grey values decide nothing.
    """
    import SimpleITK as sitk

    from LMIALLib.pairs.similarity import shrunk

    limits = usual_range(sitk.GetArrayViewFromImage(image))
    small = shrunk(image, WORKING_MM, limits)
    volume = _Small(
        sitk.GetArrayFromImage(small),
        small.GetSpacing()[::-1],
        sitk.GetArrayFromImage(sitk.OtsuThreshold(small, 0, 1)) > 0,
    )
    region, method = _region(volume)
    # Interpolating the signed distance instead of the mask keeps the surface smooth between the coarse voxels.
    distance = sitk.GetImageFromArray(_signed_distance(region, volume.spacing).astype(np.float32))
    distance.CopyInformation(small)
    full = above(distance, 0.0, Grid.of(image), np.eye(4), outside=-1.0)
    found = _carried_outwards(full, region, image, small)
    return found, {"method": method, "millilitres": round(volume.millilitres(region), 1)}


def _region(volume: _Small) -> tuple[np.ndarray, str]:
    body = _largest(_closed(volume.foreground, volume.spacing, CLOSING_MM))
    if volume.millilitres(body) <= PLAUSIBLE_BODY_ML:
        stripped = _stripped(volume)
        if stripped is not None:
            return stripped, "stripped"
        for opening in OPENINGS_MM:
            region = _opened(volume, opening)
            if region is not None and PLAUSIBLE_ML[0] <= volume.millilitres(region) <= PLAUSIBLE_ML[1]:
                return region, "morphology"
    return _enclosed(body), "foreground"


def _stripped(volume: _Small) -> np.ndarray | None:
    """All that is not the empty background, where that is one body of a brain's size without a dark gap around it."""
    edge = np.concatenate([volume.voxels[:, 0].ravel(), volume.voxels[:, -1].ravel(), volume.voxels[:, :, 0].ravel()])
    background = float(np.median(edge))
    bright = float(np.median(volume.voxels[volume.foreground])) - background
    if np.mean(np.abs(volume.voxels - background) < 1e-3 * abs(bright)) < 0.3:
        return None  # air that was not blanked carries noise
    body = _largest(_closed(np.abs(volume.voxels - background) > 0.05 * abs(bright), volume.spacing, CLOSING_MM))
    tissue = _opened(volume, OPENINGS_MM[0])
    if tissue is None or not PLAUSIBLE_ML[0] <= volume.millilitres(body) <= PLAUSIBLE_ML[1]:
        return None
    return body if np.count_nonzero(tissue & body) > 0.66 * np.count_nonzero(body) else None


def _enclosed(body: np.ndarray) -> np.ndarray:
    """The body and what it surrounds in the planes of any axis: lungs are open at the ends of a chest scan."""
    from scipy import ndimage as ndi

    filled = body.copy()
    for axis in range(3):
        for plane, there in zip(np.moveaxis(filled, axis, 0), np.moveaxis(body, axis, 0), strict=True):
            plane |= ndi.binary_fill_holes(there)
    return filled


def _opened(volume: _Small, opening_mm: float) -> np.ndarray | None:
    """The largest body of tissue once bridges thinner than twice ``opening_mm`` are cut; None where nothing is left."""
    from scipy import ndimage as ndi

    outside = float(np.median(volume.voxels[~volume.foreground])) if not volume.foreground.all() else 0.0
    middle = float(np.median(volume.voxels[volume.foreground]))
    tissue = volume.voxels > outside + TISSUE_SHARE * (middle - outside)
    core = ndi.distance_transform_edt(tissue, sampling=volume.spacing) > opening_mm
    if not core.any():
        return None
    near = ndi.distance_transform_edt(~_largest(core), sampling=volume.spacing) < opening_mm + GROWN_BACK_MM
    return _closed(near & tissue, volume.spacing, CLOSING_MM)


def _largest(region: np.ndarray) -> np.ndarray:
    """The largest connected part; all of it where there is none."""
    from scipy import ndimage as ndi

    labels, count = ndi.label(region)
    if count == 0:
        return np.ones(region.shape, dtype=bool)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _closed(region: np.ndarray, spacing: tuple[float, ...], millimetres: float) -> np.ndarray:
    """Gaps narrower than twice ``millimetres`` closed, and holes filled."""
    from scipy import ndimage as ndi

    if not region.any():
        return region
    # With a rim around it, so that the border of the field of view is not taken for a gap.
    rim = [int(np.ceil(millimetres / step)) + 1 for step in spacing]
    padded = np.pad(region, [(width, width) for width in rim])
    grown = ndi.distance_transform_edt(~padded, sampling=spacing) < millimetres
    closed = ndi.distance_transform_edt(grown, sampling=spacing) > millimetres
    inner = tuple(slice(width, width + length) for width, length in zip(rim, region.shape, strict=True))
    return np.asarray(ndi.binary_fill_holes(region | closed[inner]))


def _signed_distance(region: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """mm to the border of the region, positive inside."""
    from scipy import ndimage as ndi

    if region.all():
        return np.ones(region.shape)
    inside = ndi.distance_transform_edt(region, sampling=spacing)
    return np.asarray(inside - ndi.distance_transform_edt(~region, sampling=spacing))


def _carried_outwards(found: np.ndarray, region: np.ndarray, image: sitk.Image, small: sitk.Image) -> np.ndarray:
    """The region on the image's grid: averaged voxels end half a voxel before the image does, so its rim is copied."""
    factors = [round(b / a) for a, b in zip(image.GetSpacing(), small.GetSpacing(), strict=True)][::-1]
    for axis, factor in enumerate(factors):
        margin = factor // 2 + 1
        last = found.shape[axis] - 1
        if factor > 1 and last > 2 * margin:
            places = np.clip(np.arange(last + 1), margin, last - margin - found.shape[axis] % factor)
            found = found.take(places, axis)
    return found if found.any() else np.ones(found.shape, dtype=bool)
