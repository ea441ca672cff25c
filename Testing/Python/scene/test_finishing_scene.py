"""Finishing a patient at a workspace, on a real scene: a sweep, the word, lesions as a whole, a ranking that comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.loop.patient import Estimate
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.scene.brush import Brush
from LMIALLib.scene.following import SETTLING
from LMIALLib.scene.patient_shown import curve_points, patient_of
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import PlainView, look_first
from Testing.Python.scene.test_listing import open_run, suggest


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace_at(place: Place, clock: Clock) -> Iterator[Callable[[Path], Workspace]]:
    workspaces: list[Workspace] = []

    def make(folder: Path) -> Workspace:
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        screen = Screen(place.scene, views, opening, clock=clock)
        workspaces.append(Workspace(screen, Brush(screen)))
        look_first(workspaces[-1])
        workspaces[-1].start()
        return workspaces[-1]

    yield make
    for workspace in workspaces:
        workspace.close()


def stands(workspace: Workspace, clock: Clock, seconds: float) -> None:
    """The slice on the screen stands there for a while."""
    assert workspace.viewing.sight.place is not None
    clock.now += 0.3
    workspace.viewing.sight.looked(workspace.viewing.sight.place.number, 0.3)
    workspace.tick()
    clock.now += seconds - 0.3
    workspace.tick()


def test_a_sweep_shows_what_is_left_at_its_pace_and_keeps_what_was_seen(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    workspace = workspace_at(study_folder)
    workspace.finishing.sweep()
    first = workspace.screen.shown_slice
    assert workspace.finishing.sweeping and first is not None
    stands(workspace, clock, 0.8)
    assert workspace.screen.shown_slice == first, "not long enough"
    stands(workspace, clock, 1.1)
    stands(workspace, clock, 1.1)
    assert workspace.screen.shown_slice == first + 2
    assert workspace.finishing.interrupts("looked") is False and workspace.finishing.interrupts("save") is True
    assert workspace.session.study.sweeps.viewed("head") == {first, first + 1}
    assert not workspace.finishing.sweeping and not workspace.finishing.interrupts("save")
    workspace.finishing.sweep()
    assert workspace.screen.shown_slice == first + 2, "goes on where it was stopped"


def test_a_sweep_to_its_end_leaves_nothing_unseen_and_the_patient_can_be_finished_at_once(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    workspace = workspace_at(study_folder)
    while workspace.finishing.pace != 0.5:
        workspace.finishing.next_pace()
    workspace.finishing.sweep()
    for _ in range(workspace.session.study.cases.get("head").n_slices):
        if workspace.finishing.sweeping:
            stands(workspace, clock, 0.6)
    assert not workspace.finishing.sweeping
    region = workspace.open.images.pair.stack(workspace.open.images.pair.mask).any(axis=(1, 2))
    assert workspace.session.study.sweeps.viewed("head") == set(np.flatnonzero(region).tolist())


def test_finished_is_said_twice_where_slices_were_not_seen(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    workspace = workspace_at(study_folder)
    workspace.finishing.finish()
    workspace.finishing.finish()  # a bounced key
    assert not patient_of(workspace)["finished"]
    clock.now += 1.0
    workspace.finishing.finish()
    shown = patient_of(workspace)
    assert shown["finished"] and shown["sentence"] == "This patient is finished." and not workspace.screen.queue
    workspace.finishing.reopen()
    assert not patient_of(workspace)["finished"] and workspace.screen.queue
    assert workspace.session.current is not None and workspace.session.current.case == "head", (
        "its next query is there at once"
    )


def test_a_lesion_is_accepted_or_rejected_only_where_it_was_seen(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    start = open_run(study_folder, 3)
    suggest(study_folder, np.s_[start : start + 3, 20:24, 30:34])
    workspace = workspace_at(study_folder)
    (lesion,) = workspace.lesion_list.lesions()
    if workspace.session.current is not None and start <= workspace.session.current.slice < start + 3:
        workspace.presenting.look_at("head")
    with pytest.raises(BadInput, match="was not on the screen"):
        workspace.lesion_list.accept(lesion.number)
    workspace.lesion_list.go_to(lesion.number)
    assert workspace.viewing.sight.place is not None
    workspace.viewing.sight.looked(workspace.viewing.sight.place.number, 1.0)
    workspace.lesion_list.reject(lesion.number)
    (said,) = workspace.session.study.lesion_answers.current("head")
    assert said.verdict == "rejected" and said.shown == {workspace.screen.shown_slice} and said.voxels.sum() == 3 * 16
    workspace.lesion_list.take_back()
    assert not workspace.session.study.lesion_answers.current("head")
    with pytest.raises(BadInput, match="no lesion 99"):
        workspace.lesion_list.accept(99)


def test_a_suggested_lesion_is_outlined_wider_and_accepted_so(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    start = open_run(study_folder, 3)
    suggest(study_folder, np.s_[start : start + 3, 20:24, 30:34])
    workspace = workspace_at(study_folder)
    workspace.presenting.choose(start + 5 if start < 8 else start - 5)
    (lesion,) = workspace.lesion_list.lesions()
    workspace.lesion_list.go_to(lesion.number)
    assert workspace.viewing.sight.place is not None
    workspace.viewing.sight.looked(workspace.viewing.sight.place.number, 1.0)
    drawn = workspace.screen.opened().overlays._suggested
    suggested = drawn > 0
    workspace.lesion_list.wider(lesion.number)
    wider = drawn > 0
    assert wider.sum() > suggested.sum() and not (suggested & ~wider).any() and workspace.screen.tools.showing
    workspace.lesion_list.tighter(lesion.number)
    assert np.array_equal(drawn > 0, suggested), "a step back is as it was"
    workspace.lesion_list.wider(lesion.number)
    workspace.lesion_list.accept(lesion.number)
    (answer,) = workspace.session.study.lesion_answers.current("head")
    assert answer.verdict == "outlined" and np.array_equal(answer.change, wider)
    assert np.array_equal(drawn[sorted(answer.shown)] > 0, wider[sorted(answer.shown)]), "it stays as it was outlined"
    (kind, text) = workspace.screen.notices[-1]
    assert kind == "good" and text.startswith(f"Lesion {lesion.number} is accepted as you outlined it")
    for _ in range(9):
        workspace.lesion_list.tighter(lesion.number)
    assert "gets no tighter" in workspace.screen.notices[-1][1]
    assert workspace.lesion_list.suggested(lesion.number).any()


def test_a_query_gives_way_to_a_better_one_only_before_the_reader_has_begun(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    workspace = workspace_at(study_folder)
    here = workspace.session.current
    assert here is not None
    better = next(
        query for query in workspace.session.queue() if query.slice != here.slice and query.drawn == "strategy"
    )
    workspace.screen.queue = [better, *(one for one in workspace.screen.queue if one is not better)]
    workspace.screen.refresh = lambda: None  # type: ignore[method-assign]
    workspace.following.take_ranking()
    assert workspace.session.current.slice == better.slice
    workspace.screen.queue = [
        query for query in workspace.screen.queue if query.slice == here.slice
    ] + workspace.screen.queue
    clock.now += SETTLING + 0.1
    workspace.following.take_ranking()
    assert workspace.session.current.slice == better.slice, "the reader has looked at it for a moment"
    clock.now -= SETTLING
    workspace.viewing.go_to(better.slice + 1)
    workspace.following.take_ranking()
    assert workspace.session.current.slice == better.slice, "the reader has scrolled"


def test_the_curve_is_drawn_from_its_estimates() -> None:
    one = Estimate(1.0, 0.5, 2.0, 0.1, 0.5, 0.25, 0.75, answers=0)
    two = Estimate(1.0, 0.5, 2.0, 0.1, 1.0, 0.75, 1.0, answers=4)
    none = Estimate(0.0, 0.0, 0.5, 0.1, answers=2)
    assert curve_points([one, none, two]) == ("0.0,20.0 100.0,0.0", "0.0,10.0 100.0,0.0 100.0,10.0 0.0,30.0")
    assert curve_points([one]) == ("", "") == curve_points([none, none])


def test_slices_without_anything_to_see_are_never_left_over(
    study_folder: Path, workspace_at: Callable[[Path], Workspace], clock: Clock
) -> None:
    workspace = workspace_at(study_folder)
    region = workspace.screen.opened().images.inside
    outside = int(np.count_nonzero(~region))
    assert len(workspace.finishing.left) == region.size - outside
    assert outside > 0, "a head has slices above its brain"
    region[np.flatnonzero(region)[1:]] = False  # all but one
    assert patient_of(workspace)["left"] == 1
    workspace.finishing.sweep()
    assert workspace.finishing.ahead == patient_of(workspace)["ahead"] == 1
    stands(workspace, clock, 1.1)
    assert not workspace.finishing.sweeping and patient_of(workspace)["left"] == 0
    workspace.finishing.finish()
    assert workspace.session.patient.standing("head").finished, "once is enough where nothing is left"
    assert [text for kind, text in workspace.screen.notices if kind == "good"][-1] == "head is finished."


def test_a_patient_without_a_mark_has_no_dice_and_no_curve() -> None:
    unmarked = Estimate(0.01, 0.0, 0.1, 0.2, 0.0, 0.0, 1.0, answers=3)
    assert unmarked.sentence.startswith("No change so far;")
    assert curve_points([unmarked, unmarked]) == ("", "")


def test_an_answer_without_its_head_is_learnt_at_the_next_opening(
    study_folder: Path, workspace_at: Callable[[Path], Workspace]
) -> None:
    workspace = workspace_at(study_folder)
    here = workspace.session.current
    assert here is not None and workspace.session.learning.ranking is None, "there is nothing to learn yet"
    workspace.session.study.answers.save(NewAnswer(here.case, here.slice, "nothing", reader="anna"))
    workspace.close()
    assert workspace_at(study_folder).session.learning.ranking is not None
