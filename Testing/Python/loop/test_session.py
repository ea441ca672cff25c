"""The loop on a real study with a real worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.evaluation.simulated_reader import ExactReader
from LMIALLib.loop.replay import replay
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.study.checks import check_study
from LMIALLib.study.store import Study


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opened(study_folder: Path) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def make(*, clock: Clock | None = None, **settings: object) -> Session:
        study = Study.open(study_folder, reader="anna")
        settings = {"train": False, **settings}
        sessions.append(
            Session(study, reader="anna", settings=LoopSettings(**settings), **({"clock": clock} if clock else {}))
        )
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
        session.study.close()


def drawn(session: Session) -> np.ndarray:
    shape = session.study.cases.get("head").slice_shape
    mask = np.zeros(shape, dtype=np.uint8)
    mask[shape[0] // 2 : shape[0] // 2 + 4, shape[1] // 2 : shape[1] // 2 + 4] = 1
    return mask


def test_an_answer_is_stored_with_everything_and_the_slice_leaves_the_queue(opened: Callable[..., Session]) -> None:
    clock = Clock()
    session = opened(clock=clock)
    query = session.next()
    assert query is not None
    clock.now += 12.5
    annotation = session.save(drawn(session))
    assert (annotation.reader, annotation.seconds, annotation.version) == ("anna", 12.5, 1)
    assert (annotation.query_rank, annotation.drawn, annotation.ranking) == (query.rank, query.drawn, 1)
    assert annotation.model == session.study.models.in_use().id
    assert (query.case, query.slice) not in {(q.case, q.slice) for q in session.queue()}


def test_answers_without_a_slice_are_refused(opened: Callable[..., Session]) -> None:
    with pytest.raises(WrongUse, match="No slice is shown"):
        opened().nothing_here()


def test_skip_is_no_annotation_and_the_slice_returns_at_the_end(opened: Callable[..., Session]) -> None:
    session = opened()
    first = session.next()
    session.skip()
    queue = session.queue()
    assert first.slice not in session.study.answers.current("head")
    assert queue[0].slice != first.slice and queue[-1].slice == first.slice


def test_back_returns_to_the_last_answer_and_answering_again_is_a_new_version(opened: Callable[..., Session]) -> None:
    session = opened()
    first = session.next()
    session.nothing_here()
    session.next()
    assert session.back() == (first.case, first.slice)
    assert session.save(drawn(session)).version == 2
    assert session.study.answers.current("head")[first.slice].answer == "mask"


def test_taking_back_returns_the_slice_to_the_pool(opened: Callable[..., Session]) -> None:
    session = opened()
    first = session.next()
    session.nothing_here()
    session.back()
    session.take_back()
    assert first.slice not in session.study.answers.current("head")
    assert first.slice in [q.slice for q in session.queue()]


def test_a_random_query_never_shows_the_suggestion_and_others_note_that_it_was_seen(
    opened: Callable[..., Session],
) -> None:
    clock = Clock()
    session = opened(clock=clock)
    queue = session.queue()
    chosen = next(q for q in queue if q.drawn == "strategy")
    random = next(q for q in queue if q.drawn == "random")
    session.present("head", random.slice, random)
    assert session.suggestion() is None
    session.present("head", chosen.slice, chosen)
    clock.now += 3
    suggestion = session.suggestion()
    assert suggestion.shape == session.study.cases.get("head").slice_shape
    annotation = session.save(suggestion.astype(np.uint8)) if suggestion.any() else session.nothing_here()
    assert annotation.suggestion_seen and annotation.suggestion_seconds == 3 and annotation.accepted_unchanged


def test_every_saved_slice_was_scored_before_training(
    opened: Callable[..., Session], phantom_truth: np.ndarray
) -> None:
    session = opened()
    ExactReader({"head": phantom_truth}).answer_next(session, 7)
    tests = session.study.answers.slice_tests()
    assert len(tests) == 7
    for one in tests:
        marked = 0 if one.mask is None else int((one.mask != 0).sum())
        assert one.test is not None and one.test.marked == marked and one.test.overlap <= marked
    assert {one.drawn for one in tests} == {"strategy", "random"}
    assert session.stop_advice().stop is None


def test_a_draft_survives_and_an_answer_drops_it(opened: Callable[..., Session]) -> None:
    session = opened()
    query = session.next()
    session.draft(drawn(session))
    kept = session.study.drafts.get("head", query.slice)
    assert kept is not None and np.array_equal(kept.mask, drawn(session))
    session.save(drawn(session))
    assert session.study.drafts.get("head", query.slice) is None


def test_saves_train_in_the_background_once_and_an_adopted_model_ranks_again(
    opened: Callable[..., Session], phantom_truth: np.ndarray
) -> None:
    session = opened(train=True)
    ExactReader({"head": phantom_truth}).answer_next(session, 3)
    first = session.learning.training
    assert first is not None
    ExactReader({"head": phantom_truth}).answer_next(session, 1)
    assert session.learning.training is first, "a save must never start a second run beside the first, or kill it"
    session.learning.cancel_training()
    while not first.over:
        session.learning.poll(timeout=0.1)
    session.learning.request_training(steps=4)
    result = session.learning.wait(session.learning.training)
    assert len(session.study.models.all()) == 2
    assert session.study.models.in_use().id == (result.model if result.adopted else result.parent)
    assert result.report["read"] == 4


def test_every_stored_ranking_replays_bit_for_bit_also_after_answers(
    opened: Callable[..., Session], phantom_truth: np.ndarray
) -> None:
    session = opened(strategy="bald", seed=5)
    session.learning.wait(session.learning.request_ranking())
    ExactReader({"head": phantom_truth}).answer_next(session, 2)
    session.learning.wait(session.learning.request_ranking())
    results = [replay(session, stored) for stored in session.study.rankings.all()]
    assert len(results) == 3
    assert all(result.identical and not result.differing for result in results), [r.sentence for r in results]


def test_a_replay_with_other_threads_says_how_far_it_agrees(opened: Callable[..., Session]) -> None:
    from dataclasses import replace

    session = opened()
    stored = session.study.rankings.latest()
    other = replace(stored, conditions={**stored.conditions, "threads": 1, "cpu": "another"})
    result = replay(session, other)
    assert "cpu" in result.differing
    assert result.identical or "Spearman" in result.sentence


def test_a_case_registered_again_keeps_its_answers_and_shows_no_map_of_the_pair_before(
    opened: Callable[..., Session],
) -> None:
    session = opened()
    query = session.next()
    assert query is not None and session.suggestions.maps(session.current) is not None
    session.save(drawn(session))
    before, digest = session.study.cases.get("head"), session.study.cases.load_pair("head").digest()
    session.learning.wait(session.learning.pairs.register_again("head", "rigid"))
    case = session.study.cases.get("head")
    assert (case.pair_number, case.grid, case.axis) == (before.pair_number + 1, before.grid, before.axis)
    assert session.study.cases.load_pair("head").registration["kind"] == "rigid"
    assert session.study.cases.load_pair("head", before.pair_number).digest() == digest
    assert query.slice in session.study.answers.current("head")
    session.next()
    assert session.suggestions.maps(session.current) is None and session.suggestion() is None
    session.learning.wait(session.learning.request_ranking())
    session.next()
    assert session.suggestions.maps(session.current) is not None
    assert not list((session.study.folder / "cases").glob(".staging-*"))
    assert check_study(session.study) == ()


def test_registering_again_that_fails_leaves_everything_as_it_was(opened: Callable[..., Session]) -> None:
    session = opened()
    before = session.study.cases.get("head")
    job = session.learning.pairs.register_again("head", "deformable")
    with pytest.raises(WrongUse, match="rigid or affine"):
        session.learning.wait(job)
    assert session.study.cases.get("head") == before
    assert not list((session.study.folder / "cases").glob(".staging-*"))
