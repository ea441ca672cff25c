"""The desk with Slicer's Segment Editor, on a real study: drafts, other slices, linked views, Slicer's own save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.loop.learning import LoopSettings
from LMIALLib.loop.session import Presented, Session
from LMIALLib.scene.case_scene import CaseScene
from LMIALLib.scene.editing import EditorDesk
from LMIALLib.study.store import Study
from Testing.Python.scene.conftest import Place
from Testing.Python.scene.test_edited import Editor


class PlainView:
    """A view that only has its node."""

    size = (400, 500)

    def __init__(self, node: Any) -> None:
        self.node = node

    def show(self, background: Any, foreground: Any = None, opacity: float = 0.0) -> None:
        """Nothing to draw on."""

    def refresh(self) -> None:
        """Nothing to draw on."""


class Sitting(EditorDesk):
    """A desk that keeps the editor at hand that draws on it."""

    editor: Editor

    @property
    def at_hand(self) -> tuple[Presented, CaseScene]:
        """The slice at hand and its case."""
        assert self.session.current is not None and self.open is not None
        return self.session.current, self.open


@pytest.fixture
def desk_at(place: Place) -> Iterator[Callable[[Path], Sitting]]:
    desks: list[Sitting] = []

    def make(folder: Path) -> Sitting:
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        editor = Editor(place)
        desk = Sitting(place.scene, views, opening, editor_node=editor.node, history=editor)
        desk.editor = editor
        desks.append(desk)
        desk.start()
        return desk

    yield make
    for desk in desks:
        desk.close()


def paint(desk: Sitting, slices: Any = slice(None), mode: str = "Add") -> None:
    """Some voxels of the slices that the editor is told to paint, without knowing of any other limit."""
    _, opened = desk.at_hand
    opened.drawing.node.SetReferenceImageGeometryParameterFromVolumeNode(opened.images.difference)
    desk.editor.node.SetAndObserveSourceVolumeNode(opened.images.difference)
    pair = opened.images.pair
    array = np.zeros(pair.grid.shape, dtype=np.uint8)
    np.moveaxis(array, pair.axis, 0)[slices, 20:26, 20:30] = 1
    desk.editor.modify(opened.drawing, desk.session.study.label_schema.classes[0].name, mode, array)


def test_what_the_editor_drew_is_a_draft_at_once_and_comes_back(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    before = opened.drawing.stack()
    paint(desk)
    desk.drawn()
    drawn = opened.drawing.mask
    assert drawn.sum() == 60
    np.testing.assert_array_equal(np.delete(opened.drawing.stack(), here.slice, 0), np.delete(before, here.slice, 0))
    kept = desk.session.study.draft(here.case, here.slice)
    assert kept is not None and np.array_equal(kept.mask, drawn)
    desk.close()  # a crash would leave as much: the draft is on disk
    again = desk_at(study_folder)
    again.choose(here.slice, here.case)
    assert again.open is not None
    np.testing.assert_array_equal(again.open.drawing.mask, drawn)
    assert not again.open.drawing.can_undo


def test_undo_after_a_save_changes_nothing(study_folder: Path, desk_at: Callable[[Path], Sitting]) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    paint(desk)
    desk.drawn()
    mask = opened.drawing.mask
    desk.answer("save")
    desk.undo()
    np.testing.assert_array_equal(opened.drawing.stack()[here.slice], mask)
    assert np.array_equal(desk.session.study.current(here.case)[here.slice].mask, mask)


def test_other_slices_become_drafts_only_where_the_reader_wants_it(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    neighbours = [here.slice - 1, here.slice + 1]
    desk.edit_others(True)
    paint(desk, neighbours)
    desk.drawn()
    assert sorted(draft.slice for draft in desk.session.study.drafts(here.case)) == neighbours
    desk.edit_others(False)
    paint(desk, [here.slice + 3])
    desk.drawn()
    assert not opened.drawing.stack()[here.slice + 3].any()
    desk.choose(neighbours[1])
    assert opened.drawing.mask.sum() == 60
    assert opened.drawing.stack()[neighbours[0]].sum() == 60, "drafts of other slices stay shown"


def test_views_follow_the_one_that_moved(study_folder: Path, desk_at: Callable[[Path], Sitting]) -> None:
    desk = desk_at(study_folder)
    assert desk.open is not None
    moved, other = (desk.views[name].node for name in ("baseline", "difference"))
    number = desk.open.navigation.slice
    point = desk.open.navigation.planes[0].point(number + 2, 30, 30)
    for row in range(3):
        moved.GetSliceToRAS().SetElement(row, 3, point[row])
    moved.SetFieldOfView(100.0, 125.0, 1.0)
    moved.UpdateMatrices()
    desk.view_moved("baseline")
    assert desk.open.navigation.slice == number + 2
    assert [other.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == pytest.approx(list(point), abs=1e-3)
    assert other.GetFieldOfView()[0] == pytest.approx(100.0)
    desk.return_to_query()
    assert desk.session.current is not None and desk.open.navigation.slice == desk.session.current.slice


def test_slicers_own_save_of_our_label_saves_the_slice(study_folder: Path, desk_at: Callable[[Path], Sitting]) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    label = opened.drawing.node.GetID()
    desk.saved_by_slicer(label)
    assert not desk.session.study.current(here.case), "nothing is drawn, so nothing is said"
    paint(desk)
    desk.drawn()
    desk.saved_by_slicer(opened.images.difference.GetID())
    assert desk.session.current is here
    desk.saved_by_slicer(label)
    assert desk.session.study.current(here.case)[here.slice].answer == "mask"


def test_a_neighbour_that_was_drawn_and_erased_leaves_no_draft(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    desk.edit_others(True)
    paint(desk, [here.slice + 1])
    desk.drawn()
    assert [draft.slice for draft in desk.session.study.drafts(here.case)] == [here.slice + 1]
    paint(desk, [here.slice + 1], "Remove")
    desk.drawn()
    assert not desk.session.study.drafts(here.case)
    assert not opened.drawing.stack()[here.slice + 1].any()


def test_drawn_neighbours_stay_on_the_screen_when_the_switch_goes_off(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    desk.edit_others(True)
    paint(desk, [here.slice + 1])
    desk.edit_others(False)
    desk.drawn()
    assert opened.drawing.stack()[here.slice + 1].sum() == 60


def test_what_a_loaded_scene_still_holds_of_a_case_goes_when_it_is_opened(
    place: Place, study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    from LMIALLib.scene.volumes import OURS

    stale = place.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "label")
    stale.SetAttribute(OURS, "head")
    _, opened = desk_at(study_folder).at_hand
    labels = [node for node in nodes_of(place.scene) if node.GetName() == "label"]
    assert labels == [opened.drawing.node]


def nodes_of(scene: Any) -> list[Any]:
    return [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]


def test_a_case_registered_again_is_shown_anew_with_what_was_drawn(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    paint(desk)  # and not taken in yet
    mask = opened.drawing.mask
    desk.register_again("rigid")
    learning = desk.session.learning
    assert learning.registering is not None
    learning.worker.wait(learning.registering)
    desk.session.study.add_pair(here.case, Path(learning.registering.result["staged"]))
    desk._registered(here.case, learning.registering.result["registration"])
    assert desk.open is not None and desk.open is not opened
    assert desk.session.current is here and desk.open.navigation.slice == here.slice
    assert np.array_equal(desk.open.drawing.mask, mask) and mask.any()
    assert desk.open.images.pair.registration["kind"] == "rigid"
    assert desk.notices[-1][1].startswith("Registered again (rigid).") or any(
        told.startswith("Registered again (rigid).") for _, told in desk.notices
    )
