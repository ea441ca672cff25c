"""Lesions drawn on a slice with the class that the difference proposes, and what a new ranking changed."""

from __future__ import annotations

import numpy as np

from LMIALLib.loop.lesions import DrawnLesion, drawn_lesions, next_class, proposed_class
from LMIALLib.loop.ranking_change import what_changed
from LMIALLib.queries.query import Query
from LMIALLib.study.labels import LabelSchema


def flat(value: float) -> np.ndarray:
    return np.full((20, 20), value)


def test_lesions_are_told_apart_largest_first_with_area_and_class() -> None:
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[2:4, 2:4] = 1
    mask[10:15, 10:14] = 2
    mask[15, 14] = 3  # touches by a corner: the same lesion
    lesions = drawn_lesions(mask, flat(0.0), flat(3.0), (1.0, 2.0))
    assert [(lesion.value, lesion.area_mm2, lesion.proposed) for lesion in lesions] == [
        (2, 42.0, "new"),
        (1, 8.0, "new"),
    ]
    assert drawn_lesions(np.zeros_like(mask), flat(0.0), flat(0.0), (1.0, 1.0)) == []


def test_the_sign_of_the_difference_and_what_was_there_propose_the_class() -> None:
    region = np.ones((20, 20), dtype=bool)
    assert proposed_class(region, flat(0.0), flat(3.0)) == "new"
    assert proposed_class(region, flat(2.0), flat(4.0)) == "enlarged"
    assert proposed_class(region, flat(4.0), flat(2.0)) == "shrunk"
    assert proposed_class(region, flat(3.0), flat(0.0)) == "vanished"
    assert proposed_class(region, flat(1.0), flat(1.2)) == ""


def test_the_class_key_gives_the_proposed_class_first_and_comes_round() -> None:
    schema = LabelSchema.default()
    value, seen = 1, []
    for _ in range(5):
        value = next_class(DrawnLesion(np.ones((2, 2), dtype=bool), value, 1.0, "shrunk"), schema)
        seen.append(schema.name_of(value))
    assert seen == ["shrunk", "new", "enlarged", "vanished", "change"]
    assert next_class(DrawnLesion(np.ones((2, 2), dtype=bool), 1, 1.0, ""), schema) == 2


def queue(*places: tuple[str, int]) -> list[Query]:
    return [Query(k, case, number, 1.0, "strategy", {}, "", (0, 0)) for k, (case, number) in enumerate(places, 1)]


def test_news_of_a_ranking_count_slices_as_readers_do() -> None:
    before = queue(("a", 4), ("a", 8), ("a", 1))
    assert what_changed(before, before, 3) == "The next queries stay the same."
    assert what_changed(before, queue(("a", 8), ("a", 4), ("a", 1)), 3) == "The same slices in another order: 9, 5, 2."
    assert what_changed(before, queue(("a", 4), ("a", 30)), 3) == "New among the next 2: 31."
    assert what_changed(before, queue(("a", 4), ("b", 30)), 3) == "New among the next 2: b 31."
    assert what_changed(before, [], 3) == "Nothing is waiting."
