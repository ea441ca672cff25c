"""A MRML scene as desktop Slicer and the browser face have one, on slicer-core alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Place:
    """A scene with what makes nodes of ours work, and three slice nodes of one group."""

    scene: Any
    views: list[Any]
    kept: list[Any]

    @property
    def tree(self) -> Any:
        """The subject hierarchy."""
        import slicer

        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)


def new_place() -> Place:
    """A scene of its own, with what Slicer registers for it."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is missing: pip install 'lmial[browser]'")
    import vtk

    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    kept = [application]
    for name, make in (
        ("Colors", slicer.vtkMRMLColorLogic),
        ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic),
        ("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic),
    ):
        logic = make()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        kept.append(logic)
    kept[1].AddDefaultColorNodes()
    views = []
    for name in ("baseline", "follow_up", "difference"):
        node = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetOrientationToAxial()
        node.SetDimensions(400, 500, 1)
        views.append(node)
    return Place(scene, views, kept)
