"""A MRML scene as desktop Slicer and the browser face have one, on slicer-core alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.store import Study

if TYPE_CHECKING:
    from Testing.Python.scene.sitting import Sitting


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


@pytest.fixture
def place() -> Iterator[Place]:
    made = new_place()
    yield made
    made.scene.Clear(1)


@pytest.fixture
def elsewhere() -> Iterator[Place]:
    """Another scene, as of a Slicer that was just started."""
    made = new_place()
    yield made
    made.scene.Clear(1)


@pytest.fixture
def desk_at(place: Place) -> Iterator[Callable[[Path], Sitting]]:
    """Sit down in front of a study; the desk is left at the end."""
    from Testing.Python.scene.sitting import Sitting

    desks: list[Sitting] = []

    def make(folder: Path) -> Sitting:
        desks.append(Sitting.at(place, folder))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def oblique() -> Grid:
    """A grid that is turned in space, with a different spacing along each axis."""
    about_x, about_z = np.deg2rad(20.0), np.deg2rad(-11.0)
    turn_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    turn_z = np.array([[np.cos(about_z), -np.sin(about_z), 0], [np.sin(about_z), np.cos(about_z), 0], [0, 0, 1]])
    direction = turn_x @ turn_z
    return Grid((24, 30, 12), (0.9, 1.1, 3.0), (-31.0, 12.5, 7.0), tuple(float(v) for v in direction.ravel()))


@pytest.fixture
def opened_study(prepared_study: Path) -> Iterator[Study]:
    """The prepared study, to look at."""
    with Study.open(prepared_study, read_only=True) as study:
        yield study
