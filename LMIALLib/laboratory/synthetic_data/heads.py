"""Real single time points as whole heads: where they lie, where lesions are likely, which lesions they have.

Data: see `backgrounds`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL, LONGITUDINAL, Background, background_of, with_lesions
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.transforms import read_transform

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class RealHead:
    """A real single time point: what `backgrounds` knows of it, and where it lies; arrays (k, j, i).

    Args:
        background: scaled as `Pair` is, with likely sites and outlined lesions.
        grid: its grid.
        ventricles: bool, dark fluid deep in the brain.
        stripped: whether there is no skull.
    """

    background: Background
    grid: Grid
    ventricles: np.ndarray
    stripped: bool


def real_heads(root: Path) -> list[tuple[str, str]]:
    """Source and file name of every single FLAIR scan under the folder open_ms, sorted."""
    found = [
        *root.glob(f"{LONGITUDINAL}/patient*/study?_FLAIR.nii.gz"),
        *root.glob(f"{CROSS_SECTIONAL}/*/FLAIR.nii.gz"),
    ]
    return sorted((f"{path.parent.parent.name}/{path.parent.name}", path.name) for path in found)


def read_real_head(root: Path, source: str, file: str, patients: Collection[str], seed: int) -> RealHead:
    """One of `real_heads`. Takes about 15 s.

    Sites in a cross-sectional head are likely where the cross-sectional patients named in ``patients``, who share one
    space, have lesions; ``seed`` draws the sites.
    """
    import SimpleITK as sitk
    from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter

    folder = root / source
    image = _read(folder / file)
    likely = None
    if source.startswith(LONGITUDINAL):
        # the supplied masks lie in a common space; the transform maps its points to those of the raw scan
        path = folder / file.replace("FLAIR.nii.gz", "FLAIR_to_common_space.txt")
        to_common = read_transform(path).GetInverse()
        brain, lesions = (
            sitk.GetArrayFromImage(sitk.Resample(_read(folder / name), image, to_common, sitk.sitkNearestNeighbor)) > 0
            for name in ("brainmask.nii.gz", "gt.nii.gz")
        )
    else:
        shown = sitk.GetArrayFromImage(image) > 5.0
        brain = binary_fill_holes(binary_closing(shown, iterations=2))
        box = tuple(slice(max(s.start - 8, 0), s.stop + 8) for s in _bounds(brain))
        cut = tuple(slice(s.start, s.stop) for s in reversed(box))
        image, brain = image[cut], brain[box]
        lesions = sitk.GetArrayFromImage(_read(folder / "lesions.nii.gz"))[box] > 0
        masks = (root / CROSS_SECTIONAL / patient / "lesions.nii.gz" for patient in sorted(patients))
        total = sum(sitk.GetArrayFromImage(_read(path))[box] > 0.0 for path in masks if path.is_file())
        likely = gaussian_filter(np.asarray(total, np.float32), 3.0)
    grid = Grid.of(image)
    x, _, z = grid.spacing
    volume = sitk.GetArrayFromImage(image)
    background = background_of(source, volume, brain, z, x, likely=likely, seed=seed)
    background = with_lesions(background, lesions, seed)
    return RealHead(background, grid, _ventricles(background), likely is not None)


def _read(path: Path) -> sitk.Image:
    """An image, float32, its index axes turned to run nearest to left, posterior and superior."""
    import SimpleITK as sitk

    return sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkFloat32), "LPS")


def _bounds(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a mask."""
    return tuple(
        slice(int(filled[0]), int(filled[-1]) + 1)
        for axis in range(3)
        for filled in [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))]
    )


def _ventricles(background: Background) -> np.ndarray:
    """Dark fluid over 20 mm below the brain's surface, bool (k, j, i), as `backgrounds` finds it."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    spacing = (background.slice_mm, background.pixel_mm, background.pixel_mm)
    smooth = gaussian_filter(background.volume, [0.0, 1.0 / spacing[1], 1.0 / spacing[2]])
    return (smooth < -2.2) & (distance_transform_edt(background.brain, spacing) > 20.0)
