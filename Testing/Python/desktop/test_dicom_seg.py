"""DICOM SEG of a case: what Slicer's own plugin is handed. It alone is a stand-in, up to where it calls dcmqi."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from LMIALLib.desktop.dicom_seg import export_dicom
from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.volumes import OURS, add_volume
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Sitting, names_below, nodes_in

UIDS = "1.2.3.1 1.2.3.2"


@dataclass
class Plugin:
    """DICOMSegmentationPlugin of Slicer 5.12 (Modules/Scripted/DICOMPlugins) on a scene, without its DICOM database."""

    scene: Any
    known: bool = True
    problem: str = ""
    files: dict[str, np.ndarray] = field(default_factory=dict)
    matrices: dict[str, np.ndarray] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def examineForExport(self, item: int) -> list[Any]:  # noqa: N802 - Slicer's name
        """_examineExportableForSegmentationNode"""
        import slicer

        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        assert tree.GetItemDataNode(item).IsA("vtkMRMLSegmentationNode")
        uids = tree.GetItemAttribute(item, "DICOM.ReferencedInstanceUIDs").split()
        assert uids == UIDS.split()
        self.seen["beside"] = names_below(tree, tree.GetItemParent(item))
        return [SimpleNamespace(subjectHierarchyItemID=item)] if self.known else []

    def export(self, exportables: list[Any]) -> str:
        """DICOMSegmentationExporter: a label map of each segment that is not empty, on the referenced volume's grid."""
        import slicer
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy

        if self.problem:
            return self.problem
        (one,) = exportables
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        node = tree.GetItemDataNode(one.subjectHierarchyItemID)
        self.seen["folder"] = one.directory
        self.seen["reference"] = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        for name in node.GetSegmentation().GetSegmentIDs():
            stored = node.GetSegmentation().GetSegment(name).GetRepresentation("Binary labelmap")
            scalars = stored.GetPointData().GetArray("ImageScalars")
            assert scalars is not None and scalars.GetValueRange() != (0, 0), "the plugin would ask what to do"
            wanted = vtk.vtkStringArray()
            wanted.InsertNextValue(name)
            merged, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
            assert node.GenerateMergedLabelmapForAllSegments(merged, 0, None, wanted)
            merged.GetImageToWorldMatrix(matrix)
            self.matrices[name] = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
            size = merged.GetDimensions()
            self.files[name] = vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(size[::-1]) > 0
        return ""


