"""A desk whose reader draws with Slicer's own Segment Editor, and scrolls and zooms with Slicer's own views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from LMIALLib.loop.session import Session
from LMIALLib.scene.case_scene import nodes_of
from LMIALLib.scene.desk import Desk
from LMIALLib.scene.edited import EditedDrawing, History
from LMIALLib.scene.looking import View


class EditorDesk(Desk):
    """The desk of a face that has Slicer's Segment Editor.

    Args:
        editor_node: the editor's vtkMRMLSegmentEditorNode, ours alone.
        history: its undo history.

    The others are those of `Desk`. Call `drawn` after the segmentation changed, `view_moved` after a reader scrolled or
    zoomed one of the views, `saved_by_slicer` after Slicer wrote a node to a file.
    """

    def __init__(
        self,
        scene: Any,
        views: Mapping[str, View],
        opening: Callable[[bool], Session],
        *,
        editor_node: Any,
        history: History,
    ) -> None:
        super().__init__(scene, views, opening, make_drawing=partial(EditedDrawing, history=history))
        self.editor_node = editor_node
        self.others = False
        self._moving = False

    @property
    def _edited(self) -> EditedDrawing:
        drawing = self._case().drawing
        assert isinstance(drawing, EditedDrawing)
        return drawing

    def _open_case(self, case: str) -> None:
        super()._open_case(case)
        self.editor_node.SetAndObserveSegmentationNode(self._edited.node)
        self._edited.limit(self.editor_node, to_slice=not self.others)

    def drawn(self, *, keep: bool = True) -> None:
        """Take in what the editor did: the open slice becomes a draft; other slices too where `edit_others` is on, else
        they are put back. Without ``keep`` the open slice becomes no draft: it is about to be answered."""
        if self.open is None or self.watching:
            return
        if self.others and self.session.current is not None:
            self._edited.take_elsewhere(self._keep)
        else:
            self._edited.restrain()
        if keep:
            self._keep_draft()

    def _registered(self, case: str, report: dict[str, Any], what: str = "register") -> None:
        self.drawn()  # a stroke that is not taken in yet would go with the nodes
        super()._registered(case, report, what)

    def undo(self) -> None:
        """Take the last step back, also where it was drawn on other slices."""
        super().undo()
        self.drawn()

    def redo(self) -> None:
        """Do it again."""
        super().redo()
        self.drawn()

    def edit_others(self, on: bool) -> None:
        """Let the editor draw on every slice, as drafts, or on the open slice only."""
        self.drawn()
        self.others = on
        if self.open is not None:
            self._edited.limit(self.editor_node, to_slice=not on)

    def view_moved(self, view: str) -> None:
        """A reader scrolled, moved or zoomed a view: the other views follow."""
        if self.open is None or self._moving:
            return
        self._moving = True
        try:
            if self.open.navigation.adopt(self.views[view].node):
                self._framed = False
                self._note_place()
                self.open.navigation.apply([one.node for name, one in self.views.items() if name != view])
        finally:
            self._moving = False

    def redraw(self) -> None:
        """Give every view its volumes and its place."""
        self._moving, before = True, self._moving
        try:
            super().redraw()
        finally:
            self._moving = before

    def saved_by_slicer(self, node_id: str, file: str) -> None:
        """Slicer wrote a node to a file: where that is our label and something is drawn, the slice at hand is saved.

        An export goes by way of a copy in a scene of its own, whose id may be that of our label here: so the label must
        have been written to this very file.
        """
        if self.open is None or self.session.current is None or self.watching:
            return
        label = self._edited.label
        storage = label.GetStorageNode()
        if node_id != label.GetID() or storage is None:
            return
        written = {Path(storage.GetFileName() or ""), Path(storage.GetFullNameFromFileName())}
        if Path(file) in written and self._edited.mask.any():
            self.guarded(lambda: self.answer("save"))

    def scene_loaded(self) -> bool:
        """A scene was loaded into ours: where it brought nodes of the case at hand, that case is put in anew, from the
        study. Returns whether it was."""
        if self.open is None:
            return False
        case, here, edited = self.open.case, self.session.current, self._edited
        own = (edited.node, edited.label, self.open.overlays.suggestion)
        labels = [node for node in nodes_of(self.scene, case) if node.IsA("vtkMRMLSegmentationNode")]
        if all(node in own for node in labels):
            return False
        self.drawn()
        self._put_away()
        if here is not None:
            self._present()
        else:
            self.look_at(case)
        return True
