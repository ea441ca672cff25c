"""What a reader can say of a slice, and what it means afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.study import UNREAD, NewAnswer, SliceTest, Study
from LMIALLib.study.status import status_of
from LMIALLib.study.targets import label_volume, training_examples, validation_examples


def test_an_annotation_comes_back_as_it_was_saved(study: Study, spot: np.ndarray) -> None:
    new = NewAnswer(
        "a", 3, "mask", spot, reader="Zoë", seconds=12.5, suggestion_seen=True, suggestion_seconds=4.25,
        accepted_unchanged=True, model="m0", query_rank=2, drawn="random", test=SliceTest("m0", 3, 5, 7),
    )  # fmt: skip
    saved = study.answers.save(new)
    study.close()
    with Study.open(study.folder) as again:
        (found,) = again.answers.all()
        assert found.mask is not None
        assert np.array_equal(found.mask, spot)
        assert replace(found, mask=None) == replace(saved, mask=None)
        told = {name: getattr(found, name) for name in vars(new) if name not in ("mask", "viewed")}
        assert told == {name: value for name, value in vars(new).items() if name not in ("mask", "viewed")}
        assert (found.version, found.saved_at[-1]) == (1, "Z")
        assert again.answers.slice_tests() == () or again.answers.slice_tests()[0].test == new.test


def test_the_newest_version_by_any_reader_counts_and_none_is_overwritten(study: Study, spot: np.ndarray) -> None:
    first = study.answers.save(NewAnswer("a", 1, "mask", spot, reader="r1"))
    second = study.answers.save(NewAnswer("a", 1, "nothing", reader="r2"))
    assert (first.version, second.version) == (1, 2)
    assert study.answers.current("a")[1].reader == "r2"
    assert study.answers.current("a", reader="r1")[1].answer == "mask"
    assert study.answers.current("a", upto=first.id)[1].answer == "mask"
    assert study.answers.current("a", upto=0) == {}
    assert [a.version for a in study.answers.all("a")] == [1, 2]
    with pytest.raises(sqlite3.IntegrityError, match="never overwritten"):
        study.database._connection.execute("UPDATE annotations SET answer = 'nothing'")


def test_a_skip_is_no_answer(study: Study, spot: np.ndarray) -> None:
    study.answers.save(NewAnswer("a", 1, "skip", reader="r"))
    assert study.answers.current("a") == {}
    assert study.answers.skipped("a") == {1}
    study.answers.save(NewAnswer("a", 1, "mask", spot, reader="r"))
    study.answers.save(NewAnswer("a", 1, "skip", reader="r"))
    assert study.answers.current("a")[1].answer == "mask"
    assert study.answers.skipped("a") == frozenset()


def test_taking_back_returns_the_slice_to_the_pool(study: Study) -> None:
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r"))
    assert study.answers.take_back("a", 1, "r").answer == "withdrawn"
    assert study.answers.current("a") == {}
    assert study.answers.skipped("a") == frozenset()
    assert training_examples(study) == ()
    with pytest.raises(WrongUse, match="no answer to take back"):
        study.answers.take_back("a", 1, "r")
    assert study.answers.save(NewAnswer("a", 1, "nothing", reader="r")).version == 3


GOOD = NewAnswer("a", 1, "nothing", reader="r")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"case": "nobody"}, "no case"),
        ({"case": "../a"}, "no case"),
        ({"slice": 6}, "its slices are 0 to 5"),
        ({"slice": -1}, "no slice -1"),
        ({"slice": 1.5}, "no slice"),
        ({"slice": True}, "no slice"),
        ({"answer": "maybe"}, "unknown"),
        ({"answer": "withdrawn"}, "unknown"),
        ({"reader": ""}, "reader"),
        ({"drawn": "fate"}, "drawn"),
        ({"seconds": -1.0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"ranking": 9}, "ranking 9"),
        ({"answer": "mask"}, "is empty"),
        ({"answer": "mask", "mask": np.zeros((8, 10), np.uint8)}, "answer 'nothing'"),
        ({"answer": "mask", "mask": np.ones((10, 8), np.uint8)}, r"shape \(10, 8\).*shape \(8, 10\)"),
        ({"answer": "mask", "mask": np.ones((1, 8, 10), np.uint8)}, "shape"),
        ({"answer": "mask", "mask": np.full((8, 10), 9, np.uint8)}, "holds 9"),
        ({"answer": "mask", "mask": np.full((8, 10), 255, np.uint8)}, "holds 255"),
        ({"answer": "mask", "mask": np.full((8, 10), 257)}, "holds 257"),
        ({"answer": "mask", "mask": np.full((8, 10), 0.5)}, "float64"),
        ({"answer": "nothing", "mask": np.ones((8, 10), bool)}, "marks voxels"),
        ({"answer": "skip", "mask": np.ones((8, 10), bool)}, "marks voxels"),
    ],
)
def test_a_wrong_annotation_is_one_sentence_and_nothing_is_written(study: Study, change: dict, says: str) -> None:
    before = study.log.events()
    with pytest.raises(BadInput, match=says):
        study.answers.save(replace(GOOD, **change))
    assert study.answers.all() == ()
    assert study.log.events() == before


def test_training_targets_mean_what_was_said(study: Study, spot: np.ndarray) -> None:
    doubt = np.zeros((8, 10), bool)
    doubt[0, :4] = True
    study.answers.save(NewAnswer("a", 0, "mask", spot, reader="r"))
    study.answers.save(NewAnswer("a", 1, "nothing", reader="r", drawn="random"))
    study.answers.save(NewAnswer("a", 2, "equivocal", doubt, reader="r"))
    study.answers.save(NewAnswer("a", 3, "equivocal", reader="r"))
    study.answers.save(NewAnswer("a", 4, "skip", reader="r"))
    found = {example.slice: example for example in training_examples(study)}
    assert sorted(found) == [0, 1, 2, 3], "a skipped or unread slice is no example"
    assert np.array_equal(found[0].target, (spot != 0).astype(np.uint8))
    assert not found[1].target.any()
    assert found[1].drawn == "random"
    assert np.array_equal(found[2].target, np.where(doubt, UNREAD, 0))
    assert (found[3].target == UNREAD).all()
    assert [e.slice for e in training_examples(study, upto=found[1].answer)] == [0, 1]


def test_classes_that_the_truth_does_not_cover_are_left_out(study: Study, add_case: Callable, spot: np.ndarray) -> None:
    add_case(study, "only-new", covered=["new"])
    study.answers.save(NewAnswer("only-new", 0, "mask", spot, reader="r"))
    (example,) = training_examples(study)
    assert np.array_equal(example.target, np.choose(spot, [0, 1, 1, UNREAD]))


def test_validation_subjects_are_never_trained_on(study: Study, add_case: Callable, make_pair: Callable) -> None:
    for number in range(1, 12):
        add_case(study, f"c{number}", pair=make_pair((4, 4, 4)))
    for case in study.cases.all():
        study.answers.save(NewAnswer(case.name, 0, "nothing", reader="r"))
    aside = {case.name for case in study.cases.all() if case.split == "validation"}
    assert len(aside) == 2 or len(aside) == 3
    assert {e.case for e in validation_examples(study)} == aside
    assert {e.case for e in training_examples(study)} == {c.name for c in study.cases.all()} - aside


def test_a_label_volume_never_calls_unread_no_change(study: Study, add_case: Callable, make_pair: Callable) -> None:
    case = add_case(study, "b", pair=make_pair((6, 8, 10), axis=2))
    mask = np.zeros(case.slice_shape, np.uint8)
    mask[1:3, 4] = 5
    doubt = np.zeros(case.slice_shape, bool)
    doubt[0, 0] = True
    study.answers.save(NewAnswer("b", 7, "mask", mask, reader="r1"))
    study.answers.save(NewAnswer("b", 8, "nothing", reader="r2"))
    study.answers.save(NewAnswer("b", 9, "equivocal", doubt, reader="r2"))
    values, reviewed = label_volume(study, "b")
    assert values.shape == reviewed.shape == (6, 8, 10)
    assert np.array_equal(values[:, :, 7], mask)
    assert not values[:, :, 8].any()
    assert values[0, 0, 9] == UNREAD
    assert values[1, 0, 9] == 0
    assert (values[:, :, :7] == UNREAD).all()
    assert np.array_equal(reviewed, values != UNREAD)
    by_one, _ = label_volume(study, "b", reader="r1")
    assert (by_one[:, :, 8] == UNREAD).all()


def test_a_draft_is_kept_until_the_slice_is_answered(study: Study, spot: np.ndarray) -> None:
    study.drafts.save("a", 2, spot, "r")
    spot[0, 0] = 1
    study.drafts.save("a", 2, spot, "r")
    study.drafts.save("a", 4, np.zeros_like(spot), "r")
    assert [d.slice for d in study.drafts.all("a")] == [2, 4]
    study.answers.save(NewAnswer("a", 2, "skip", reader="r"))
    draft = study.drafts.get("a", 2)
    assert draft is not None
    assert np.array_equal(draft.mask, spot)
    assert training_examples(study) == ()
    study.answers.save(NewAnswer("a", 2, "nothing", reader="r"))
    assert study.drafts.get("a", 2) is None
    study.drafts.drop("a", 4)
    assert study.drafts.all("a") == ()
    with pytest.raises(BadInput, match="shape"):
        study.drafts.save("a", 2, spot.T, "r")
    with pytest.raises(BadInput, match="no slice"):
        study.drafts.save("a", 6, spot, "r")


def test_the_status_counts_current_answers(study: Study, spot: np.ndarray) -> None:
    study.answers.save(NewAnswer("a", 0, "mask", spot, reader="r1", seconds=10))
    study.answers.save(NewAnswer("a", 0, "nothing", reader="r2", seconds=5))
    study.answers.save(NewAnswer("a", 1, "skip", reader="r2"))
    status = status_of(study)
    (case,) = status.cases
    assert (case.read, case.n_slices, case.answers, case.skipped) == (1, 6, {"nothing": 1}, 1)
    assert status.readers == {"r2": 1}
    assert status.seconds == 15
