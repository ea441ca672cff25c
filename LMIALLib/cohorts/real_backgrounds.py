"""Real single time points to paint change into: open-ms, read where it lies and never copied."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.backgrounds import (
    CROSS_SECTIONAL,
    LONGITUDINAL,
    Background,
    background_of,
    is_excluded,
    turned,
    with_lesions,
)
from LMIALLib.cohorts.shapes import LesionShape, shapes_of_mask
from LMIALLib.datasets.open_ms_patient import is_open_ms_pair, open_ms_pair
from LMIALLib.pairs.transforms import read_transform


def real_backgrounds(root: Path, exclude: Collection[str] = (), seed: int = 0) -> list[Background]:
    """Every single time point of open-ms that training may use, and the full pairs. ``root`` is the folder open_ms."""
    found = []
    for folder in sorted((root / LONGITUDINAL).glob("patient*")):
        visits = [visit for visit in (1, 2) if (folder / f"study{visit}_FLAIR.nii.gz").is_file()]
        source = f"{LONGITUDINAL}/{folder.name}"
        if not is_excluded(source, exclude):
            found += [_raw_time_point(folder, visit, source, seed) for visit in visits]
            if is_open_ms_pair(folder):
                found.append(_real_pair(folder, source, seed))
    likely = _lesion_frequency(root, exclude)
    for folder in sorted((root / CROSS_SECTIONAL).glob("patient*")):
        source = f"{CROSS_SECTIONAL}/{folder.name}"
        if (folder / "FLAIR.nii.gz").is_file() and not is_excluded(source, exclude):
            found += _isotropic_time_point(folder, source, likely, seed)
    return found


def real_shapes(root: Path, exclude: Collection[str] = ()) -> list[LesionShape]:
    """Shapes of change (longitudinal) and of lesions (cross-sectional) of all patients that are not excluded."""
    shapes = []
    for database, name in ((LONGITUDINAL, "gt.nii.gz"), (CROSS_SECTIONAL, "lesions.nii.gz")):
        for folder in sorted((root / database).glob("patient*")):
            source = f"{database}/{folder.name}"
            if (folder / name).is_file() and not is_excluded(source, exclude):
                mask, spacing = _read(folder / name)
                shapes += shapes_of_mask(mask > 0, spacing, source)
    return shapes


def _raw_time_point(folder: Path, visit: int, source: str, seed: int) -> Background:
    """A raw scan with its supplied brain mask, on its own grid (thick axial slices)."""
    import SimpleITK as sitk

    raw = sitk.ReadImage(str(folder / f"study{visit}_FLAIR.nii.gz"), sitk.sitkFloat32)
    to_raw = read_transform(folder / f"study{visit}_FLAIR_to_common_space.txt")
    mask = sitk.ReadImage(str(folder / "brainmask.nii.gz"), sitk.sitkUInt8)
    brain = sitk.Resample(mask, raw, to_raw.GetInverse(), sitk.sitkNearestNeighbor, 0)
    change = sitk.ReadImage(str(folder / "gt.nii.gz"), sitk.sitkUInt8)
    change = sitk.Resample(change, raw, to_raw.GetInverse(), sitk.sitkNearestNeighbor, 0)
    column, _, slices = raw.GetSpacing()
    found = background_of(
        source, sitk.GetArrayFromImage(raw), sitk.GetArrayFromImage(brain) > 0, slices, column, seed=seed
    )
    return with_lesions(found, sitk.GetArrayFromImage(change) > 0, seed)


def _real_pair(folder: Path, source: str, seed: int) -> Background:
    """Both visits of a patient as LMIAL prepares them, with the expert's mask of change."""
    from tempfile import TemporaryDirectory

    from LMIALLib.pairs.prepare import prepare
    from LMIALLib.pairs.reading import read_volume
    from LMIALLib.pairs.request import PairRequest

    files = open_ms_pair(folder)
    with TemporaryDirectory() as case:
        pair = prepare(PairRequest(baseline=files.baseline, follow_up=files.follow_up), Path(case))
    truth = pair.stack(files.truth_on(read_volume(files.follow_up).image))
    planes = [np.ascontiguousarray(pair.stack(volume)) for volume in (pair.baseline, pair.follow_up, pair.mask)]
    found = background_of(
        source, planes[1], planes[2], pair.slice_spacing, float(np.mean(pair.in_plane_spacing)), seed=seed
    )
    changed = np.argwhere(truth & planes[2])
    # every second sample centres on change that a reader marked
    drawn = np.random.default_rng([seed, 0x7061]).choice(len(changed), len(found.anywhere))
    return replace(
        found, volume=planes[1], earlier=planes[0], truth=truth & planes[2], anywhere=changed[drawn].astype(np.int32)
    )


def _isotropic_time_point(folder: Path, source: str, likely: np.ndarray, seed: int) -> list[Background]:
    """A skull-stripped 1 mm scan, sliced along each of its three axes."""
    from scipy.ndimage import binary_closing, binary_fill_holes

    volume, spacing = _read(folder / "FLAIR.nii.gz")
    brain = binary_fill_holes(binary_closing(volume > 5.0, iterations=2))
    first = background_of(source, volume, brain, spacing[0], spacing[1], likely=likely, seed=seed)
    first = with_lesions(first, _read(folder / "lesions.nii.gz")[0] > 0, seed)
    return [first, turned(first, 1), turned(first, 2)]


def _lesion_frequency(root: Path, exclude: Collection[str]) -> np.ndarray:
    """How many cross-sectional patients have a lesion near each voxel of their common space (smoothed by 3 mm)."""
    from scipy.ndimage import gaussian_filter

    total: np.ndarray | None = None
    for folder in sorted((root / CROSS_SECTIONAL).glob("patient*")):
        if not is_excluded(f"{CROSS_SECTIONAL}/{folder.name}", exclude):
            mask, _ = _read(folder / "lesions.nii.gz")
            total = (mask > 0).astype(np.float32) if total is None else total + (mask > 0)
    return np.zeros((1, 1, 1), np.float32) if total is None else gaussian_filter(total, 3.0)


def _read(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Voxels (z, y, x) and spacing in mm along z, y, x."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    x, y, z = image.GetSpacing()
    return sitk.GetArrayFromImage(image), (z, y, x)
