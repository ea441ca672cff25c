"""The desk with Slicer's Segment Editor, on a real study: drafts, other slices, linked views, Slicer's own save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from Testing.Python.scene.sitting import Sitting


def test_what_the_editor_drew_is_a_draft_at_once_and_comes_back(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    before = opened.drawing.stack()
    desk.paint()
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
    desk.paint()
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
    desk.paint(neighbours)
    desk.drawn()
    assert sorted(draft.slice for draft in desk.session.study.drafts(here.case)) == neighbours
    desk.edit_others(False)
    desk.paint([here.slice + 3])
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


def test_a_neighbour_that_was_drawn_and_erased_leaves_no_draft(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    desk.edit_others(True)
    desk.paint([here.slice + 1])
    desk.drawn()
    assert [draft.slice for draft in desk.session.study.drafts(here.case)] == [here.slice + 1]
    desk.paint([here.slice + 1], "Remove")
    desk.drawn()
    assert not desk.session.study.drafts(here.case)
    assert not opened.drawing.stack()[here.slice + 1].any()


def test_drawn_neighbours_stay_on_the_screen_when_the_switch_goes_off(
    study_folder: Path, desk_at: Callable[[Path], Sitting]
) -> None:
    desk = desk_at(study_folder)
    here, opened = desk.at_hand
    desk.edit_others(True)
    desk.paint([here.slice + 1])
    desk.edit_others(False)
    desk.drawn()
    assert opened.drawing.stack()[here.slice + 1].sum() == 60
