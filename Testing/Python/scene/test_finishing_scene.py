"""Finishing a patient at a desk, on a real scene: a sweep, the word, lesions as a whole, a ranking that comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.loop.patient import Estimate
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.scene.desk import SETTLING, Desk
from LMIALLib.scene.patient_shown import curve_points, patient_of
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from Testing.Python.scene.mrml_scene import Place
from Testing.Python.scene.sitting import LooksFirst, PlainView
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
def desk_at(place: Place, clock: Clock) -> Iterator[Callable[[Path], Desk]]:
    desks: list[Desk] = []

    def make(folder: Path) -> Desk:
        views = dict(zip(("baseline", "follow_up", "difference"), map(PlainView, place.views), strict=True))

        def opening(take_over: bool) -> Session:
            study = Study.open(folder, reader="anna", take_over=take_over)
            return Session(study, reader="anna", settings=LoopSettings(train=False))

        desks.append(LooksFirst(place.scene, views, opening, clock=clock))
        desks[-1].start()
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def stands(desk: Desk, clock: Clock, seconds: float) -> None:
    """The slice on the screen stands there for a while."""
    assert desk.sight.place is not None
    clock.now += 0.3
    desk.looked(desk.sight.place.number, 0.3)
    desk.tick()
    clock.now += seconds - 0.3
    desk.tick()


def test_a_sweep_shows_what_is_left_at_its_pace_and_keeps_what_was_seen(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    desk = desk_at(study_folder)
    desk.finishing.sweep()
    first = desk.shown_slice
    assert desk.finishing.sweeping and first is not None
    stands(desk, clock, 0.8)
    assert desk.shown_slice == first, "not long enough"
    stands(desk, clock, 1.1)
    stands(desk, clock, 1.1)
    assert desk.shown_slice == first + 2
    assert desk.finishing.interrupts("looked") is False and desk.finishing.interrupts("save") is True
    assert desk.session.study.sweeps.viewed("head") == {first, first + 1}
    assert not desk.finishing.sweeping and not desk.finishing.interrupts("save")
    desk.finishing.sweep()
    assert desk.shown_slice == first + 2, "goes on where it was stopped"


def test_a_sweep_to_its_end_leaves_nothing_unseen_and_the_patient_can_be_finished_at_once(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    desk = desk_at(study_folder)
    while desk.finishing.pace != 0.5:
        desk.finishing.next_pace()
    desk.finishing.sweep()
    for _ in range(desk.session.study.cases.get("head").n_slices):
        if desk.finishing.sweeping:
            stands(desk, clock, 0.6)
    assert not desk.finishing.sweeping
    region = desk.open.images.pair.stack(desk.open.images.pair.mask).any(axis=(1, 2))
    assert desk.session.study.sweeps.viewed("head") == set(np.flatnonzero(region).tolist())


def test_finished_is_said_twice_where_slices_were_not_seen(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    desk = desk_at(study_folder)
    desk.finishing.finish()
    desk.finishing.finish()  # a bounced key
    assert not patient_of(desk)["finished"]
    clock.now += 1.0
    desk.finishing.finish()
    shown = patient_of(desk)
    assert shown["finished"] and shown["sentence"] == "This patient is finished." and not desk.queue
    desk.finishing.reopen()
    assert not patient_of(desk)["finished"] and desk.queue
    assert desk.session.current is not None and desk.session.current.case == "head", "its next query is there at once"


def test_a_lesion_is_accepted_or_rejected_only_where_it_was_seen(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    start = open_run(study_folder, 3)
    suggest(study_folder, np.s_[start : start + 3, 20:24, 30:34])
    desk = desk_at(study_folder)
    (lesion,) = desk.objects()
    if desk.session.current is not None and start <= desk.session.current.slice < start + 3:
        desk.look_at("head")
    with pytest.raises(BadInput, match="was not on the screen"):
        desk.finishing.accept_lesion(lesion.number)
    desk.go_to_lesion(lesion.number)
    assert desk.sight.place is not None
    desk.looked(desk.sight.place.number, 1.0)
    desk.finishing.reject_lesion(lesion.number)
    (said,) = desk.session.study.lesion_answers.current("head")
    assert said.verdict == "rejected" and said.shown == {desk.shown_slice} and said.voxels.sum() == 3 * 16
    desk.finishing.take_back_lesion()
    assert not desk.session.study.lesion_answers.current("head")
    with pytest.raises(BadInput, match="no lesion 99"):
        desk.finishing.accept_lesion(99)


def test_a_query_gives_way_to_a_better_one_only_before_the_reader_has_begun(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    desk = desk_at(study_folder)
    here = desk.session.current
    assert here is not None
    better = next(query for query in desk.session.queue() if query.slice != here.slice and query.drawn == "strategy")
    desk.queue = [better, *(one for one in desk.queue if one is not better)]
    desk.refresh = lambda: None  # type: ignore[method-assign]
    desk._take_ranking()
    assert desk.session.current.slice == better.slice
    desk.queue = [query for query in desk.queue if query.slice == here.slice] + desk.queue
    clock.now += SETTLING + 0.1
    desk._take_ranking()
    assert desk.session.current.slice == better.slice, "the reader has looked at it for a moment"
    clock.now -= SETTLING
    desk.go_to(better.slice + 1)
    desk._take_ranking()
    assert desk.session.current.slice == better.slice, "the reader has scrolled"


def test_the_curve_is_drawn_from_its_estimates() -> None:
    one = Estimate(1.0, 0.5, 2.0, 0.1, 0.5, 0.25, 0.75, answers=0)
    two = Estimate(1.0, 0.5, 2.0, 0.1, 1.0, 0.75, 1.0, answers=4)
    none = Estimate(0.0, 0.0, 0.5, 0.1, answers=2)
    assert curve_points([one, none, two]) == ("0.0,20.0 100.0,0.0", "0.0,10.0 100.0,0.0 100.0,10.0 0.0,30.0")
    assert curve_points([one]) == ("", "") == curve_points([none, none])


def test_slices_without_anything_to_see_are_never_left_over(
    study_folder: Path, desk_at: Callable[[Path], Desk], clock: Clock
) -> None:
    desk = desk_at(study_folder)
    region = desk._case().images.inside
    outside = int(np.count_nonzero(~region))
    assert len(desk.finishing.left) == region.size - outside
    assert outside > 0, "a head has slices above its brain"
    region[np.flatnonzero(region)[1:]] = False  # all but one
    assert patient_of(desk)["left"] == 1
    desk.finishing.sweep()
    assert desk.finishing.ahead == patient_of(desk)["ahead"] == 1
    stands(desk, clock, 1.1)
    assert not desk.finishing.sweeping and patient_of(desk)["left"] == 0
    desk.finishing.finish()
    assert desk.session.patient.standing("head").finished, "once is enough where nothing is left"
    assert [text for kind, text in desk.notices if kind == "good"][-1] == "head is finished."


def test_a_patient_without_a_mark_has_no_dice_and_no_curve() -> None:
    unmarked = Estimate(0.01, 0.0, 0.1, 0.2, 0.0, 0.0, 1.0, answers=3)
    assert unmarked.sentence.startswith("No change so far;")
    assert curve_points([unmarked, unmarked]) == ("", "")


def test_an_answer_without_its_head_is_learnt_at_the_next_opening(
    study_folder: Path, desk_at: Callable[[Path], Desk]
) -> None:
    desk = desk_at(study_folder)
    here = desk.session.current
    assert here is not None and desk.session.learning.ranking is None, "there is nothing to learn yet"
    desk.session.study.answers.save(NewAnswer(here.case, here.slice, "nothing", reader="anna"))
    desk.close()
    assert desk_at(study_folder).session.learning.ranking is not None
