"""A case in a scene: geometry of its nodes, overlays, drawing on one slice only, and leaving nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.brush_label import BrushLabel, capsule
from LMIALLib.scene.case_scene import close_case, open_case
from LMIALLib.scene.images import visit_node
from LMIALLib.scene.overlays import Overlays
from LMIALLib.scene.plane import ijk_to_ras
from LMIALLib.scene.segments import LABELMAP
from LMIALLib.scene.volumes import OURS, add_volume, voxels_of
from LMIALLib.study.labels import LabelSchema
from LMIALLib.study.store import Study


def matrix_values(matrix: object) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def node_matrix(node: object) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix_values(matrix)


def test_a_volume_node_has_the_voxels_and_the_geometry_of_its_grid(oblique: Grid, place: Any) -> None:
    array = np.arange(np.prod(oblique.shape), dtype=np.float32).reshape(oblique.shape)
    node = add_volume(place.scene, array, oblique, "volume", "case")
    assert np.array_equal(voxels_of(node), array)
    assert np.allclose(node_matrix(node), ijk_to_ras(oblique))
    array[...] = 0
    assert voxels_of(node).max() > 0, "the node must own its voxels"


def test_the_follow_up_is_the_pairs_own_and_the_baseline_is_as_acquired_under_its_transform(
    opened_study: Study, place: Any
) -> None:
    opened = open_case(place.scene, opened_study, "head", [place.views[1]])
    pair = opened.images.pair
    follow_up, baseline = (opened.images.nodes["", visit] for visit in ("follow_up", "baseline"))
    assert np.array_equal(voxels_of(follow_up), pair.follow_up) and follow_up.GetTransformNodeID() is None
    to_parent = matrix_values(baseline.GetParentTransformNode().GetMatrixTransformToParent())
    to_source = np.array(pair.registration["to_source"]["baseline"]).reshape(4, 4)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert np.allclose(to_parent @ (flip @ to_source @ flip), np.eye(4))


def test_the_difference_is_follow_up_minus_baseline_and_its_colours_are_symmetric(
    opened_study: Study, place: Any
) -> None:
    opened = open_case(place.scene, opened_study, "head", [place.views[1]])
    assert np.array_equal(voxels_of(opened.images.difference), opened.images.pair.difference)
    display = opened.images.difference.GetDisplayNode()
    assert display.GetLevel() == pytest.approx(0.0) and display.GetWindow() == pytest.approx(2 * opened.images.reach)


def test_both_visits_are_shown_in_windows_that_match(opened_study: Study, place: Any) -> None:
    opened = open_case(place.scene, opened_study, "head", [place.views[1]])
    pair = opened.images.pair
    for visit in ("baseline", "follow_up"):
        node, (low, high) = visit_node(place.scene, opened_study, "head", opened.images, "", visit), (0.0, 0.0)
        low, high = opened.images.windows["", visit]
        assert node.GetDisplayNode().GetWindow() == pytest.approx(high - low)
    shown = (pair.follow_up[pair.mask] - low) / (high - low)
    assert -0.1 < np.percentile(shown, 1) < np.percentile(shown, 99) < 1.1


def test_the_overlay_is_the_ranked_map_voxel_for_voxel_but_for_slices_that_may_not_be_shown(
    opened_study: Study, place: Any
) -> None:
    opened = open_case(place.scene, opened_study, "head", [place.views[1]])
    stored = opened_study.rankings.latest()
    mean, ranked = opened_study.maps.probability(stored, "head"), opened_study.maps.doubt(stored, "head")
    opened.overlays.show(mean, ranked, ())
    assert voxels_of(opened.overlays.uncertainty).tobytes() == ranked.tobytes()
    opened.overlays.show(mean, ranked, {7})
    shown = voxels_of(opened.overlays.uncertainty)
    assert not shown[7].any() and shown[8].tobytes() == ranked[8].tobytes()
    image = opened.overlays.suggestion.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP)
    from vtk.util.numpy_support import vtk_to_numpy

    suggested = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(mean.shape)
    assert np.array_equal(np.delete(suggested, 7, 0), np.delete(mean >= 0.5, 7, 0)) and not suggested[7].any()


def test_overlay_suggestion_and_label_lie_on_an_oblique_pairs_grid(oblique: Grid, place: Any) -> None:
    import vtk

    overlays = Overlays(place.scene, oblique, 0, "case")
    label = BrushLabel(place.scene, oblique, 0, LabelSchema.default(), "case", [place.views[1]]).label
    assert np.allclose(node_matrix(overlays.uncertainty), ijk_to_ras(oblique))
    for node in (overlays.suggestion, label):
        image, matrix = node.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP), vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        assert np.allclose(matrix_values(matrix), ijk_to_ras(oblique))
        assert image.GetDimensions() == oblique.size


def test_label_and_suggestion_are_shown_in_the_follow_ups_view_only(opened_study: Study, place: Any) -> None:
    opened = open_case(place.scene, opened_study, "head", [place.views[1]])
    for node in (opened.drawing.node, opened.overlays.suggestion):
        display = node.GetDisplayNode()
        assert display.IsDisplayableInView(place.views[1].GetID())
        assert not display.IsDisplayableInView(place.views[0].GetID())


@pytest.fixture
def drawing(oblique: Grid, place: Any) -> BrushLabel:
    return BrushLabel(place.scene, oblique, 0, LabelSchema.default(), "case", [place.views[1]])


def whole(drawing: BrushLabel) -> np.ndarray:
    return drawing._stack.copy()


def test_a_stroke_changes_the_open_slice_and_no_other_voxel(drawing: BrushLabel) -> None:
    drawing.open_slice(4, None)
    before = whole(drawing)
    drawing.begin_stroke()
    drawing.stroke((3, 3), (20, 15), 5.0, 1)
    assert drawing.end_stroke() and drawing.mask.any()
    assert np.delete(whole(drawing), 4, 0).tobytes() == np.delete(before, 4, 0).tobytes()


def test_nothing_can_be_drawn_while_no_slice_is_open(drawing: BrushLabel) -> None:
    with pytest.raises(WrongUse):
        drawing.stroke((3, 3), (4, 4), 5.0, 1)
    drawing.open_slice(4, None)
    drawing.close_slice()
    with pytest.raises(WrongUse):
        drawing.begin_stroke()


def test_undo_and_redo_go_stroke_by_stroke_and_end_at_the_slice(drawing: BrushLabel) -> None:
    drawing.open_slice(4, None)
    states = [drawing.mask]
    for row in (5, 12):
        drawing.begin_stroke()
        drawing.stroke((row, 5), (row, 15), 3.0, 1)
        drawing.end_stroke()
        states.append(drawing.mask)
    assert drawing.undo() and np.array_equal(drawing.mask, states[1])
    assert drawing.undo() and np.array_equal(drawing.mask, states[0]) and not drawing.undo()
    assert drawing.redo() and drawing.redo() and np.array_equal(drawing.mask, states[2]) and not drawing.redo()
    drawing.open_slice(5, None)
    after = whole(drawing)
    assert not drawing.undo() and whole(drawing).tobytes() == after.tobytes()


def test_taking_a_suggestion_over_is_one_step_and_a_stroke_that_changes_nothing_is_none(drawing: BrushLabel) -> None:
    drawing.open_slice(4, None)
    suggestion = np.zeros_like(drawing.mask)
    suggestion[4:9, 5:11] = 1
    assert drawing.replace(suggestion) and drawing.undo() and not drawing.mask.any() and not drawing.can_undo
    drawing.begin_stroke()
    drawing.stroke((8, 8), (9, 9), 4.0, 0)
    assert not drawing.end_stroke() and not drawing.can_undo


def test_the_brush_is_round_in_millimetres_and_never_misses_the_voxel_under_it() -> None:
    box, inside = capsule((60, 60), (1.0, 2.0), (30, 30), (30, 30), 10.0)
    full = np.zeros((60, 60), dtype=bool)
    full[box] = inside
    rows, columns = np.nonzero(full)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 40, 25, 35)
    box, inside = capsule((60, 60), (1.0, 1.0), (30.4, 30.4), (30.4, 30.4), 0.1)
    assert inside.sum() == 1
    box, inside = capsule((60, 60), (1.0, 1.0), (-50, -50), (-40, -40), 3.0)
    assert not inside.any()


def test_what_mrml_exports_of_the_label_is_what_was_drawn(drawing: BrushLabel, oblique: Grid, place: Any) -> None:
    import slicer

    drawing.open_slice(4, None)
    drawing.begin_stroke()
    drawing.stroke((3, 3), (20, 15), 5.0, 3)
    drawing.end_stroke()
    reference = add_volume(place.scene, np.zeros(oblique.shape, np.float32), oblique, "reference", "case")
    labels = place.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportSegmentsToLabelmapNode(drawing.node, ["enlarged"], labels, reference)
    assert np.array_equal(voxels_of(labels) > 0, whole(drawing) == 3)


def test_answers_of_other_slices_are_shown_and_the_open_one_is_left_alone(drawing: BrushLabel) -> None:
    drawing.open_slice(4, None)
    drawing.begin_stroke()
    drawing.stroke((3, 3), (20, 15), 5.0, 1)
    drawing.end_stroke()
    mine, other = drawing.mask, np.full_like(drawing.mask, 2)
    drawing.show_answers({4: None, 6: other})
    assert np.array_equal(whole(drawing)[4], mine) and np.array_equal(whole(drawing)[6], other)


def test_closing_a_case_leaves_nothing_of_ours_and_everything_of_others(opened_study: Study, place: Any) -> None:
    own = place.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "somebody's volume")
    own.CreateDefaultDisplayNodes()
    before = {place.scene.GetNthNode(k).GetID() for k in range(place.scene.GetNumberOfNodes())}
    for _ in range(2):
        open_case(place.scene, opened_study, "head", [place.views[1]])
        close_case(place.scene, "head")
    after = [place.scene.GetNthNode(k) for k in range(place.scene.GetNumberOfNodes())]
    assert {node.GetID() for node in after} == before
    assert not any(node.GetAttribute(OURS) for node in after)


def test_overlays_of_nothing_are_empty(oblique: Grid, place: Any) -> None:
    overlays = Overlays(place.scene, oblique, 0, "case")
    overlays.show(np.ones(oblique.shape, np.float32), np.ones(oblique.shape, np.float32), ())
    overlays.clear()
    assert overlays.top == 0.0 and not voxels_of(overlays.uncertainty).any()
