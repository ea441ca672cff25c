"""A workspace with Slicer's Segment Editor, on a real study: drafts, other slices, linked views, Slicer's own save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import Sitting


def test_what_the_editor_drew_is_a_draft_at_once_and_comes_back(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    before = opened.drawing.stack()
    workspace.paint()
    workspace.maker.take_in()
    drawn = opened.drawing.mask
    assert drawn.sum() == 60
    np.testing.assert_array_equal(np.delete(opened.drawing.stack(), here.slice, 0), np.delete(before, here.slice, 0))
    kept = workspace.session.study.drafts.get(here.case, here.slice)
    assert kept is not None and np.array_equal(kept.mask, drawn)
    workspace.close()  # a crash would leave as much: the draft is on disk
    again = workspace_at(study_folder)
    again.presenting.choose(here.slice, here.case)
    assert again.open is not None
    np.testing.assert_array_equal(again.open.drawing.mask, drawn)
    assert not again.open.drawing.can_undo


def test_undo_after_a_save_changes_nothing(study_folder: Path, workspace_at: Callable[[Path], Sitting]) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.paint()
    workspace.maker.take_in()
    mask = opened.drawing.mask
    workspace.answering.answer("save")
    workspace.painting.undo()
    np.testing.assert_array_equal(opened.drawing.stack()[here.slice], mask)
    assert np.array_equal(workspace.session.study.answers.current(here.case)[here.slice].mask, mask)


def test_other_slices_become_drafts_only_where_the_reader_wants_it(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    neighbours = [here.slice - 1, here.slice + 1]
    workspace.maker.edit_others(True)
    workspace.paint(neighbours)
    workspace.maker.take_in()
    assert sorted(draft.slice for draft in workspace.session.study.drafts.all(here.case)) == neighbours
    workspace.maker.edit_others(False)
    workspace.paint([here.slice + 3])
    workspace.maker.take_in()
    assert not opened.drawing.stack()[here.slice + 3].any()
    workspace.presenting.choose(neighbours[1])
    assert opened.drawing.mask.sum() == 60
    assert opened.drawing.stack()[neighbours[0]].sum() == 60, "drafts of other slices stay shown"


def test_views_follow_the_one_that_moved(study_folder: Path, workspace_at: Callable[[Path], Sitting]) -> None:
    workspace = workspace_at(study_folder)
    assert workspace.open is not None
    moved, other = (workspace.screen.views[name].node for name in ("baseline", "difference"))
    number = workspace.open.navigation.slice
    point = workspace.open.navigation.planes[0].point(number + 2, 30, 30)
    for row in range(3):
        moved.GetSliceToRAS().SetElement(row, 3, point[row])
    moved.SetFieldOfView(100.0, 125.0, 1.0)
    moved.UpdateMatrices()
    workspace.viewing.view_moved("baseline")
    assert workspace.open.navigation.slice == number + 2
    assert [other.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == pytest.approx(list(point), abs=1e-3)
    assert other.GetFieldOfView()[0] == pytest.approx(100.0)
    workspace.viewing.return_to_query()
    assert workspace.session.current is not None and workspace.open.navigation.slice == workspace.session.current.slice


def test_a_neighbour_that_was_drawn_and_erased_leaves_no_draft(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.maker.edit_others(True)
    workspace.paint([here.slice + 1])
    workspace.maker.take_in()
    assert [draft.slice for draft in workspace.session.study.drafts.all(here.case)] == [here.slice + 1]
    workspace.paint([here.slice + 1], "Remove")
    workspace.maker.take_in()
    assert not workspace.session.study.drafts.all(here.case)
    assert not opened.drawing.stack()[here.slice + 1].any()


def test_drawn_neighbours_stay_on_the_screen_when_the_switch_goes_off(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.maker.edit_others(True)
    workspace.paint([here.slice + 1])
    workspace.maker.edit_others(False)
    workspace.maker.take_in()
    assert opened.drawing.stack()[here.slice + 1].sum() == 60


def test_taking_the_suggestion_over_is_one_step_and_what_was_drawn_comes_back(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    while workspace.at_hand[0].query is None or workspace.at_hand[0].query.drawn == "random":
        workspace.presenting.choose(next(one.slice for one in workspace.screen.queue if one.drawn != "random"))
    here, opened = workspace.at_hand
    workspace.paint()
    workspace.maker.take_in()
    before, own = opened.drawing.stack(), opened.drawing.mask > 0
    suggested = np.zeros(opened.drawing.mask.shape, dtype=bool)
    suggested[30:40, 30:40] = True
    workspace.session.suggestion = lambda: suggested  # type: ignore[method-assign, assignment, return-value]
    workspace.painting.accept()
    assert np.array_equal(opened.drawing.mask > 0, suggested | own)
    kept = workspace.session.study.drafts.get(here.case, here.slice)
    assert kept is not None and np.array_equal(kept.mask > 0, suggested | own)
    workspace.painting.undo()
    assert np.array_equal(opened.drawing.stack(), before)
    kept = workspace.session.study.drafts.get(here.case, here.slice)
    assert kept is not None and np.array_equal(kept.mask, opened.drawing.mask)
    workspace.painting.redo()
    assert np.array_equal(opened.drawing.mask > 0, suggested | own)
    assert np.array_equal(np.delete(opened.drawing.stack(), here.slice, 0), np.delete(before, here.slice, 0))


def test_undo_of_what_was_drawn_on_another_slice_takes_its_draft_back(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.maker.edit_others(True)
    workspace.paint([here.slice + 1])
    workspace.maker.take_in()
    assert [one.slice for one in workspace.session.study.drafts.all(here.case)] == [here.slice + 1]
    workspace.painting.undo()
    assert not opened.drawing.stack().any() and not workspace.session.study.drafts.all(here.case)
    workspace.painting.redo()
    assert [one.slice for one in workspace.session.study.drafts.all(here.case)] == [here.slice + 1]


def test_a_crash_loses_at_most_what_the_hand_was_drawing(
    study_folder: Path, place: Place, elsewhere: Place, workspace_at: Callable[[Path], Sitting]
) -> None:
    """Nothing is closed: the scene is gone with its application, the study is taken over."""
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.maker.edit_others(True)
    workspace.paint([here.slice, here.slice + 1])
    workspace.maker.take_in()
    drawn = opened.drawing.stack()
    workspace.paint([here.slice + 2])  # the editor has not told us yet
    again = Sitting.at(elsewhere, study_folder)
    assert again.screen.watching
    again.take_over()
    again.presenting.choose(here.slice, here.case)
    assert np.array_equal(again.at_hand[1].drawing.stack(), drawn)
    again.close()


def test_a_query_opens_with_its_slice_in_every_view_and_its_centre_in_sight(
    study_folder: Path, place: Place, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    for query in workspace.screen.queue[:4]:
        workspace.session.present(query.case, query.slice, query)
        workspace.presenting.present()
        opened = workspace.at_hand[1]
        plane = opened.navigation.planes[0]
        point = plane.point(query.slice, *query.centre)
        for view in place.views:
            matrix = np.array([[view.GetXYToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])
            x, y, z = np.linalg.solve(matrix, [*point, 1.0])[:3]
            assert abs(z) < 1e-6, "the slice goes through the voxel centres"
            if query.drawn == "strategy":
                assert 0 <= x <= 400 and 0 <= y <= 500


def test_a_case_registered_again_is_shown_anew_with_what_was_drawn(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, opened = workspace.at_hand
    workspace.paint()  # and not taken in yet
    mask = opened.drawing.mask
    workspace.jobs.register_again("rigid")
    job = workspace.session.learning.pairs.job
    assert job is not None
    workspace.session.learning.worker.wait(job)
    assert job.result is not None
    workspace.session.study.cases.add_pair(here.case, Path(job.result.staged))
    workspace.following.registered(here.case, job.result.registration)
    assert workspace.open is not None and workspace.open is not opened
    assert workspace.session.current is here and workspace.open.navigation.slice == here.slice
    assert np.array_equal(workspace.open.drawing.mask, mask) and mask.any()
    assert workspace.open.images.pair.registration["kind"] == "rigid"
    assert any(told.startswith("Registered again (rigid).") for _, told in workspace.screen.notices)


def test_what_is_drawn_before_anybody_is_named_is_a_draft_all_the_same(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    here, _ = workspace.at_hand
    workspace.session.reader = ""
    workspace.paint()
    workspace.maker.take_in()
    assert workspace.session.study.drafts.get(here.case, here.slice) is not None


def test_neighbours_that_could_not_be_kept_are_tried_again(
    study_folder: Path, workspace_at: Callable[[Path], Sitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.errors import BadInput

    workspace = workspace_at(study_folder)
    here, _ = workspace.at_hand
    workspace.maker.edit_others(True)
    workspace.paint([here.slice + 1, here.slice + 2])

    def full(*_: Any, **__: Any) -> None:
        raise BadInput("the disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(workspace.session.study.drafts, "save", full)
        assert not workspace.guarded(workspace.maker.take_in)
    assert workspace.guarded(workspace.maker.take_in)
    assert [one.slice for one in workspace.session.study.drafts.all(here.case)] == [here.slice + 1, here.slice + 2]
