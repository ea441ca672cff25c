"""Arrays as vtkMRMLScalarVolumeNodes, with grey windows and colour tables of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import LPS_TO_RAS, ijk_to_ras

OURS = "LMIAL.case"
"""Attribute that marks a node as ours and names its case; nodes without it are never touched."""


def matrix_of(values: np.ndarray) -> Any:
    """A vtkMatrix4x4 from a (4, 4) array."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(values, dtype=float).ravel().tolist())
    return matrix


def keep_out_of_files(node: Any) -> None:
    """Let Slicer write neither a node nor its display with a scene: the study is the truth, not this view of it."""
    node.SetSaveWithScene(False)
    for number in range(node.GetNumberOfDisplayNodes()) if hasattr(node, "GetNumberOfDisplayNodes") else ():
        node.GetNthDisplayNode(number).SetSaveWithScene(False)


def add_volume(scene: Any, array: np.ndarray, grid: Grid, name: str, case: str) -> Any:
    """A volume node with a copy of an array (k, j, i) on its grid; ``voxels_of`` gives the node's own."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(OURS, case)
    values = np.ascontiguousarray(array.astype(np.uint8) if array.dtype == bool else array)
    image = vtk.vtkImageData()
    image.SetDimensions(*values.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    node.SetIJKToRASMatrix(matrix_of(ijk_to_ras(grid)))
    node.SetAndObserveImageData(image)
    node.CreateDefaultDisplayNodes()
    return node


def voxels_of(node: Any) -> np.ndarray:
    """A view (k, j, i) of a volume node's voxels; call ``voxels_changed`` after writing to it."""
    from vtk.util.numpy_support import vtk_to_numpy

    image = node.GetImageData()
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]))


def voxels_changed(node: Any) -> None:
    """Tell a volume node that its voxels were written to."""
    node.GetImageData().GetPointData().GetScalars().Modified()
    node.GetImageData().Modified()


def place_volume(scene: Any, node: Any, to_source: np.ndarray, case: str) -> Any:
    """Put a volume under the transform that brings it onto the pair; ``to_source`` (4, 4) maps LPS points of the pair
    to LPS points of the volume. Returns the transform node."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{node.GetName()} to pair")
    transform.SetAttribute(OURS, case)
    to_pair = LPS_TO_RAS @ np.linalg.inv(np.asarray(to_source, dtype=float)) @ LPS_TO_RAS
    transform.SetMatrixTransformToParent(matrix_of(to_pair))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def show_grey(node: Any, low: float, high: float, *, smooth: bool = True) -> None:
    """Show a volume in grey from ``low`` (black) to ``high`` (white)."""
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.SetInterpolate(smooth)


def add_colours(scene: Any, name: str, stops: Sequence[tuple[float, float, float, float]], case: str) -> Any:
    """A colour table of 256 entries through evenly spaced ``stops`` (red, green, blue, opacity in [0, 1])."""
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetAttribute(OURS, case)
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    places = np.linspace(0.0, 1.0, len(stops))
    for entry, at in enumerate(np.linspace(0.0, 1.0, 256)):
        colour = [float(np.interp(at, places, [stop[part] for stop in stops])) for part in range(4)]
        node.SetColor(entry, str(entry), *colour)
    return node


def show_coloured(node: Any, colours: Any, low: float, high: float) -> None:
    """Show a volume through a colour table from ``low`` to ``high``."""
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetInterpolate(True)


def brain_window(
    array: np.ndarray, grid: Grid, region: np.ndarray, region_grid: Grid, to_source: np.ndarray
) -> tuple[float, float]:
    """Grey window of a volume: robust percentiles (0.5 and 99.7) of what it shows inside the brain.

    Args:
        array: (k, j, i) on ``grid``.
        region: bool (k, j, i) on ``region_grid``.
        to_source: (4, 4), LPS points of the region's grid to LPS points of the volume.
    """
    inside = np.argwhere(region)[:: max(1, int(region.sum()) // 40_000), ::-1]  # i, j, k
    if not inside.size:
        inside = np.argwhere(np.ones((2, 2, 2), dtype=bool))
    way = np.linalg.inv(grid.index_to_point()) @ to_source @ region_grid.index_to_point()
    index = np.rint(inside @ way[:3, :3].T + way[:3, 3]).astype(int)
    index = index[((index >= 0) & (index < np.array(grid.size))).all(axis=1)]
    values = array[index[:, 2], index[:, 1], index[:, 0]] if len(index) else np.array([0.0, 1.0])
    low, high = np.percentile(values, [0.5, 99.7])
    return float(low), float(max(high, low + 1e-3))
