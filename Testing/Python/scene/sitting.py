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
from LMIALLib.scene.desk import Desk
from LMIALLib.scene.editing import EditorDesk
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


class LooksFirst(Desk):
    """A reader who looks at what is on the screen for a second before they answer."""

    def answer(self, what: str, *, sure: bool = False) -> None:
        """Look, then say it."""
        if self.sight.place is not None:
            self.looked(self.sight.place.number, 1.0)
        super().answer(what, sure=sure)


class Sitting(LooksFirst, EditorDesk):
    """A desk that keeps the editor at hand that draws on it."""

    editor: Editor

    @classmethod
    def at(cls, place: Place, folder: Path) -> Sitting:
        """Sit down in front of a study, in a scene."""
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        editor = Editor(place)
        desk = cls(place.scene, views, opening, editor_node=editor.node, history=editor)
        desk.editor = editor
        desk.start()
        return desk

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
