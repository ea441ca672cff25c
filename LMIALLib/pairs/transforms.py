"""Linear transforms of LPS points in mm as (4, 4) matrices, and as SimpleITK's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk


def transform_of(matrix: np.ndarray) -> sitk.AffineTransform:
    """The SimpleITK transform of a (4, 4) matrix that maps LPS points in mm."""
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def matrix_of(transform: sitk.Transform) -> np.ndarray:
    """The (4, 4) matrix of any SimpleITK transform that is linear."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        unit = [0.0, 0.0, 0.0]
        unit[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - origin
    matrix[:3, 3] = origin
    return matrix


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) nearest to a matrix, by polar decomposition; a reflection stays one."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)
