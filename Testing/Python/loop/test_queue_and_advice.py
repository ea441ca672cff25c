"""What comes next, and when to stop."""

from __future__ import annotations

from LMIALLib.loop.advice import pooled_dice, stop_advice
from LMIALLib.loop.queue import waiting
from LMIALLib.queries.query import Query
from LMIALLib.study.answer import SliceTest


def query(rank: int, case: str, number: int) -> Query:
    return Query(rank=rank, case=case, slice=number, score=1.0, drawn="strategy", terms={}, reason="", centre=(0, 0))


def counts(overlap: int, predicted: int, marked: int) -> SliceTest:
    return SliceTest("model", overlap, predicted, marked)


QUERIES = [query(1, "a", 5), query(2, "b", 1), query(3, "a", 9), query(4, "b", 7), query(5, "a", 2), query(6, "b", 3)]


def test_queries_of_a_batch_are_grouped_by_case_and_batches_stay_apart() -> None:
    order = [(q.case, q.slice) for q in waiting(QUERIES, {}, {}, batch=4)]
    assert order == [("a", 5), ("a", 9), ("b", 1), ("b", 7), ("a", 2), ("b", 3)]


def test_answered_slices_are_gone_and_skipped_ones_come_last() -> None:
    left = waiting(QUERIES, {"a": frozenset({5})}, {"a": frozenset({9})}, batch=6)
    assert [(q.case, q.slice) for q in left] == [("a", 2), ("b", 1), ("b", 7), ("b", 3), ("a", 9)]


def test_dice_is_pooled_and_undefined_where_there_is_nothing() -> None:
    assert pooled_dice([counts(0, 0, 0)]) is None
    assert pooled_dice([counts(5, 10, 10), counts(0, 0, 0)]) == 0.5


def test_below_eight_random_slices_nothing_is_advised() -> None:
    advice = stop_advice([counts(5, 10, 10)] * 7)
    assert advice.stop is None and "Too few to judge" in advice.sentence


def test_slices_without_change_advise_nothing() -> None:
    assert stop_advice([counts(0, 0, 0)] * 20).stop is None


def test_a_model_that_no_longer_improves_may_stop_and_one_that_does_goes_on() -> None:
    flat = stop_advice([counts(90, 100, 100)] * 16)
    rising = stop_advice([counts(30, 100, 100)] * 8 + [counts(90, 100, 100)] * 8)
    assert flat.stop is True and flat.earlier == 0.9
    assert rising.stop is False and rising.later == 0.9
