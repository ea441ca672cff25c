"""A whole sitting in a scene that is somebody else's: their nodes, segmentations and editor stay as they were."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.case_scene import close_case, nodes_of
from LMIALLib.scene.labelmaps import read_labels
from LMIALLib.scene.segment_editor_label import MASK_SEGMENT
from LMIALLib.scene.segments import add_segmentation
from LMIALLib.scene.volumes import OURS, add_volume, voxels_of
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor, Sitting, nodes_in


@pytest.fixture
def two_cases(study_folder: Path) -> Path:
    """The study with one more case, whose pair is that of the first."""
    with Study.open(study_folder, reader="setup") as study:
        staged = study.cases.stage("other")
        for part in ("source", "pair-1"):
            shutil.copytree(study_folder / "cases" / "head" / part, staged / part)
        study.cases.add("other", staged)
    return study_folder


@pytest.fixture
def theirs(place: Place, study_folder: Path) -> dict[str, Any]:
    """A volume and two segmentations on the pair's own grid, with segments named as ours; one is being edited."""
    with Study.open(study_folder, read_only=True) as study:
        grid, name = study.cases.load_pair("head").grid, study.label_schema.classes[0].name
    voxels = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    volume = add_volume(place.scene, voxels, grid, "their scan", "")
    made: dict[str, Any] = {"volume": volume}
    for title, segments in (("edited", [(1, name, (0, 1, 0))]), ("kept", [(1, MASK_SEGMENT, (0, 0, 1))])):
        segmentation, array = add_segmentation(place.scene, grid, title, segments, "")
        array[8:12, 20:60, 20:60] = 1
        segmentation.RemoveAttribute(OURS)
        made[title] = segmentation
    volume.RemoveAttribute(OURS)
    made["editor"] = Editor(place)
    made["editor"].edit(made["edited"], volume)
    made["editor"].node.SetSelectedSegmentID(name)
    made["grid"], made["name"] = grid, name
    return made


def state(theirs: dict[str, Any]) -> list[Any]:
    """All that there is to see of their nodes, bit for bit."""
    grid: Grid = theirs["grid"]
    editor = theirs["editor"].node
    nodes = [theirs[name] for name in ("volume", "edited", "kept")]
    return [
        voxels_of(theirs["volume"]).tobytes(),
        read_labels(theirs["edited"], {theirs["name"]: 1}, grid).tobytes(),
        read_labels(theirs["kept"], {MASK_SEGMENT: 1}, grid).tobytes(),
        [list(one.GetSegmentation().GetSegmentIDs()) for one in nodes[1:]],
        [(one.GetMTime(), one.GetDisplayNode().GetMTime(), one.GetID(), one.GetName()) for one in nodes],
        [one.GetDisplayNode().GetVisibility() for one in nodes],
        (editor.GetSegmentationNode(), editor.GetSourceVolumeNode(), editor.GetSelectedSegmentID()),
        (editor.GetMaskMode(), editor.GetMaskSegmentID(), editor.GetOverwriteMode()),
        theirs["editor"].can_undo,
    ]


def test_a_whole_sitting_changes_nothing_of_somebody_elses(
    place: Place, study_folder: Path, theirs: dict[str, Any], workspace_at: Callable[[Path], Sitting]
) -> None:
    before, nodes = state(theirs), {node.GetID() for node in nodes_in(place.scene)}
    workspace = workspace_at(study_folder)
    nodes |= {workspace.editor.node.GetID()}
    workspace.paint()
    workspace.maker.take_in()
    workspace.answering.answer("save")
    workspace.maker.edit_others(True)
    workspace.paint()
    workspace.maker.take_in()
    workspace.maker.edit_others(False)
    workspace.painting.undo()
    workspace.painting.accept()
    workspace.maps.show(True)
    workspace.maps.show(False)
    workspace.presenting.back()
    workspace.answering.take_back()
    workspace.answering.answer("nothing_here", sure=True)
    workspace.close()
    close_case(place.scene, "head")
    assert state(theirs) == before
    assert {node.GetID() for node in nodes_in(place.scene)} == nodes


def test_somebody_elses_editor_draws_on_their_segmentation_and_not_on_ours(
    study_folder: Path, theirs: dict[str, Any], workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.paint()
    workspace.maker.take_in()
    ours = opened.drawing.stack()
    spot = np.zeros(theirs["grid"].shape, np.uint8)
    spot[2:5, 5:15, 5:15] = 1
    theirs["editor"].modify(theirs["edited"], theirs["name"], "Add", spot)
    assert read_labels(theirs["edited"], {theirs["name"]: 1}, theirs["grid"])[spot > 0].all()
    workspace.maker.take_in()
    assert np.array_equal(opened.drawing.stack(), ours) and workspace.session.current is here
    assert workspace.screen.drafts == {here.slice}


def test_another_case_takes_the_place_of_the_first_and_each_keeps_what_was_drawn(
    place: Place, two_cases: Path, theirs: dict[str, Any], workspace_at: Callable[[Path], Sitting]
) -> None:
    before = state(theirs)
    workspace = workspace_at(two_cases)
    drawn = {}
    for case, number in (("head", 9), ("other", 11), ("head", 9), ("other", 11)):
        workspace.presenting.choose(number, case)
        here, opened = workspace.at_hand
        assert (here.case, here.slice, opened.case) == (case, number, case)
        other = "other" if case == "head" else "head"
        assert nodes_of(place.scene, other) == [], "the case before must have left the scene"
        labels = [node for node in nodes_in(place.scene) if node.GetAttribute(OURS) and node.GetName() == "label"]
        assert labels == [opened.drawing.label]
        assert workspace.maker.editor_node.GetSegmentationNode() is opened.drawing.node
        assert workspace.maker.editor_node.GetMaskSegmentID() == MASK_SEGMENT
        if case in drawn:
            assert np.array_equal(opened.drawing.mask, drawn[case]) and not opened.drawing.can_undo
        workspace.paint(mode="Add" if case not in drawn else "Remove")
        workspace.maker.take_in()
        drawn[case] = opened.drawing.mask
    assert not any(mask.any() for mask in drawn.values()), "erased again at the second visit"
    assert state(theirs) == before


def test_answers_of_one_case_are_not_shown_in_another(two_cases: Path, workspace_at: Callable[[Path], Sitting]) -> None:
    workspace = workspace_at(two_cases)
    workspace.presenting.choose(9, "head")
    workspace.paint()
    workspace.maker.take_in()
    workspace.answering.answer("save")
    workspace.presenting.choose(9, "other")
    assert not workspace.at_hand[1].drawing.stack().any()
    workspace.presenting.choose(9, "head")
    assert workspace.at_hand[1].drawing.mask.sum() == 60
