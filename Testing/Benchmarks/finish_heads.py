"""The heads that change is painted into, one a kind of synthetic pair of `finish.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.backgrounds import background_of, with_lesions
from LMIALLib.laboratory.synthetic_data.heads import RealHead, read_real_head
from LMIALLib.laboratory.synthetic_data.scanning import History
from LMIALLib.pairs.geometry import Grid

THICK = 3
"""Slices of 1 mm that become one."""
WHITE, GREY = (2, 41, 7, 46, 16, 28, 60, 10, 49), (3, 42, 8, 47, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58)
FLUID = (4, 43, 5, 44, 14, 15, 24)


def second_contrast(history: History, head: RealHead, other: np.ndarray) -> History:
    """The later visit with the tissues of another drawing, where nothing was painted."""
    volume = head.background.volume
    zero, white = float(volume.min()), head.background.white
    difference = (other - volume) / (white - zero) * (1.0 - history.lesion_after)
    return replace(history, after=np.maximum(history.after + difference, 0.0).astype(np.float32))


def head_of(data: Path, kind: str, rng: np.random.Generator, seed: int) -> tuple[RealHead, np.ndarray | None]:
    """A head of a kind; of a label map also a second drawing of its tissues, scaled like the first."""
    ms = data / "open_ms"
    if kind == "longitudinal":
        return read_real_head(ms, "longitudinal/patient04", "study1_FLAIR.nii.gz", (), seed), None
    if kind == "label-map":
        return _label_map_head(data / "synthseg" / f"training_seg_{1 + seed % 20:02d}.nii.gz", rng, seed)
    lesions = None
    if kind == "isotropic":
        volume = array_of(ms / "cross_sectional_MNI/patient07/FLAIR.nii.gz")
        lesions = array_of(ms / "cross_sectional_MNI/patient07/lesions.nii.gz") > 0
    elif kind == "niivue":
        volume = array_of(data / "single_flair/niivue/FLAIR.nii.gz")
    elif kind == "isles22":
        volume = array_of(next((data / "single_flair/isles22").glob("*.nii.gz")))
        volume = volume.reshape(volume.shape[0], volume.shape[1] // 2, 2, -1, 2).mean(axis=(2, 4))
        return _made_head(kind, volume, None, (5.0, 0.9, 0.9), seed), None
    else:
        patient = kind.split("-")[1]
        volume = array_of(data / "mslesseg" / f"{patient}_T1_FLAIR.nii.gz")
        lesions = array_of(data / "mslesseg" / f"{patient}_T1_MASK.nii.gz") > 0
    return _made_head(
        kind, _thick(volume), None if lesions is None else _thick(lesions) > 0.5, (3.0, 1.0, 1.0), seed
    ), None


def _thick(volume: np.ndarray) -> np.ndarray:
    """Every `THICK` slices averaged into one, float32."""
    count = volume.shape[0] // THICK
    return volume[: count * THICK].reshape(count, THICK, *volume.shape[1:]).mean(axis=1, dtype=np.float32)


def _made_head(
    kind: str, volume: np.ndarray, lesions: np.ndarray | None, spacing: tuple[float, float, float], seed: int
) -> RealHead:
    """A stripped head; arrays (k, j, i) with k from feet to head."""
    from scipy.ndimage import binary_closing, binary_fill_holes

    shown = volume > 0.02 * np.percentile(volume, 99)
    brain = np.stack([binary_fill_holes(binary_closing(plane, iterations=2)) for plane in shown])
    background = background_of(kind, volume, brain, spacing[0], spacing[1], seed=seed)
    if lesions is not None:
        background = with_lesions(background, lesions, seed)
    return RealHead(background, _grid(volume.shape, spacing), np.zeros_like(brain), True)


def _grid(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> Grid:
    size = (shape[2], shape[1], shape[0])
    return Grid(size, (spacing[2], spacing[1], spacing[0]), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))  # type: ignore[arg-type]


def _label_map_head(path: Path, rng: np.random.Generator, seed: int) -> tuple[RealHead, np.ndarray]:
    """A FLAIR-like head drawn twice from a label map: grey matter 1.0 to 1.16 of white, fluid 0.15 to 0.4."""
    from scipy.ndimage import gaussian_filter

    labels = array_of(path).astype(np.int32)
    head = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    labels = labels[head[0] : head[-1] + 1]
    tissue = [np.isin(labels, group) for group in (WHITE, GREY, FLUID)]
    brain = _thick(np.any(tissue, axis=0)) > 0.5
    texture = gaussian_filter(rng.standard_normal(labels.shape).astype(np.float32), 1.0)
    texture *= 0.03 / texture.std()
    visits = []
    for _ in range(2):
        image = np.zeros(labels.shape, np.float32)
        for number in np.unique(labels[labels > 0]):
            image[labels == number] = rng.uniform(0.2, 1.3)  # outside the brain anything may be bright
        for inside, low, high in zip(tissue, (1.0, 1.0, 0.15), (1.0, 1.16, 0.4), strict=True):
            image[inside] = rng.uniform(low, high)
        image = np.where(labels > 0, gaussian_filter(image, 0.6) + texture, 0.0)
        visits.append(_thick(np.maximum(image, 0.0)))
    background = background_of(f"synthseg/{path.stem}", visits[0], brain, 3.0, 1.0, seed=seed)
    slope, offset = np.polyfit(visits[0][brain][::7], background.volume[brain][::7], 1)
    fluid = _thick(np.isin(labels, (4, 43))) > 0.5
    made = RealHead(background, _grid(brain.shape, (3.0, 1.0, 1.0)), fluid, False)
    return made, (slope * visits[1] + offset).astype(np.float32)


def array_of(path: Path) -> np.ndarray:
    """Voxels (k, j, i), axes turned to run nearest to left, posterior and superior."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkFloat32), "LPS"))
