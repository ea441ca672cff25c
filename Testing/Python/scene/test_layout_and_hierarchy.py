"""Our layout and the subject hierarchy, with real MRML and with nodes of somebody else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LMIALLib.scene.case_scene import CaseScene, close_case, open_case
from LMIALLib.scene.hierarchy import arrange, forget
from LMIALLib.scene.layout import GROUP, LAYOUT, TAGS, add_layout, layout_xml, unlink
from LMIALLib.scene.volumes import OURS, add_volume
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import names_below


@pytest.fixture
def tree(place: Place) -> Any:
    return place.tree


def opened_case(place: Place, study: Study) -> CaseScene:
    return open_case(place.scene, study, "head", place.views[1:2])


def test_the_layout_makes_three_views_of_one_group_and_leaves_the_others(place: Place) -> None:
    import slicer

    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(place.scene)
    red = place.scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    group = red.GetViewGroup() if red else None
    node = logic.GetLayoutNode()
    add_layout(node)
    add_layout(node, prior_left=False)
    node.SetViewArrangement(LAYOUT)
    views = {name: place.scene.GetSingletonNode(tag, "vtkMRMLSliceNode") for name, tag in TAGS.items()}
    assert all(view is not None and view.GetViewGroup() == GROUP for view in views.values())
    assert views["follow_up"].GetLayoutLabel() == "C"
    assert layout_xml().index("LMIALBaseline") < layout_xml().index("LMIALFollowUp")
    assert layout_xml(prior_left=False).index("LMIALBaseline") > layout_xml(prior_left=False).index("LMIALFollowUp")
    assert group is None or red.GetViewGroup() == group
    composite = place.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetLinkedControl(1)
    unlink([composite])
    assert not composite.GetLinkedControl() and not composite.GetHotLinkedControl()


def test_patient_and_visits_hold_what_is_theirs_and_go_again(place: Place, opened_study: Study, tree: Any) -> None:
    theirs = tree.CreateSubjectItem(tree.GetSceneItemID(), "somebody else")
    opened = opened_case(place, opened_study)
    for _ in range(2):
        arrange(place.scene, opened, "subject-7", {"baseline": "2020-01-02", "follow_up": "2020-07-03"})
    patient = tree.GetItemParent(tree.GetItemParent(tree.GetItemByDataNode(opened.drawing.label)))
    assert tree.GetItemName(patient) == "subject-7"
    below = names_below(tree, patient)
    assert below == ["CURRENT 2020-07-03", "PRIOR 2020-01-02", "difference", "uncertainty"]
    assert names_below(tree, tree.GetItemParent(tree.GetItemByDataNode(opened.drawing.label))) == [
        "CURRENT",
        "label",
        "suggestion",
    ]
    forget(place.scene, "head")
    assert "subject-7" not in names_below(tree, tree.GetSceneItemID())
    assert tree.GetItemName(theirs) == "somebody else"
    assert opened.drawing.node.GetScene() is place.scene


def test_nodes_of_somebody_else_are_untouched(place: Place, opened_study: Study, oblique: Any) -> None:
    values = np.arange(np.prod(oblique.shape), dtype=np.float32).reshape(oblique.shape)
    theirs = add_volume(place.scene, values, oblique, "theirs", "")
    theirs.RemoveAttribute(OURS)
    segmentation = place.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "their segmentation")
    segmentation.CreateDefaultDisplayNodes()
    ids = {place.scene.GetNthNode(k).GetID() for k in range(place.scene.GetNumberOfNodes())}
    changed = theirs.GetMTime(), theirs.GetDisplayNode().GetMTime(), segmentation.GetMTime()
    opened_case(place, opened_study)
    close_case(place.scene, "head")
    assert {place.scene.GetNthNode(k).GetID() for k in range(place.scene.GetNumberOfNodes())} == ids
    assert (theirs.GetMTime(), theirs.GetDisplayNode().GetMTime(), segmentation.GetMTime()) == changed
