"""The label of a case as DICOM SEG: Slicer's own plugin writes it, for the follow-up as it was loaded from DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.segments import LABELMAP, blank

if TYPE_CHECKING:
    from LMIALLib.study.store import Study


def export_dicom(study: Study, opened: CaseScene, reference: Any, folder: Path) -> None:
    """Write the answers of a case; drafts are left out.

    Args:
        reference: vtkMRMLScalarVolumeNode of the follow-up, loaded from the DICOM database.

    Raises BadInput where the reference does not fit, LMIALError where the plugin could not write.
    """
    import DICOMSegmentationPlugin
    import slicer
    from slicer.i18n import tr as _

    uids = reference.GetAttribute("DICOM.instanceUIDs") if reference is not None else None
    if not uids:
        raise BadInput(
            _("DICOM SEG needs the follow-up as it was loaded from DICOM."), _("Choose it beside the button.")
        )
    answered = _answered(study, opened)
    if not answered.any():
        raise BadInput(_("No change is drawn in this case, and DICOM SEG cannot be empty."))
    if not _covers(reference, answered, opened.images.pair.grid):
        raise BadInput(
            _("What is drawn lies outside of the chosen volume."), _("Choose the follow-up of this very case.")
        )
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = _segmentation(study, opened, answered, reference)
    try:
        study_item = tree.GetItemParent(tree.GetItemByDataNode(reference))
        item = tree.GetItemByDataNode(node) or tree.CreateItem(study_item, node)
        tree.SetItemParent(item, study_item)
        tree.SetItemAttribute(item, "DICOM.ReferencedInstanceUIDs", uids)
        plugin = DICOMSegmentationPlugin.DICOMSegmentationPluginClass()
        exportables = plugin.examineForExport(item)
        if not exportables:
            raise BadInput(_("Images of this follow-up are not in Slicer's DICOM database any more."))
        for one in exportables:
            one.directory = str(folder)
        problem = plugin.export(exportables)
        if problem:
            raise LMIALError(_("DICOM SEG was not written: {why}").format(why=problem.splitlines()[-1]))
    finally:
        slicer.mrmlScene.RemoveNode(node)


def _answered(study: Study, opened: CaseScene) -> np.ndarray:
    """Values of the schema on the pair's grid (k, j, i), from the answers alone."""
    pair = opened.images.pair
    array = np.zeros(pair.grid.shape, dtype=np.uint8)
    stack = np.moveaxis(array, pair.axis, 0)
    for number, answer in study.answers.current(opened.case).items():
        if answer.answer == "mask" and answer.mask is not None:
            stack[number] = answer.mask
    return array


def _covers(reference: Any, answered: np.ndarray, grid: Grid) -> bool:
    """Whether the centres of all voxels that are not 0 in an array (k, j, i) on a grid lie in a volume node."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    reference.GetRASToIJKMatrix(matrix)
    to_index = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    way = to_index @ ijk_to_ras(grid)
    index = np.argwhere(answered)[:, ::-1] @ way[:3, :3].T + way[:3, 3]
    size = np.array(reference.GetImageData().GetDimensions())
    return bool(((index > -0.5) & (index < size - 0.5)).all())


def _segmentation(study: Study, opened: CaseScene, answered: np.ndarray, reference: Any) -> Any:
    """A segmentation of its own with one segment for each class that occurs, in the reference's geometry."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    grid = opened.images.pair.grid
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{opened.case} change")
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for one in study.label_schema.classes:
        if not (answered == one.value).any():
            continue
        image = blank(grid)
        vtk_to_numpy(image.GetPointData().GetScalars()).reshape(grid.shape)[...] = answered == one.value
        segment = slicer.vtkSegment()
        segment.SetName(one.name)
        segment.SetColor(*one.colour)
        segment.AddRepresentation(LABELMAP, image)
        node.GetSegmentation().AddSegment(segment, one.name)
    return node
