"""Voxels of a segmentation on the pair's grid, whatever geometry, extent and layers Slicer gave to its label maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.segments import LABELMAP, blank

SAME_PLACE = 1e-3
"""Voxels by which two lattices may differ and still be one."""


def read_labels(node: Any, values: Mapping[str, int], grid: Grid) -> np.ndarray:
    """What a vtkMRMLSegmentationNode holds, uint8 (k, j, i) on a grid.

    Args:
        values: segment id to the value that its voxels get, 1 to 255; where two segments overlap, the later one counts.
            Segments that are not there are passed over.
    """
    array = np.zeros(grid.shape, dtype=np.uint8)
    for name, value in values.items():
        segment = node.GetSegmentation().GetSegment(name)
        if segment is not None:
            _lay(segment, value, array, grid)
    return array


def write_labels(node: Any, values: Mapping[str, int], grid: Grid, array: np.ndarray) -> None:
    """Give all segments of ``values`` one new label map that holds an array (k, j, i) on a grid."""
    from vtk.util.numpy_support import vtk_to_numpy

    image = blank(grid)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(grid.shape)[...] = array
    changing = node.StartModify()
    for name, value in values.items():
        segment = node.GetSegmentation().GetSegment(name)
        if segment is not None:
            segment.SetLabelValue(value)
            segment.AddRepresentation(LABELMAP, image)
    node.EndModify(changing)


def _lay(segment: Any, value: int, array: np.ndarray, grid: Grid) -> None:
    """Write a segment's voxels into an array (k, j, i) of a grid."""
    from vtk.util.numpy_support import vtk_to_numpy

    image = _on_grid(segment.GetRepresentation(LABELMAP), grid)
    low, high = np.array(image.GetExtent()).reshape(3, 2).T
    if image.GetPointData().GetScalars() is None or (high < low).any():
        return
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape((high - low + 1)[::-1])
    start, end = np.maximum(low, 0), np.minimum(high + 1, grid.size)
    if (end <= start).any():
        return
    there = tuple(slice(a, b) for a, b in zip(start[::-1], end[::-1], strict=True))
    inside = tuple(slice(a, b) for a, b in zip((start - low)[::-1], (end - low)[::-1], strict=True))
    array[there][voxels[inside] == segment.GetLabelValue()] = value


def _on_grid(image: Any, grid: Grid) -> Any:
    """A label map on a grid's lattice: itself where it lies there, else moved by whole voxels or resampled."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    own = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    way = np.linalg.inv(ijk_to_ras(grid)) @ own
    if np.allclose(way[:3, :3], np.eye(3), atol=SAME_PLACE / max(grid.size)):
        shift = np.rint(way[:3, 3])
        if np.allclose(way[:3, 3], shift, atol=SAME_PLACE):
            if not shift.any():
                return image
            moved = slicer.vtkOrientedImageData()
            moved.ShallowCopy(image)
            extent = np.array(image.GetExtent()) + np.repeat(shift.astype(int), 2)
            moved.SetExtent(*extent.tolist())
            return moved
    moved = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, blank(grid), moved)
    return moved
