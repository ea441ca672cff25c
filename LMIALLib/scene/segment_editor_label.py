"""The reader's label where Slicer's own Segment Editor draws: one slice can be changed, whatever the editor does.

The editor acts on volumes, keeps its label maps in geometries of its own and lets undo reach back as far as it likes.
Here the label is read and written through the pair's grid, a helper segment limits the editor to the open slice, and
opening another slice forgets what could be undone. The helper alone is not enough: inside a single segment Slicer 5.12
lets Erase remove the selected segment outside of it (vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap), and erasing
all segments erases the helper. So `restrain` puts back whatever was changed elsewhere.

The helper must lie in the very segmentation that is edited, and Slicer writes and exports segmentations whole. So the
editor has a segmentation of its own, in no tree and no file, and what is drawn there is copied to the label: what a
reader finds in Slicer, saves and exports is the label.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.labelmaps import read_labels, write_labels
from LMIALLib.scene.segments import LABELMAP, add_segmentation, blank, show_label
from LMIALLib.study.labels import LabelSchema

MASK_SEGMENT = "LMIAL edit mask"
"""Id of the helper segment: the open slice, never shown, no part of any answer."""


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


class SegmentEditorLabel:
    """The label of a case, drawn on by Slicer's Segment Editor; members as in `brush_label.BrushLabel`.

    ``node`` is the segmentation that the editor draws on and that is shown, ``label`` the one that Slicer saves.

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
        self.node, _ = add_segmentation(scene, grid, "label in the editor", classes, case, inner=True)
        self._add_mask_segment()
        show_label(self.node, view_nodes)
        self.label, _ = add_segmentation(scene, grid, "label", classes, case)
        self.label.GetDisplayNode().SetVisibility(False)  # it would be drawn twice
        self.slice: int | None = None
        self._shown = self.stack()
        self._labelled = self._shown.copy()

    @property
    def mask(self) -> np.ndarray:
        """A copy of what is drawn on the open slice, uint8 (rows, columns)."""
        return self.stack()[self._open()].copy()

    def mask_of(self, number: int) -> np.ndarray:
        """A copy of what is shown on any slice, uint8 (rows, columns)."""
        return self.stack()[number].copy()

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
        to its label maps. Where two segments overlap, the later class of the schema counts. A segment that an effect
        made belongs to the class that it was split from, else to the first."""
        return self._read(self.node)

    def take_elsewhere(self, keep: Callable[[int, np.ndarray], None] = lambda *_: None) -> dict[int, np.ndarray]:
        """Slices other than the open one that the editor changed since they were shown or taken: number to mask.

        Each is handed to ``keep`` and counts as shown once that went well; where it raises, the rest waits to be taken.
        """
        now = self._drawn()
        self._copy_to_label(now)
        taken = {}
        for number in map(int, np.flatnonzero((now != self._shown).any(axis=(1, 2)))):
            if number != self.slice:
                taken[number] = now[number].copy()
                keep(number, taken[number])
            self._shown[number] = now[number]
        return taken

    def restrain(self) -> bool:
        """Put every slice but the open one back as it was shown; call it after whatever the editor did, unless the
        reader edits other slices on purpose. Returns whether anything had to be put back."""
        now = self._drawn()
        kept = self._shown.copy()
        if self.slice is not None:
            kept[self.slice] = now[self.slice]
        strayed = not np.array_equal(now, kept)
        if strayed:
            self._write(kept)
        self._copy_to_label(kept)
        self._move_mask_segment(self.slice)
        return strayed

    def show_answers(self, masks: Mapping[int, np.ndarray | None]) -> None:
        """Show the answers of other slices: slice number -> mask or None. The open slice is left as it is."""
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
        self._put(self.node, now)
        shown, labelled = self._shown.copy(), self._labelled.copy()  # what strayed elsewhere is not shown by this
        shown[number] = labelled[number] = mask
        self._shown = shown
        self._copy_to_label(labelled)
        return True

    def undo(self) -> bool:
        """Take the last step back, wherever it was drawn; returns whether there was one."""
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

    def _read(self, node: Any) -> np.ndarray:
        values = self._values | self._made_by_effects(node)
        return np.moveaxis(read_labels(node, values, self._grid), self._axis, 0)

    def _made_by_effects(self, node: Any) -> dict[str, int]:
        """Id and value of each segment that is no class: Islands splits a class into NAME, NAME_2 and so on."""
        segmentation = node.GetSegmentation()
        others = set(segmentation.GetSegmentIDs()) - set(self._values) - {MASK_SEGMENT}
        first = next(iter(self._values.values()))
        names = {one: str(segmentation.GetSegment(one).GetName()) for one in others}
        return {one: self._values.get(name.rpartition("_")[0], first) for one, name in names.items()}

    def _drawn(self) -> np.ndarray:
        """All that is drawn, in segments of the schema from now on; on top of it what was drawn on the label itself, by
        another module of Slicer's."""
        now, label = self.stack(), self._read(self.label)
        there = label != self._labelled
        if there.any():
            self._history.save_state()
            now[there] = label[there]
        if there.any() or self._made_by_effects(self.node):
            self._put(self.node, now)
        self._labelled = label
        return now

    def _write(self, stack: np.ndarray) -> None:
        """Show a stack (slices, rows, columns), and count it as shown."""
        self._put(self.node, stack)
        self._shown = stack.copy()
        self._copy_to_label(stack)

    def _copy_to_label(self, stack: np.ndarray) -> None:
        if not np.array_equal(stack, self._labelled):
            self._put(self.label, stack)
            self._labelled = stack.copy()

    def _put(self, node: Any, stack: np.ndarray) -> None:
        for segment in self._made_by_effects(node):
            node.GetSegmentation().RemoveSegment(segment)
        write_labels(node, self._values, self._grid, np.moveaxis(stack, 0, self._axis))

    def _add_mask_segment(self) -> None:
        import slicer

        segment = slicer.vtkSegment()
        segment.SetName(MASK_SEGMENT)
        segment.SetLabelValue(1)
        segment.AddRepresentation(LABELMAP, blank(self._grid, (0, -1, 0, -1, 0, -1)))
        self.node.GetSegmentation().AddSegment(segment, MASK_SEGMENT)
        self.node.GetDisplayNode().SetSegmentVisibility(MASK_SEGMENT, False)

    def _move_mask_segment(self, number: int | None) -> None:
        """Let the helper segment be one slice, or nothing."""
        extent = [0, -1, 0, -1, 0, -1]
        if number is not None:
            extent = [end for size in self._grid.size for end in (0, size - 1)]
            index = 2 * (2 - self._axis)
            extent[index : index + 2] = [number, number]
        image = blank(self._grid, extent)
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
