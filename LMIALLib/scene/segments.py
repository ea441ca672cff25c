"""Segmentation nodes whose segments share one label map on the pair's own grid: what is in it is what is saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.volumes import OURS, keep_out_of_files, matrix_of

LABELMAP = "Binary labelmap"


def blank(grid: Grid, extent: Sequence[int] | None = None) -> Any:
    """An empty label map on a grid, the whole of it or of an extent (i, j, k; low and high each)."""
    import slicer
    import vtk

    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(extent if extent is not None else [end for size in grid.size for end in (0, size - 1)]))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(0)
    image.SetImageToWorldMatrix(matrix_of(ijk_to_ras(grid)))
    return image


def add_segmentation(
    scene: Any,
    grid: Grid,
    name: str,
    segments: Sequence[tuple[int, str, tuple[float, float, float]]],
    case: str,
    *,
    inner: bool = False,
) -> tuple[Any, np.ndarray]:
    """A segmentation node, and the uint8 array (k, j, i) that its segments share.

    Args:
        segments: value in the array, name and colour of each. Write into the array, then call ``changed``.
        inner: whether it is a means of ours: in no tree and no file of Slicer's.
    """
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAttribute(OURS, case)
    node.CreateDefaultDisplayNodes()
    if inner:  # not hidden from editors: for a segmentation without an item in the hierarchy Slicer logs every stroke
        keep_out_of_files(node)
        constants = slicer.vtkMRMLSubjectHierarchyConstants
        node.SetAttribute(constants.GetSubjectHierarchyExcludeFromTreeAttributeName(), "1")
    image = blank(grid)
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(grid.shape)
    # Without a geometry of its own, an empty segmentation is written as one voxel, and Slicer 5.11 and 5.12 crash when
    # they read that (vtkMRMLSegmentationStorageNode::ReadBinaryLabelmapRepresentation).
    converter = slicer.vtkSegmentationConverter
    geometry = converter.SerializeImageGeometry(image)
    node.GetSegmentation().SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), geometry)
    for value, title, colour in segments:
        segment = slicer.vtkSegment()
        segment.SetName(title)
        segment.SetColor(*colour)
        segment.SetLabelValue(value)
        segment.AddRepresentation(LABELMAP, image)
        node.GetSegmentation().AddSegment(segment, title)
    return node, array


def changed(node: Any) -> None:
    """Tell a segmentation node that the array behind it was written to."""
    segmentation = node.GetSegmentation()
    image = segmentation.GetNthSegment(0).GetRepresentation(LABELMAP)
    image.GetPointData().GetScalars().Modified()
    image.Modified()


def show_only_in(node: Any, view_nodes: Collection[Any]) -> None:
    """Show a node in some views only: where a segmentation is not shown, nothing can be drawn on it either."""
    node.GetDisplayNode().SetViewNodeIDs([view.GetID() for view in view_nodes])


def show_label(node: Any, view_nodes: Collection[Any]) -> None:
    """Show a reader's label: thicker than a suggestion and lightly filled, in some views only."""
    display = node.GetDisplayNode()
    display.SetSliceIntersectionThickness(2)
    display.SetOpacity2DFill(0.22)
    display.SetOpacity2DOutline(1.0)
    show_only_in(node, view_nodes)
