"""Slicer's own Segment Editor as the one who draws the label, on a node of ours alone."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.drafts import keep_draft, keep_mask
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.segment_editor_label import History, SegmentEditorLabel
from LMIALLib.study.labels import LabelSchema


class SegmentEditor:
    """Draws the label where a face has Slicer's Segment Editor; a `label.LabelMaker`.

    Call `take_in` after the segmentation changed.

    Args:
        screen: what is on the screen.
        editor_node: the editor's vtkMRMLSegmentEditorNode, ours alone.
        history: its undo history.
    """

    def __init__(self, screen: Screen, *, editor_node: Any, history: History) -> None:
        self._screen, self._history = screen, history
        self.editor_node = editor_node
        self.others = False  # the reader edits other slices as well, on purpose

    def new_label(
        self, scene: Any, grid: Grid, axis: int, schema: LabelSchema, case: str, view_nodes: Collection[Any]
    ) -> SegmentEditorLabel:
        """Put the empty label of a case into a scene, see `brush_label.BrushLabel`."""
        return SegmentEditorLabel(scene, grid, axis, schema, case, view_nodes, history=self._history)

    def case_opened(self) -> None:
        """Let the editor draw on the label of the case on the screen."""
        self.editor_node.SetAndObserveSegmentationNode(self._edited.node)
        self._edited.limit(self.editor_node, to_slice=not self.others)

    def take_in(self, *, keep: bool = True) -> None:
        """Take in what the editor did: the open slice becomes a draft; other slices too where `edit_others` is on, else
        they are put back. Without ``keep`` the open slice becomes no draft: it is about to be answered."""
        screen = self._screen
        if screen.open is None or screen.watching:
            return
        if self.others and screen.session.current is not None:
            self._edited.take_elsewhere(partial(keep_mask, screen))
        else:
            self._edited.restrain()
        if keep:
            keep_draft(screen)

    def edit_others(self, on: bool) -> None:
        """Let the editor draw on every slice, as drafts, or on the open slice only."""
        self.take_in()
        self.others = on
        if self._screen.open is not None:
            self._edited.limit(self.editor_node, to_slice=not on)

    @property
    def _edited(self) -> SegmentEditorLabel:
        drawing = self._screen.opened().drawing
        assert isinstance(drawing, SegmentEditorLabel)
        return drawing
