"""Small synthetic heads, and image files written the way scanners and tools write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZE = (76, 92, 34)
SPACING = (2.2, 2.2, 4.5)


def smooth_field(seed: int, shape: tuple[int, int, int], spacing: tuple[float, ...], millimetres: float) -> np.ndarray:
    """A random field, mean 0 and standard deviation 1, smooth over ``millimetres``; (k, j, i)."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal(shape)
    field = gaussian_filter(noise, [millimetres / step for step in spacing])
    return np.asarray((field - field.mean()) / field.std())


def head(
    seed: int = 0, size: tuple[int, int, int] = SIZE, spacing: tuple[float, ...] = SPACING
) -> dict[str, np.ndarray]:
    """A head with scalp, dark skull, folded brain and ventricles: ``grey`` (k, j, i), ``brain``, ``white``."""
    shape, steps = size[::-1], spacing[::-1]
    centred = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, steps, strict=True)]
    z, y, x = np.meshgrid(*centred, indexing="ij")

    def inside(a: float, b: float, c: float, up: float = 0.0) -> np.ndarray:
        return np.asarray((x / a) ** 2 + (y / b) ** 2 + ((z - up) / c) ** 2 <= 1)

    folds = smooth_field(seed, shape, steps, 6.0)
    brain = inside(60, 74, 58)
    white = brain & (folds + 1.5 * (1 - (x / 60) ** 2 - (y / 74) ** 2 - (z / 58) ** 2) > 0.6)
    fluid = brain & (folds < -1.3) | inside(8, 22, 12)
    grey = np.zeros(shape)
    grey[inside(76, 92, 74)] = 130.0
    grey[inside(70, 85, 67)] = 20.0
    grey[brain] = 300.0
    grey[white] = 250.0
    grey[fluid] = 80.0
    grey += 6.0 * smooth_field(seed + 1, shape, steps, 3.0) * (grey > 0)
    return {"grey": np.maximum(grey, 0.0), "brain": brain, "white": white & ~fluid}


@pytest.fixture(scope="session")
def phantom() -> dict[str, np.ndarray]:
    """The head of seed 0."""
    return head(0)


@pytest.fixture(scope="session")
def other_head() -> dict[str, np.ndarray]:
    """The head of another patient."""
    return head(77)


@pytest.fixture(scope="session")
def smooth() -> Callable[..., np.ndarray]:
    """``smooth_field``."""
    return smooth_field


@pytest.fixture(scope="session")
def as_image() -> Callable[..., Any]:
    """A function: array (k, j, i) -> SimpleITK image with the phantom's spacing, or the given geometry."""
    import SimpleITK as sitk

    def make(array: np.ndarray, spacing=SPACING, origin=(-80.0, -95.0, -70.0), direction=None, dtype=np.int16) -> Any:
        image = sitk.GetImageFromArray(np.ascontiguousarray(array.astype(dtype)))
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(np.asarray(direction, dtype=float).ravel().tolist())
        return image

    return make


@pytest.fixture
def small_image(as_image: Callable[..., Any]) -> Any:
    """A 12 x 10 x 8 image of random integers."""
    return as_image(np.random.default_rng(3).integers(0, 900, (8, 10, 12)), spacing=(1.0, 1.5, 3.0), origin=(3, -4, 5))


@pytest.fixture
def write_series() -> Callable[..., list[Path]]:
    """A function that writes a DICOM series, one file a slice, with whatever tags a test wants to spoil."""
    import SimpleITK as sitk

    def write(
        folder: Path,
        array: np.ndarray,
        *,
        uid: str = "1.2.826.0.1.3680043.2.1125.7",
        positions: np.ndarray | None = None,
        orientation: str = "1\\0\\0\\0\\1\\0",
        spacing: tuple[float, float] = (1.0, 1.5),
        tags: dict[str, str] | None = None,
        start: int = 0,
    ) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        if positions is None:
            positions = np.array([[3.0, -4.0, 5.0 + 3.0 * k] for k in range(len(array))])
        files = []
        for k, plane in enumerate(array):
            image = sitk.GetImageFromArray(plane.astype(np.int16))
            image.SetSpacing(spacing)
            values = {
                "0008|0060": "MR",
                "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
                "0020|000e": uid,
                "0008|0018": f"{uid}.{k + 1}",
                "0020|0011": "4",
                "0020|0013": str(k + 1),
                "0020|0032": "\\".join(f"{v:.6f}" for v in positions[k]),
                "0020|0037": orientation,
                "0010|0010": "SECRET^NAME",
                "0010|0020": "ID-12345",
                "0008|0022": "20140302",
            }
            for tag, value in (values | (tags or {})).items():
                image.SetMetaData(tag, value)
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            files.append(folder / f"slice{start + k:03d}.dcm")
            writer.SetFileName(str(files[-1]))
            writer.Execute(image)
        return files

    return write
