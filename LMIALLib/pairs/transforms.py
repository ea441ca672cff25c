"""Linear transforms of LPS points in mm as (4, 4) matrices, and as SimpleITK's objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers import FARTHEST_MM
from LMIALLib.pairs.headers_text import DECIMALS, TEXT, checked_field, decimals

if TYPE_CHECKING:
    import SimpleITK as sitk

_LONGEST_FILE = 1 << 16
_MATRIX_KINDS = ("MatrixOffsetTransformBase", "AffineTransform")


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


def read_transform(path: Path) -> sitk.AffineTransform:
    """Read a linear transform of LPS points (mm) that ITK wrote as text: a matrix, a shift and a centre.

    ITK itself does not see the file: its reader crashes on numbers that are missing. Raises BadInput with one sentence
    for another kind of transform, for several of them, and for one that cannot be inverted.
    """
    import SimpleITK as sitk

    fields = _transform_fields(path)
    kind = re.fullmatch(r"(\w+)_(?:double|float)_3_3", fields.get("Transform", ""))
    numbers, centre = decimals(fields, "Parameters"), decimals(fields, "FixedParameters")
    usable = all(abs(value) <= FARTHEST_MM for value in (*numbers, *centre))  # a comparison with NaN is false
    if kind is None or kind[1] not in _MATRIX_KINDS or len(numbers) != 12 or len(centre) != 3 or not usable:
        raise BadInput(
            f"{path}: LMIAL reads ITK transforms of points in space that are a matrix, a shift and a centre"
            " (AffineTransform, 12 and 3 numbers)."
        )
    if abs(np.linalg.det(np.array(numbers[:9]).reshape(3, 3))) < 1e-9:
        raise BadInput(f"{path}: this transform maps space onto a plane; it cannot be inverted.")
    transform = sitk.AffineTransform(3)
    transform.SetCenter(centre)
    transform.SetMatrix(numbers[:9])
    transform.SetTranslation(numbers[9:])
    return transform


def _transform_fields(path: Path) -> dict[str, str]:
    """The checked lines "name: value" of a file with one transform."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    first, *lines = raw.decode("utf-8", errors="replace").splitlines() or [""]
    if not first.startswith("#Insight Transform File") or len(raw) > _LONGEST_FILE:
        raise BadInput(f"{path}: it cannot be read as an ITK transform written as text.")
    forms = {"Transform": TEXT, "Parameters": DECIMALS, "FixedParameters": DECIMALS}
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not name or name.startswith("#"):
            continue
        if not colon or name not in forms or name in fields:
            raise BadInput(f"{path}: it cannot be read as one ITK transform written as text.")
        fields[name] = checked_field(path, "transform", name, value, forms[name])
    return fields
