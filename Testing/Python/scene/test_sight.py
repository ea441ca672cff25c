"""What counts as seen, when an answer is taken, and what accepting a suggestion adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.navigation import Navigation
from LMIALLib.scene.painting import added_parts
from LMIALLib.scene.sight import LONG_ENOUGH, Sight, unseen_share

if TYPE_CHECKING:
    from Testing.Python.scene.sitting import Sitting

GRID = Grid((20, 30, 10), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
PANE = (80, 60)


def look_at(sight: Sight, number: int, row: float, column: float, *, follow_up_shown: bool = True) -> int:
    """Show 9 columns and 7 rows around a voxel; the number of the place."""
    navigation = Navigation.of(GRID, 0)
    navigation.go_to(number, (row, column))
    navigation.mm_per_pixel = 0.1
    sight.move("a", "a 1", navigation, PANE, follow_up_shown=follow_up_shown)
    assert sight.place is not None
    return sight.place.number


def test_what_was_seen_is_the_union_of_what_was_shown_long_enough() -> None:
    sight = Sight()
    first = look_at(sight, 4, 15, 10)  # rows 12 to 18, columns 6 to 14: 7 x 9 = 63 voxels
    assert not sight.settled and not sight.seen("a", 4).any()
    sight.looked(first, LONG_ENOUGH / 2)
    assert not sight.settled and not sight.seen("a", 4).any()
    sight.looked(first, LONG_ENOUGH)
    assert sight.settled and sight.seen("a", 4).sum() == 63
    assert look_at(sight, 4, 15, 10) == first, "the same place is no new one"
    second = look_at(sight, 4, 15, 14)  # four columns further: 7 x 4 more
    assert not sight.settled
    sight.looked(second, 1.0)
    assert sight.seen("a", 4).sum() == 63 + 28 and not sight.seen("a", 5).any()
    assert sight.seconds("a", 4) == pytest.approx(1.0 + LONG_ENOUGH)
    third = look_at(sight, 5, 15, 10, follow_up_shown=False)
    sight.looked(third, 1.0)
    assert sight.settled and not sight.seen("a", 5).any(), "the baseline under the brush shows nothing of the follow-up"


def test_a_face_may_speak_of_a_place_a_little_after_it_was_left_and_never_of_one_to_come() -> None:
    sight = Sight()
    first, second = look_at(sight, 4, 15, 10), look_at(sight, 5, 15, 10)
    sight.looked(second + 1, 9.0)
    sight.looked(second, 0.1)
    sight.looked(first, 9.0)
    assert not sight.settled, "it still looks at the first one"
    assert sight.seen("a", 4).any() and not sight.seen("a", 5).any()


def test_other_images_of_a_case_begin_unseen() -> None:
    sight = Sight()
    sight.looked(look_at(sight, 4, 15, 10), 1.0)
    navigation = Navigation.of(GRID, 0)
    sight.move("a", "a 2", navigation, PANE, follow_up_shown=True)
    assert not sight.seen("a", 4).any() and sight.seconds("a", 4) == 0


def test_the_share_that_was_not_seen_is_of_the_region() -> None:
    region, seen = np.zeros((4, 5), dtype=bool), np.zeros((4, 5), dtype=bool)
    assert unseen_share(region, seen) == 0.0  # nothing to search there
    region[1:3, 1:5] = True  # 8 voxels
    seen[:, :3] = True  # 4 of them, and others that do not count
    assert unseen_share(region, seen) == 0.5


def test_accepting_adds_lesions_that_touch_nothing_and_tells_the_rest_of_the_others() -> None:
    # three suggested lesions in a row of 12: columns 0-1, 4-6, 9-11; drawn: column 5, column 12 does not exist, and
    # column 2, which touches the first over its edge
    suggested = np.zeros((3, 12), dtype=bool)
    suggested[1, [0, 1, 4, 5, 6, 9, 10, 11]] = True
    drawn = np.zeros_like(suggested)
    drawn[1, 5] = drawn[2, 2] = True  # (2, 2) touches (1, 1) over a corner
    beside, along = added_parts(suggested, drawn)
    assert np.flatnonzero(beside[1]).tolist() == [9, 10, 11]
    assert np.flatnonzero(along[1]).tolist() == [0, 1, 4, 6] and not along[[0, 2]].any()
    beside, along = added_parts(suggested, suggested)
    assert not beside.any() and not along.any(), "what was accepted before asks for nothing"


def scroll_away(workspace: Sitting) -> tuple[int, int]:
    here, opened = workspace.at_hand
    away = here.slice + 2 if here.slice + 2 < opened.images.pair.n_slices else here.slice - 2
    workspace.viewing.go_to(away)
    return here.slice, away


def test_an_answer_is_for_the_slice_that_is_shown(study_folder: Path, workspace_at: Callable[[Path], Sitting]) -> None:
    workspace = workspace_at(study_folder)
    now = [100.0]
    workspace.screen.clock = lambda: now[0]
    hand, away = scroll_away(workspace)
    workspace.answering.answer("nothing_here")
    assert f"You see slice {away + 1}, not slice {hand + 1}." in workspace.screen.notices[-1][1]
    now[0] += 0.05
    workspace.answering.answer("nothing_here")
    assert workspace.session.study.answers.current("head") == {}, "the bounce of the first press is no second one"
    now[0] += 0.5
    workspace.answering.answer("equivocal")
    assert workspace.session.study.answers.current("head") == {}, "another answer is asked for anew"
    now[0] += 60.0
    workspace.answering.answer("equivocal")
    assert workspace.session.study.answers.current("head") == {}, "and so is one after the sentence has gone"
    now[0] += 0.5
    workspace.answering.answer("equivocal")
    (stored,) = workspace.session.study.answers.current("head").values()
    assert stored.slice == away and stored.seconds == pytest.approx(1.0)


def test_what_is_drawn_elsewhere_is_what_is_saved(study_folder: Path, workspace_at: Callable[[Path], Sitting]) -> None:
    workspace = workspace_at(study_folder)
    now = [100.0]
    workspace.screen.clock = lambda: now[0]
    hand, away = scroll_away(workspace)
    workspace.paint([hand])
    workspace.maker.take_in()
    with pytest.raises(BadInput, match=f"Nothing is drawn on slice {away + 1}"):
        workspace.answering.answer("save")
    workspace.presenting.choose(away)
    workspace.paint([away])
    workspace.maker.take_in()
    drawn = workspace.at_hand[1].drawing.mask
    workspace.presenting.choose(hand)
    workspace.viewing.go_to(away)
    workspace.answering.answer("save")
    now[0] += 0.5
    workspace.answering.answer("save")
    (stored,) = workspace.session.study.answers.current("head").values()
    assert stored.slice == away and np.array_equal(stored.mask, drawn)
    assert workspace.session.study.drafts.get("head", hand) is not None, (
        "and what was drawn on the query is a draft still"
    )


def test_zoomed_off_parts_are_asked_about_where_an_answer_speaks_for_them(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    workspace = workspace_at(study_folder)
    now = [100.0]
    workspace.screen.clock = lambda: now[0]
    _, opened = workspace.at_hand
    workspace.viewing.zoom("follow_up", 0.25, 0.5, 0.5)
    number = workspace.at_hand[0].slice
    workspace.answering.answer("nothing_here")
    assert (
        "was never on the screen" in workspace.screen.notices[-1][1]
        and workspace.session.study.answers.current("head") == {}
    )
    workspace.viewing.fit()
    workspace.answering.answer("nothing_here")
    stored = workspace.session.study.answers.current("head")[number]
    assert stored.viewed_share == 1.0
    seen = workspace.session.study.answers.viewed_of(stored)
    assert seen is not None and seen[opened.images.pair.stack(opened.images.pair.mask)[number]].all()
    # an own drawing speaks for itself: it is stored at once, with what was seen
    workspace.viewing.zoom("follow_up", 0.25, 0.5, 0.5)
    number = workspace.at_hand[0].slice
    workspace.paint([number])
    workspace.maker.take_in()
    workspace.answering.answer("save")
    stored = workspace.session.study.answers.current("head")[number]
    assert stored.answer == "mask" and stored.viewed_share is not None and stored.viewed_share < 0.9


def test_no_answer_before_the_slice_was_looked_at_and_none_in_another_plane(
    study_folder: Path, workspace_at: Callable[[Path], Sitting]
) -> None:
    from LMIALLib.scene.answering import Answering

    workspace = workspace_at(study_folder)
    Answering.answer(workspace.answering, "nothing_here")  # without a look
    assert "only just come" in workspace.screen.notices[-1][1]
    assert workspace.session.study.answers.current("head") == {}
    workspace.viewing.turn_plane()
    with pytest.raises(BadInput, match="another plane"):
        workspace.answering.answer("nothing_here")