@pytest.fixture
def plugin(place: Place, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    import slicer

    made = Plugin(place.scene)
    monkeypatch.setattr(slicer, "mrmlScene", place.scene, raising=False)
    module = SimpleNamespace(DICOMSegmentationPluginClass=lambda: made)
    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", module)  # type: ignore[arg-type]
    return made


@pytest.fixture
def sitting(study_folder: Path, workspace_at: Callable[[Path], Sitting]) -> Sitting:
    """Of four slices something was said, a fifth is a draft."""
    workspace = workspace_at(study_folder)
    for number, classes in ((8, (1, 3)), (9, (3,)), (12, (5,))):
        workspace.presenting.choose(number, "head")
        mask = np.zeros_like(workspace.at_hand[1].drawing.mask)
        for place_, value in enumerate(classes):
            mask[20 + 8 * place_ : 25 + 8 * place_, 30:36] = value
        workspace.at_hand[1].drawing.replace(mask)
        workspace.maker.take_in()
        workspace.answering.answer("save")
    workspace.presenting.choose(10, "head")
    workspace.answering.answer("nothing_here")
    workspace.presenting.choose(11, "head")
    workspace.paint()
    workspace.maker.take_in()
    workspace.answering.answer("equivocal")
    workspace.presenting.choose(14, "head")
    workspace.paint()
    workspace.maker.take_in()
    return workspace


def follow_up(at: Place, grid: Grid) -> Any:
    """The follow-up as Slicer loads it from its DICOM database, in the visit of its patient."""
    node = add_volume(at.scene, np.zeros(grid.shape, np.float32), grid, "FLAIR", "")
    node.RemoveAttribute(OURS)
    node.SetAttribute("DICOM.instanceUIDs", UIDS)
    patient = at.tree.CreateSubjectItem(at.tree.GetSceneItemID(), "patient")
    at.tree.CreateItem(at.tree.CreateStudyItem(patient, "visit"), node)
    return node


def test_one_segment_a_class_on_the_follow_ups_grid_of_answered_slices_alone(
    sitting: Sitting,
    plugin: Plugin,
    place: Place,
    tmp_path: Path,
) -> None:
    _, opened = sitting.at_hand
    pair, study = opened.images.pair, sitting.session.study
    reference = follow_up(place, pair.grid)
    before = [node.GetID() for node in nodes_in(place.scene)]
    export_dicom(study, opened, reference, tmp_path)
    named = {one.value: one.name for one in study.label_schema.classes}
    assert list(plugin.files) == [named[1], named[3], named[5]], "classes that occur, in the schema's order"
    said = {number: one.mask for number, one in study.answers.current("head").items() if one.answer == "mask"}
    assert sorted(said) == [8, 9, 12]
    for value in (1, 3, 5):
        wanted = np.zeros(pair.grid.shape, dtype=bool)
        for number, mask in said.items():
            pair.stack(wanted)[number] = mask == value
        assert np.array_equal(plugin.files[named[value]], wanted)
        assert np.allclose(plugin.matrices[named[value]], ijk_to_ras(pair.grid), atol=1e-4)
    assert plugin.seen == {"beside": ["FLAIR", "head change"], "folder": str(tmp_path), "reference": reference}
    assert [node.GetID() for node in nodes_in(place.scene)] == before, "what was made for the export is gone"


def test_the_label_is_brought_onto_the_grid_of_the_chosen_volume(
    sitting: Sitting,
    plugin: Plugin,
    place: Place,
    tmp_path: Path,
) -> None:
    """The pair may lie on another grid than the follow-up in the database: here one with a margin of four voxels."""
    _, opened = sitting.at_hand
    grid = opened.images.pair.grid
    corner = grid.index_to_point() @ [-4, -4, -4, 1]
    wider = Grid(tuple(n + 8 for n in grid.size), grid.spacing, tuple(corner[:3]), grid.direction)  # type: ignore[arg-type]
    export_dicom(sitting.session.study, opened, follow_up(place, wider), tmp_path)
    for array in plugin.files.values():
        assert array.shape == wider.shape and array[4:-4, 4:-4, 4:-4].sum() == array.sum() > 0


def test_what_cannot_be_exported_is_told_and_leaves_nothing(
    sitting: Sitting,
    plugin: Plugin,
    place: Place,
    tmp_path: Path,
) -> None:
    _, opened = sitting.at_hand
    study, grid = sitting.session.study, opened.images.pair.grid
    with pytest.raises(BadInput, match="loaded from DICOM"):
        export_dicom(study, opened, None, tmp_path)
    with pytest.raises(BadInput, match="loaded from DICOM"):
        export_dicom(study, opened, opened.images.difference, tmp_path)
    far = Grid(grid.size, grid.spacing, tuple(np.array(grid.origin) + 500.0), grid.direction)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="outside of the chosen volume"):
        export_dicom(study, opened, follow_up(place, far), tmp_path)
    reference = follow_up(place, grid)
    before = [node.GetID() for node in nodes_in(place.scene)]
    plugin.known = False
    with pytest.raises(BadInput, match="not in Slicer's DICOM database"):
        export_dicom(study, opened, reference, tmp_path)
    plugin.known, plugin.problem = True, "Segmentation object export failed.\nno space left"
    with pytest.raises(LMIALError, match="no space left"):
        export_dicom(study, opened, reference, tmp_path)
    assert [node.GetID() for node in nodes_in(place.scene)] == before and not plugin.files


def test_a_case_without_any_change_drawn_is_not_exported(
    study_folder: Path,
    workspace_at: Callable[[Path], Sitting],
    plugin: Plugin,
    place: Place,
    tmp_path: Path,
) -> None:
    workspace = workspace_at(study_folder)
    workspace.answering.answer("nothing_here")
    _, opened = workspace.at_hand
    with pytest.raises(BadInput, match="No change is drawn"):
        export_dicom(workspace.session.study, opened, follow_up(place, opened.images.pair.grid), tmp_path)
