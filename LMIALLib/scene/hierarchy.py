"""A case in Slicer's subject hierarchy: patient, both visits, what belongs to each. Nobody else's items move."""

from __future__ import annotations

from typing import Any

from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.volumes import OURS


def arrange(scene: Any, opened: CaseScene, subject: str, dates: dict[str, str]) -> None:
    """Put a case's nodes under its subject and visits; a second call for the same case changes nothing.

    Args:
        scene: with a subject hierarchy.
        subject: pseudonym of the patient.
        dates: "baseline" and "follow_up" to when they were taken, as the scan states it; may lack either.
    """
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    forget(scene, opened.case)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), subject)
    tree.SetItemAttribute(patient, OURS, opened.case)
    visits = {}
    for visit, word in (("baseline", "PRIOR"), ("follow_up", "CURRENT")):
        visits[visit] = tree.CreateStudyItem(patient, f"{word} {dates.get(visit, '')}".strip())
        tree.SetItemAttribute(visits[visit], OURS, opened.case)
    belong = [(node, visits[visit]) for (_, visit), node in opened.images.nodes.items()]
    drawn = (opened.drawing.node, opened.drawing.label, opened.overlays.suggestion)
    belong += [(node, visits["follow_up"]) for node in drawn]
    belong += [(opened.images.difference, patient), (opened.overlays.uncertainty, patient)]
    for node, parent in belong:
        item = tree.GetItemByDataNode(node) or tree.CreateItem(parent, node)
        tree.SetItemParent(item, parent)
        tree.SetItemAttribute(item, OURS, opened.case)


def forget(scene: Any, case: str) -> None:
    """Take the patient and the visits of a case out of the hierarchy; the nodes below them stay in the scene.

    A loaded scene also has items, without nodes, for what was not saved with it and for its segments: they go too.
    """
    import slicer
    import vtk

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    every = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), every, True)
    items = [every.GetId(number) for number in range(every.GetNumberOfIds())]
    ours = [one for one in items if tree.GetItemAttribute(one, OURS) == case and tree.GetItemDataNode(one) is None]
    of_segments = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
    for item in items:
        if item in ours or tree.GetItemParent(item) not in ours:
            continue
        if tree.GetItemAttribute(item, of_segments):
            ours.append(item)
        else:
            tree.SetItemParent(item, tree.GetSceneItemID())
    for item in reversed(ours):
        tree.RemoveItem(item, False, False)
