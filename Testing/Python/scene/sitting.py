"""A reader in front of a study, with the logic behind Slicer's own Segment Editor, on slicer-core alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.loop.presented import Presented
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.segment_editor import SegmentEditor
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.store import Study

if TYPE_CHECKING:
    from Testing.Python.scene.mrml_scene import Place


class Editor:
    """The logic behind Slicer's Segment Editor, with the source volume that it needs."""

    def __init__(self, place: Place) -> None:
        import slicer

        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLApplicationLogic(place.kept[0])
        self.logic.SetMRMLScene(place.scene)
        self.node = place.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetSaveWithScene(False)
        self.logic.SetSegmentEditorNode(self.node)

    can_undo = property(lambda self: bool(self.logic.CanUndo()))
    can_redo = property(lambda self: bool(self.logic.CanRedo()))

    def save_state(self) -> None:
        self.logic.SaveStateForUndo()

    def undo(self) -> None:
        self.logic.Undo()

    def redo(self) -> None:
        self.logic.Redo()

    def clear(self) -> None:
        self.logic.ClearUndoState()

    def edit(self, segmentation: Any, source: Any) -> None:
        """Edit a segmentation; ``source`` is the volume that the editor looks at."""
        self.node.SetAndObserveSegmentationNode(segmentation)
        self.node.SetAndObserveSourceVolumeNode(source)

    def modify(self, segmentation: Any, name: str, mode: str, array: np.ndarray, *, remember: bool = True) -> None:
        """What an effect does: one undo step, then a volume of voxels (k, j, i) added, removed or set."""
        from vtk.util.numpy_support import vtk_to_numpy

        self.node.SetSelectedSegmentID(name)
        self.logic.UpdateReferenceGeometryImage()
        self.logic.ResetModifierLabelmapToDefault()
        modifier = self.logic.GetModifierLabelmap()
        vtk_to_numpy(modifier.GetPointData().GetScalars()).reshape(array.shape)[...] = array
        modifier.Modified()
        if remember:
            self.logic.SaveStateForUndo()
        self.logic.UpdateMaskLabelmap()
        how = getattr(self.logic, f"ModificationMode{mode}")
        self.logic.ModifySegmentByLabelmap(segmentation, name, modifier, how, False, False)


class PlainView:
    """A view that only has its node."""

    size = (400, 500)

    def __init__(self, node: Any) -> None:
        self.node = node

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Nothing to draw on."""

    def refresh(self) -> None:
        """Nothing to draw on."""


def look_first(workspace: Workspace) -> None:
    """Let the reader look at what is on the screen for a second before each answer."""
    answer, sight = workspace.answering.answer, workspace.viewing.sight

    def looked(what: str, *, sure: bool = False) -> None:
        if sight.place is not None:
            sight.looked(sight.place.number, 1.0)
        answer(what, sure=sure)

    workspace.answering.answer = looked  # type: ignore[method-assign]


class Sitting(Workspace):
    """A workspace of a reader who looks first, with the editor at hand that draws in it."""

    editor: Editor
    maker: SegmentEditor

    @classmethod
    def at(cls, place: Place, folder: Path) -> Sitting:
        """Sit down in front of a study, in a scene."""
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        editor, screen = Editor(place), Screen(place.scene, views, opening)
        workspace = cls(screen, SegmentEditor(screen, editor_node=editor.node, history=editor))
        workspace.editor = editor
        look_first(workspace)
        workspace.start()
        return workspace

    @property
    def at_hand(self) -> tuple[Presented, CaseScene]:
        """The slice at hand and its case."""
        assert self.session.current is not None and self.open is not None
        return self.session.current, self.open

    def paint(self, slices: slice | Iterable[int] = slice(None), mode: str = "Add") -> None:
        """Some voxels of the slices that the editor is told to paint, without knowing of any other limit."""
        _, opened = self.at_hand
        self.editor.node.SetAndObserveSourceVolumeNode(opened.images.difference)
        pair = opened.images.pair
        array = np.zeros(pair.grid.shape, dtype=np.uint8)
        np.moveaxis(array, pair.axis, 0)[slices, 20:26, 20:30] = 1
        self.editor.modify(opened.drawing.node, self.session.study.label_schema.classes[0].name, mode, array)


def nodes_in(scene: Any) -> list[Any]:
    """Every node of a scene."""
    return [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]


def names_below(tree: Any, item: int, *, deep: bool = False) -> list[str]:
    """Names of the items below one of the subject hierarchy; ``deep``: and below those."""
    import vtk

    children = vtk.vtkIdList()
    tree.GetItemChildren(item, children, deep)
    return sorted(tree.GetItemName(children.GetId(k)) for k in range(children.GetNumberOfIds()))
