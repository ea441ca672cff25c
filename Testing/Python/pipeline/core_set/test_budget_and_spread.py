"""How many slices are chosen, and from whom."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.budget import slices_of
from LMIALLib.pipeline.spread_core_set import SIGN, most_a_subject, signs_of_change, spread
from LMIALLib.queries import choices
from LMIALLib.queries.candidates import gather
from LMIALLib.queries.pool import CaseScores

EVERY = frozenset(("calm", "still", "wild"))


@pytest.mark.parametrize(
    ("budget", "slices"), [("5%", 10), ("2.5 %", 5), ("0.1%", 1), ("40", 40), (" 7 ", 7), ("99.9%", 199)]
)
def test_a_budget_is_a_share_rounded_down_or_a_count(budget: str, slices: int) -> None:
    assert slices_of(budget, 200) == slices


@pytest.mark.parametrize(
    "budget", ["0%", "0", "100%", "120 %", "200", "1000", "five", "", "%", "-5%", "2.5", "5%%", "nan", "inf%", "1e1"]
)
def test_a_budget_of_nothing_of_everything_or_no_number_is_refused_with_one_sentence(budget: str) -> None:
    with pytest.raises(BadInput, match="budget") as refused:
        slices_of(budget, 200)
    assert refused.value.exit_code == 3 and refused.value.sentence.count(".") <= 2


def scores(case: str, features: np.ndarray, skipped: frozenset[int] = frozenset()) -> CaseScores:
    count, none, all_ = len(features), frozenset[int](), np.ones(len(features), bool)
    return CaseScores(case, np.zeros(count), {}, np.zeros((count, 2), int), features, 1.0, none, skipped, all_)


def first_picks(
    most: int | None, count: int, signed: frozenset[str] = frozenset(("calm", "still", "wild"))
) -> list[str]:
    """Cases of the first picks among one whose slices are all far apart and two whose slices are nearly alike.

    In the cases of ``signed`` every slice shows signs of change, in others the first one alone.
    """
    draw = np.random.default_rng(0)
    cases = [
        scores("wild", 10 * draw.normal(size=(12, 4)).astype(np.float32)),
        scores("calm", draw.normal(size=(12, 4)).astype(np.float32)),
        scores("still", 0.1 * draw.normal(size=(12, 4)).astype(np.float32)),
    ]
    pool = gather(cases, 0)
    plain = choices.k_center
    signs = {one.case: (np.arange(12) == 0) | (one.case in signed) for one in cases}
    choice = plain if most is None else spread(plain, {one.case: one.case for one in cases}, most, signs)
    chooser = choice.begin(pool, 0.0)
    picked = []
    while len(picked) < count and (index := chooser.following(())) is not None:
        chooser.take(index)
        picked.append(index)
    assert len(set(picked)) == len(picked)
    return [pool.cases[pool.case[index]] for index in picked]


def test_without_a_limit_one_unlike_subject_takes_everything_and_with_it_only_its_share() -> None:
    assert set(first_picks(None, 9)) == {"wild"}
    limited = first_picks(most_a_subject(9, 3), 9)
    assert max(limited.count(name) for name in set(limited)) == 4 and len(set(limited)) == 3


def test_the_limit_is_lifted_where_no_other_subject_has_an_open_slice() -> None:
    everything = first_picks(2, 36)
    assert {name: everything.count(name) for name in set(everything)} == {"wild": 12, "calm": 12, "still": 12}


def test_below_the_limit_the_order_is_plain_k_center() -> None:
    assert first_picks(100, 30) == first_picks(None, 30)


def test_slices_with_signs_of_change_come_first_then_the_others_and_none_is_lost() -> None:
    picked = first_picks(12, 36, frozenset(("still",)))
    assert picked[:14].count("still") == 12 and set(picked[:14]) == {"still", "calm", "wild"}
    assert set(picked[14:23]) == {"wild"}, "k-center goes on as ever among the rest"
    assert {name: picked.count(name) for name in picked} == {"wild": 12, "calm": 12, "still": 12}


def test_a_skipped_slice_comes_after_all_others_also_where_it_alone_shows_signs() -> None:
    features = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    pool = gather([scores("one", features, frozenset((2,)))], 0)
    signs = {"one": np.arange(6) == 2}
    chooser = spread(choices.k_center, {"one": "one"}, 9, signs).begin(pool, 0.0)
    picked = []
    while (index := chooser.following(())) is not None:
        chooser.take(index)
        picked.append(int(pool.slice[index]))
    assert sorted(picked) == list(range(6)) and picked[-1] == 2


def test_a_sign_is_one_pixel_that_is_likely_enough() -> None:
    probability = np.zeros((3, 4, 5), np.float32)
    probability[1, 2, 3], probability[2] = SIGN, SIGN / 2
    assert signs_of_change(probability).tolist() == [False, True, False]


@pytest.mark.parametrize(("budget", "subjects", "most"), [(9, 3, 4), (10, 3, 5), (1, 20, 2), (5, 1, 6)])
def test_a_subject_gets_an_equal_share_and_one_more(budget: int, subjects: int, most: int) -> None:
    assert most_a_subject(budget, subjects) == most
