"""The reader's label where Slicer's own Segment Editor draws: one slice can be changed, whatever the editor does.

The editor acts on volumes, keeps its label maps in geometries of its own and lets undo reach back as far as it likes.
Here the label is read and written through the pair's grid, a helper segment limits the editor to the open slice, and
opening another slice forgets what could be undone. The helper alone is not enough: inside a single segment Slicer 5.12
lets Erase remove the selected segment outside of it (vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap), and erasing
all segments erases the helper. So `restrain` puts back whatever was changed elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.segments import LABELMAP, add_segmentation, show_label
from LMIALLib.scene.volumes import matrix_of
from LMIALLib.study.labels import LabelSchema

MASK_SEGMENT = "LMIAL edit mask"
"""Id of the helper segment: the open slice, never shown, no part of any answer."""
SAME_PLACE = 1e-3
"""Voxels by which two lattices may differ and still be one."""


class History(Protocol):
    """The undo history of the editor that draws: Slicer's Segment Editor widget, or its logic."""

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""

    def save_state(self) -> None:
        """Remember the segmentation as it is, for one step of undo."""

    def undo(self) -> None:
        """Take the last step back."""

    def redo(self) -> None:
        """Do it again."""

    def clear(self) -> None:
        """Forget every step."""


class EditedDrawing:
    """The label's segmentation of a case, drawn on by Slicer's Segment Editor; members as in `drawing.Drawing`.

    Args:
        scene: a vtkMRMLScene.
        grid: the pair's grid; axis: array axis of its slices.
        schema: classes, whose values are those of the masks.
        view_nodes: slice nodes that show it: those of the follow-up; in no other view can the editor draw.
        history: of the editor.
    """

    def __init__(
        self,
        scene: Any,
        grid: Grid,
        axis: int,
        schema: LabelSchema,
        case: str,
        view_nodes: Collection[Any],
        *,
        history: History,
    ) -> None:
        self._grid, self._axis, self._history = grid, axis, history
        self._values = {one.name: one.value for one in schema.classes}
        classes = [(one.value, one.name, one.colour) for one in schema.classes]
        self.node, _ = add_segmentation(scene, grid, "label", classes, case)
        self._add_mask_segment()
        show_label(self.node, view_nodes)
        self.slice: int | None = None
        self._shown = self.stack()

    @property
    def mask(self) -> np.ndarray:
        """A copy of what is drawn on the open slice, uint8 (rows, columns)."""
        return self.stack()[self._open()].copy()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return self.slice is not None and self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return self.slice is not None and self._history.can_redo

    def stack(self) -> np.ndarray:
        """All that is drawn, uint8 (slices, rows, columns) of the schema's values, whatever geometry the editor gave
        to its label maps. Where two segments overlap, the later class of the schema counts."""
        array = np.zeros(self._grid.shape, dtype=np.uint8)
        for name, value in self._values.items():
            segment = self.node.GetSegmentation().GetSegment(name)
            if segment is not None:
                self._lay(segment, value, array)
        return np.moveaxis(array, self._axis, 0)

    def take_elsewhere(self) -> dict[int, np.ndarray]:
        """Slices other than the open one that the editor changed since they were shown or taken: number to mask. From
        now on they count as shown."""
        now = self.stack()
        changed = np.flatnonzero((now != self._shown).any(axis=(1, 2)))
        self._shown = now
        return {int(number): now[number].copy() for number in changed if number != self.slice}

    def restrain(self) -> bool:
        """Put every slice but the open one back as it was shown; call it after whatever the editor did, unless the
        reader edits other slices on purpose. Returns whether anything had to be put back."""
        now = self.stack()
        kept = self._shown.copy()
        if self.slice is not None:
            kept[self.slice] = now[self.slice]
        strayed = not np.array_equal(now, kept)
        if strayed:
            self._write(kept)
        self._move_mask_segment(self.slice)
        return strayed

    def show_answers(self, masks: Mapping[int, np.ndarray | None]) -> None:
        """Show what was said of other slices: slice number -> mask or None. The open slice is left as it is."""
        now = self.stack()
        for number in range(len(now)):
            if number != self.slice:
                mask = masks.get(number)
                now[number] = 0 if mask is None else mask
        self._write(now)

    def open_slice(self, number: int, mask: np.ndarray | None) -> None:
        """Begin to draw on a slice, from ``mask`` or from nothing; earlier steps can no longer be undone."""
        self.slice = number
        now = self.stack()
        now[number] = 0 if mask is None else mask
        self._write(now)
        self._move_mask_segment(number)
        self._history.clear()

    def close_slice(self) -> None:
        """Draw no more; what is there stays shown."""
        self.slice = None
        self._move_mask_segment(None)
        self._history.clear()

    def replace(self, mask: np.ndarray) -> bool:
        """Put ``mask`` in the place of what is drawn, as one undo step; returns whether that changes anything."""
        now, number = self.stack(), self._open()
        if np.array_equal(now[number], mask):
            return False
        self._history.save_state()
        now[number] = mask
        self._write(now)
        return True

    def undo(self) -> bool:
        """Take the last step back; returns whether there was one."""
        if not self.can_undo:
            return False
        self._history.undo()
        return True

    def redo(self) -> bool:
        """Do the step again that was taken back; returns whether there was one."""
        if not self.can_redo:
            return False
        self._history.redo()
        return True

    def limit(self, editor_node: Any, *, to_slice: bool = True) -> None:
        """Limit a vtkMRMLSegmentEditorNode to the open slice, or free it.

        Painting takes voxels from visible segments only: so classes exclude each other, and the helper segment, which
        is hidden, stays whole.
        """
        import slicer

        node = slicer.vtkMRMLSegmentationNode
        editor_node.SetMaskSegmentID(MASK_SEGMENT)
        editor_node.SetMaskMode(node.EditAllowedInsideSingleSegment if to_slice else node.EditAllowedEverywhere)
        editor_node.SetOverwriteMode(editor_node.OverwriteVisibleSegments)

    def _open(self) -> int:
        if self.slice is None:
            raise WrongUse("No slice is open for drawing.")
        return self.slice

    def _lay(self, segment: Any, value: int, array: np.ndarray) -> None:
        """Write a segment's voxels into an array (k, j, i) of the pair's grid."""
        from vtk.util.numpy_support import vtk_to_numpy

        image = self._on_grid(segment.GetRepresentation(LABELMAP))
        low, high = np.array(image.GetExtent()).reshape(3, 2).T
        if image.GetPointData().GetScalars() is None or (high < low).any():
            return
        voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape((high - low + 1)[::-1])
        start, end = np.maximum(low, 0), np.minimum(high + 1, self._grid.size)
        if (end <= start).any():
            return
        there = tuple(slice(a, b) for a, b in zip(start[::-1], end[::-1], strict=True))
        inside = tuple(slice(a, b) for a, b in zip((start - low)[::-1], (end - low)[::-1], strict=True))
        array[there][voxels[inside] == segment.GetLabelValue()] = value

    def _on_grid(self, image: Any) -> Any:
        """A label map on the pair's lattice: itself where it lies there, else moved by whole voxels or resampled."""
        import slicer
        import vtk

        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        own = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        way = np.linalg.inv(ijk_to_ras(self._grid)) @ own
        reach = max(self._grid.size)
        if np.allclose(way[:3, :3], np.eye(3), atol=SAME_PLACE / reach):
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
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, self._blank(), moved)
        return moved

    def _blank(self, extent: Collection[int] | None = None) -> Any:
        """An empty label map on the pair's lattice, whole or of an extent (i, j, k; low and high)."""
        import slicer
        import vtk

        image = slicer.vtkOrientedImageData()
        i, j, k = self._grid.size
        image.SetExtent(*(extent if extent is not None else (0, i - 1, 0, j - 1, 0, k - 1)))
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        image.GetPointData().GetScalars().Fill(0)
        image.SetImageToWorldMatrix(matrix_of(ijk_to_ras(self._grid)))
        return image

    def _write(self, stack: np.ndarray) -> None:
        """Give all classes one new label map with what a stack (slices, rows, columns) says."""
        from vtk.util.numpy_support import vtk_to_numpy

        image = self._blank()
        array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(self._grid.shape)
        array[...] = np.moveaxis(stack, 0, self._axis)
        changing = self.node.StartModify()
        for name, value in self._values.items():
            segment = self.node.GetSegmentation().GetSegment(name)
            if segment is not None:
                segment.SetLabelValue(value)
                segment.AddRepresentation(LABELMAP, image)
        self.node.EndModify(changing)
        self._shown = stack.copy()

    def _add_mask_segment(self) -> None:
        import slicer

        segment = slicer.vtkSegment()
        segment.SetName(MASK_SEGMENT)
        segment.SetLabelValue(1)
        segment.AddRepresentation(LABELMAP, self._blank((0, -1, 0, -1, 0, -1)))
        self.node.GetSegmentation().AddSegment(segment, MASK_SEGMENT)
        self.node.GetDisplayNode().SetSegmentVisibility(MASK_SEGMENT, False)

    def _move_mask_segment(self, number: int | None) -> None:
        """Let the helper segment be one slice, or nothing."""
        extent = [0, -1, 0, -1, 0, -1]
        if number is not None:
            extent = [end for size in self._grid.size for end in (0, size - 1)]
            index = 2 * (2 - self._axis)
            extent[index : index + 2] = [number, number]
        image = self._blank(extent)
        if number is not None:
            image.GetPointData().GetScalars().Fill(1)
        segment = self.node.GetSegmentation().GetSegment(MASK_SEGMENT)
        if segment.GetLabelValue() == 1 and _same_voxels(segment.GetRepresentation(LABELMAP), image):
            return
        segment.SetLabelValue(1)
        segment.AddRepresentation(LABELMAP, image)


def _same_voxels(one: Any, other: Any) -> bool:
    """Whether two label maps of one lattice have the same extent and the same voxels."""
    from vtk.util.numpy_support import vtk_to_numpy

    if one.GetExtent() != other.GetExtent():
        return False
    scalars = [image.GetPointData().GetScalars() for image in (one, other)]
    return None not in scalars and np.array_equal(*(vtk_to_numpy(values) for values in scalars))
