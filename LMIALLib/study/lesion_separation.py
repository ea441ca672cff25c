"""Changed voxels separated into lesions: one a connected group, and lesions that only touch one by one."""

from __future__ import annotations

import numpy as np

NECK = 0.7
"""A connection narrower than this share of the smaller lesion's depth is where two lesions touch."""


def separate_lesions(change: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Number the lesions of a volume, int32 (k, j, i), 1 to n in no particular order, 0 where nothing changed.

    Voxels that touch by face, edge or corner belong together. What hangs together is cut where lesions only touch, by
    a watershed on the distance transform (Meyer, Signal Processing 38, 1994). The depth of a voxel is its distance in
    mm to the nearest voxel outside. A deepest place is a seed of its own, unless a way leads from it to a deeper one
    over voxels that are all at least `NECK` times as deep as itself, or at most one voxel edge (of a cube of the
    voxel's volume) shallower: a bend, a bulge, or a waist that this grid hardly resolves cuts nothing.

    Args:
        change: bool (k, j, i).
        spacing: mm between voxels along k, j and i.
    """
    from scipy import ndimage

    lesions = np.zeros(change.shape, np.int32)
    if not change.any():
        return lesions
    whole = ndimage.find_objects(change.view(np.uint8))[0]
    parts, count = ndimage.label(change[whole], structure=np.ones((3, 3, 3), bool))
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == number
        pieces = _cut(part, spacing)
        parts[box][pieces > 1] = count + pieces[pieces > 1] - 1
        count += max(int(pieces.max()) - 1, 0)
    lesions[whole] = parts
    return lesions


def _cut(part: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Pieces 1 to n of one connected part, int32; 0 everywhere where it is one lesion."""
    import SimpleITK as sitk
    from scipy import ndimage

    edge = float(np.prod(spacing)) ** (1 / 3)
    depth = ndimage.distance_transform_edt(np.pad(part, 1), sampling=spacing).astype(np.float32)
    least = np.minimum(np.float32(NECK) * depth, depth - np.float32(edge))
    if least.max() <= min(spacing):  # no way inside is that shallow
        return np.zeros(part.shape, np.int32)
    flooded = sitk.ReconstructionByDilation(
        sitk.GetImageFromArray(np.maximum(least, 0)), sitk.GetImageFromArray(depth), True
    )
    tops = sitk.GetArrayFromImage(sitk.RegionalMaxima(flooded, fullyConnected=True)) > 0
    seeds, count = ndimage.label(tops, structure=np.ones((3, 3, 3), bool))
    if count < 2:
        return np.zeros(part.shape, np.int32)
    relief = sitk.GetImageFromArray(np.where(depth > 0, depth.max() - depth, depth.max() + 1))
    marks = sitk.GetImageFromArray(np.where(depth > 0, seeds, 0).astype(np.int32))
    pieces = sitk.MorphologicalWatershedFromMarkers(relief, marks, markWatershedLine=False, fullyConnected=True)
    found = sitk.GetArrayFromImage(pieces)[1:-1, 1:-1, 1:-1].astype(np.int32)
    return np.where(part, found, 0)
