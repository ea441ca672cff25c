"""The label under Slicer's own Segment Editor: only the open slice changes, and it is read exactly."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.segment_editor_label import MASK_SEGMENT, SegmentEditorLabel
from LMIALLib.study.labels import LabelSchema
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Editor

AXES = pytest.mark.parametrize("axis", [0, 1, 2])


@pytest.fixture
def editor(place: Place) -> Editor:
    return Editor(place)


def drawing_of(place: Place, grid: Grid, axis: int, editor: Editor) -> SegmentEditorLabel:
    from LMIALLib.scene.volumes import add_volume

    drawing = SegmentEditorLabel(place.scene, grid, axis, LabelSchema.default(), "a", place.views[1:2], history=editor)
    source = add_volume(place.scene, np.zeros(grid.shape, dtype=np.float32), grid, "CURRENT", "a")
    editor.edit(drawing.node, source)
    drawing.limit(editor.node)
    return drawing


def some_stack(drawing: SegmentEditorLabel) -> np.ndarray:
    random = np.random.default_rng(3)
    shape = drawing.stack().shape
    return (random.random(shape) < 0.2).astype(np.uint8) * random.integers(1, 6, shape).astype(np.uint8)


@AXES
def test_what_is_shown_is_read_back_voxel_for_voxel(place: Place, oblique: Grid, editor: Editor, axis: int) -> None:
    drawing = drawing_of(place, oblique, axis, editor)
    wanted = some_stack(drawing)
    drawing.show_answers(dict(enumerate(wanted)))
    np.testing.assert_array_equal(drawing.stack(), wanted)
    drawing.open_slice(4, None)
    assert not drawing.mask.any()
    np.testing.assert_array_equal(np.delete(drawing.stack(), 4, axis=0), np.delete(wanted, 4, axis=0))


@AXES
@pytest.mark.parametrize("mode", ["Add", "Remove", "Set", "RemoveAll"])
def test_the_editor_changes_the_open_slice_only(
    place: Place, oblique: Grid, editor: Editor, axis: int, mode: str
) -> None:
    drawing = drawing_of(place, oblique, axis, editor)
    before = some_stack(drawing)
    drawing.show_answers(dict(enumerate(before)))
    drawing.open_slice(5, before[5])
    name = LabelSchema.default().classes[0].name
    editor.modify(drawing.node, name, mode, np.ones(oblique.shape, dtype=np.uint8))
    assert drawing.restrain() == (mode == "Remove"), "the editor's own mask holds all but Remove"
    assert not drawing.restrain()
    after = drawing.stack()
    np.testing.assert_array_equal(np.delete(after, 5, axis=0), np.delete(before, 5, axis=0))
    assert not np.array_equal(after[5], before[5])
    assert drawing.take_elsewhere() == {}
    if mode in ("Add", "Set"):
        assert (after[5] == 1).all(), "the classes exclude each other"


def test_the_helper_segment_stays_whole(place: Place, oblique: Grid, editor: Editor) -> None:
    drawing = drawing_of(place, oblique, 0, editor)
    drawing.open_slice(5, None)
    name = LabelSchema.default().classes[1].name
    for _ in range(2):
        editor.modify(drawing.node, name, "Add", np.ones(oblique.shape, dtype=np.uint8))
        assert (drawing.mask == 2).all()
        editor.modify(drawing.node, name, "RemoveAll", np.ones(oblique.shape, dtype=np.uint8))
        assert not drawing.mask.any()
        drawing.restrain()
    assert not drawing.node.GetDisplayNode().GetSegmentVisibility(MASK_SEGMENT)


def test_a_suggestion_is_one_step_and_nothing_is_undone_across_slices(
    place: Place, oblique: Grid, editor: Editor
) -> None:
    drawing = drawing_of(place, oblique, 0, editor)
    drawing.open_slice(2, None)
    suggested = np.zeros_like(drawing.mask)
    suggested[3:9, 4:8] = 1
    assert drawing.replace(suggested) and not drawing.replace(suggested)
    np.testing.assert_array_equal(drawing.mask, suggested)
    assert drawing.undo() and not drawing.mask.any()
    assert drawing.redo()
    np.testing.assert_array_equal(drawing.mask, suggested)
    drawing.open_slice(3, None)
    assert not drawing.can_undo and not drawing.undo() and not drawing.redo()
    np.testing.assert_array_equal(drawing.stack()[2], suggested)


def test_freed_it_draws_anywhere_and_tells_where(place: Place, oblique: Grid, editor: Editor) -> None:
    drawing = drawing_of(place, oblique, 0, editor)
    drawing.open_slice(2, None)
    drawing.limit(editor.node, to_slice=False)
    spot = np.zeros(oblique.shape, dtype=np.uint8)
    spot[2:5, 6:9, 6:9] = 1
    editor.modify(drawing.node, LabelSchema.default().classes[0].name, "Add", spot)
    np.testing.assert_array_equal(drawing.mask, spot[2])
    taken = drawing.take_elsewhere()
    assert sorted(taken) == [3, 4]
    np.testing.assert_array_equal(taken[3], spot[3])
    assert drawing.take_elsewhere() == {}


def test_label_maps_of_any_extent_and_origin_are_read(place: Place, oblique: Grid, editor: Editor) -> None:
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    from LMIALLib.scene.plane import ijk_to_ras
    from LMIALLib.scene.segments import LABELMAP
    from LMIALLib.scene.volumes import matrix_of

    drawing = drawing_of(place, oblique, 0, editor)
    drawing.open_slice(5, None)
    name = LabelSchema.default().classes[2].name
    moved = np.eye(4)
    moved[:3, 3] = (4, 3, 5)
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, 2, 0, 3, 0, 0)  # three columns, four rows and one slice, whose origin is voxel (4, 3, 5)
    image.AllocateScalars(3, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[...] = 7
    image.SetImageToWorldMatrix(matrix_of(ijk_to_ras(oblique) @ moved))
    segment = drawing.node.GetSegmentation().GetSegment(name)
    segment.SetLabelValue(7)
    segment.AddRepresentation(LABELMAP, image)
    wanted = np.zeros_like(drawing.mask)
    wanted[3:7, 4:7] = 3
    np.testing.assert_array_equal(drawing.mask, wanted)


def test_without_an_open_slice_nothing_can_be_drawn(place: Place, oblique: Grid, editor: Editor) -> None:
    drawing = drawing_of(place, oblique, 0, editor)
    with pytest.raises(WrongUse, match="No slice is open"):
        _ = drawing.mask
    drawing.open_slice(1, None)
    drawing.close_slice()
    editor.modify(drawing.node, LabelSchema.default().classes[0].name, "Add", np.ones(oblique.shape, dtype=np.uint8))
    drawing.restrain()
    assert not drawing.stack().any()
