"""Mistakes found in published active-learning code that the queries must not repeat, one test each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import WrongUse
from LMIALLib.queries.aggregations import AGGREGATIONS
from LMIALLib.queries.choices import CHOICES
from LMIALLib.queries.measures import MEASURES, binary_entropy
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import DEFAULT_STRATEGY, STRATEGIES, strategy

BY_ENTROPY = [
    name
    for name, one in STRATEGIES.items()
    if one.measure.name in ("entropy", "mutual-information", "selective-entropy")
    and one.aggregation.of_map
    and one.choice.name == "highest-first"
    and one.noise is None
    and "seconds" not in one.needs
]
"""Strategies that order by entropies alone."""


def order(maps, name: str, **settings) -> list[int]:
    """Slices in the order in which one case's are asked for, without a random share and without spacing."""
    plain = {"seed": 0, "random_share": 0.0, "spacing_mm": 0.0}
    ranking: Ranking = rank([score_case(maps, strategy(name))], strategy(name), **(plain | settings))
    return [query.slice for query in ranking.queries]


def test_entropy_has_both_terms() -> None:
    faint, certain = binary_entropy(np.array([0.10, 0.90]))
    assert faint == pytest.approx(0.325, abs=1e-3) and certain == pytest.approx(0.325, abs=1e-3)
    grid = np.linspace(0.001, 0.999, 999)
    assert grid[binary_entropy(grid).argmax()] == pytest.approx(0.5)


@pytest.mark.parametrize("name", BY_ENTROPY)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_saturated_pixel_vetoes_no_slice(name: str, value: float, make_maps) -> None:
    mean = np.full((2, 10, 10), 0.02)
    mean[1] = 0.5
    mean[1, 4, 4] = value
    expected_entropy = np.full(mean.shape, 0.01, dtype=np.float32)
    assert order(make_maps(mean, expected_entropy=expected_entropy), name) == [1, 0]


def test_least_confidence_picks_the_doubtful_slice_and_not_the_blank(make_maps) -> None:
    mean = np.full((3, 10, 10), 0.001)
    mean[1, :5] = 0.5
    mean[2, :5] = 0.999
    assert order(make_maps(mean), "least-confidence")[0] == 1


@pytest.mark.parametrize("name", ["margin", "least-confidence", "entropy"])
def test_the_order_follows_the_network_and_not_the_storage(name: str, make_maps) -> None:
    mean = np.full((6, 10, 10), 0.01)
    for rows, k in enumerate((4, 1, 5, 0, 3, 2)):
        mean[k, : rows + 1] = 0.5
    assert order(make_maps(mean), name) == [2, 3, 0, 5, 1, 4]
    assert order(make_maps(mean[::-1]), name) == [3, 2, 5, 0, 4, 1]


def test_slice_numbers_stay_those_of_the_case_when_the_pool_shrinks(make_maps) -> None:
    mean = np.full((6, 10, 10), 0.01)
    for k in range(6):
        mean[k, : k + 1] = 0.5
    assert order(make_maps(mean, answered=frozenset({5, 3, 0})), "entropy") == [4, 2, 1]


def test_bald_of_a_network_without_dropout_is_zero_and_said_to_be(make_maps) -> None:
    mean = np.random.default_rng(0).random((5, 12, 12)).astype(np.float32)
    maps = make_maps(mean, expected_entropy=binary_entropy(mean).astype(np.float32))
    scores = score_case(maps, strategy("bald"))
    assert not scores.score.any()
    assert rank([scores], strategy("bald"), seed=0).settings["scores_alike"]


def test_bald_finds_the_slice_on_which_passes_disagree_and_not_the_one_that_is_merely_unclear(make_maps) -> None:
    mean = np.full((2, 8, 8), 0.5)
    entropies = np.stack([np.full((8, 8), np.log(2)), np.full((8, 8), binary_entropy(np.array(0.01)))])
    assert order(make_maps(mean, expected_entropy=entropies.astype(np.float32)), "bald") == [1, 0]


def test_core_set_picks_the_least_similar_slice_and_not_the_most_redundant(make_maps) -> None:
    features = np.array([[0.0, 0], [0.1, 0], [5, 5], [0, 0.2]], dtype=np.float32)
    maps = make_maps(np.full((4, 8, 8), 0.5), features=features, answered=frozenset({0}))
    assert order(maps, "core-set") == [2, 3, 1]


def test_core_set_does_not_start_with_near_duplicates_of_labelled_slices(make_maps) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        base = 20 * rng.standard_normal((6, 48))
        features = np.concatenate([base, base + 10.0 ** rng.uniform(-5, -3) * rng.standard_normal((6, 48))])
        features = np.concatenate([features, 20 * rng.standard_normal((3, 48))]).astype(np.float32)
        maps = make_maps(np.full((15, 6, 6), 0.5), features=features, answered=frozenset(range(6)))
        assert set(order(maps, "core-set")[:3]) == {12, 13, 14}


def test_core_set_keeps_its_greedy_order(make_maps) -> None:
    features = np.array([[0.0], [1], [9], [4], [16]], dtype=np.float32)
    maps = make_maps(np.full((5, 6, 6), 0.5), features=features, answered=frozenset({0}))
    assert order(maps, "core-set", count=3) == [4, 2, 3]


def test_core_set_of_equal_slices_divides_by_nothing(make_maps) -> None:
    maps = make_maps(np.full((4, 6, 6), 0.5), features=np.ones((4, 3), dtype=np.float32))
    assert sorted(order(maps, "core-set")) == [0, 1, 2, 3]


def test_the_named_strategy_is_the_one_that_runs_and_an_unknown_one_is_refused(make_random_maps) -> None:
    maps = make_random_maps(1, (30, 16, 18))
    maps.mean[::3] *= 0.4  # no predicted change
    maps.difference[::2, 5:12, 5:12] = 6.0
    maps.mask[1::3, :6] = False
    orders = {name: tuple(order(maps, name, batch=3)) for name in STRATEGIES}
    same: dict[tuple[object, ...], set[tuple[int, ...]]] = {}
    for name, one in STRATEGIES.items():
        # Least confidence and margin differ by a factor of two only; passes, members and views are of one kind here.
        measure = "margin" if one.measure.name == "least-confidence" else one.measure.name
        scored = "learned" if not one.aggregation.of_map and one.aggregation.name != "expected-dice" else measure
        choice = one.choice.name.replace("most-wrong-first", "highest-first")  # the same order, told otherwise
        parts = (scored, one.aggregation.reduction, one.aggregation.by_difference, choice, one.noise)
        same.setdefault(parts, set()).add(orders[name])
    assert all(len(found) == 1 for found in same.values())
    assert len(set(orders.values())) == len(same) > 40
    with pytest.raises(WrongUse, match="difference-entropy-normalised"):
        strategy("hybird")
    assert DEFAULT_STRATEGY in STRATEGIES and strategy("default") is STRATEGIES[DEFAULT_STRATEGY]


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_is_drawn_without_the_seed(name: str, make_random_maps) -> None:
    maps = make_random_maps(1)
    np.random.seed(1)
    first = order(maps, name, seed=5, random_share=0.5)
    np.random.seed(2)
    assert order(maps, name, seed=5, random_share=0.5) == first


@pytest.mark.parametrize("registry", [STRATEGIES, MEASURES, AGGREGATIONS, CHOICES])
def test_no_name_can_quietly_change_its_meaning(registry) -> None:
    with pytest.raises(TypeError):
        registry["entropy"] = None


def test_a_pool_with_too_few_slices_gives_what_it_has(make_random_maps) -> None:
    maps = make_random_maps(0, answered=frozenset(range(2, 8)))
    for name in STRATEGIES:
        assert sorted(order(maps, name, count=6)) == [0, 1]


def test_the_count_asked_for_is_the_count_given(make_random_maps) -> None:
    for name in STRATEGIES:
        assert len(order(make_random_maps(0), name, count=3)) == 3


def test_a_query_carries_its_own_score_and_not_the_first(make_random_maps) -> None:
    scores = score_case(make_random_maps(3), strategy("random"))
    for query in rank([scores], strategy("random"), seed=1).queries:
        assert query.score == query.terms["score"] == scores.score[query.slice]


def test_the_field_of_view_does_not_dilute_small_lesions(make_maps) -> None:
    mean = np.full((3, 12, 12), 0.01)
    mean[1, 5:7, 5:7] = 0.5
    wide = np.pad(mean, ((0, 0), (40, 40), (40, 40)), constant_values=0.3)
    mask = np.pad(np.ones(mean.shape, dtype=bool), ((0, 0), (40, 40), (40, 40)))
    for name in ("entropy", "difference-entropy", "difference-entropy-normalised"):
        narrow_scores = score_case(make_maps(mean), strategy(name)).score
        np.testing.assert_allclose(
            score_case(make_maps(wide, mask=mask), strategy(name)).score, narrow_scores, rtol=1e-9
        )


def test_slices_of_two_cases_with_equal_numbers_are_two_slices(make_random_maps) -> None:
    cases = [score_case(make_random_maps(k, case=name), strategy("entropy")) for k, name in enumerate("ab")]
    ranking = rank(cases, strategy("entropy"), seed=0)
    assert len({(query.case, query.slice) for query in ranking.queries}) == 16


def test_neighbours_are_not_asked_for_together(make_maps) -> None:
    mean = np.full((60, 6, 6), 0.01)
    for k in range(60):
        mean[k] = 0.01 + 0.4 * np.exp(-((k - 33) ** 2) / 30)
    top = order(make_maps(mean, slice_spacing=3.0), "entropy", spacing_mm=12.0, count=6)
    assert top[0] == 33 and min(np.diff(sorted(top))) >= 4


def test_cluster_margin_follows_the_margin_and_not_the_storage(make_maps) -> None:
    rng = np.random.default_rng(0)
    n, wanted = 200, set(rng.choice(np.arange(60, 200), 120, replace=False).tolist())
    mean = np.full((n, 8, 8), 0.01)
    for k in wanted:
        mean[k, : 1 + k % 7] = 0.5
    maps = make_maps(mean, features=rng.standard_normal((n, 4)).astype(np.float32))
    assert set(order(maps, "cluster-margin", count=6)) <= wanted  # the 10 batches' worth of lowest margin
    # A later round knows the slices by their own numbers, not by their places in a pool that has shrunk.
    answered = frozenset(sorted(wanted)[:60])
    later = order(make_maps(mean, features=maps.features, answered=answered), "cluster-margin", count=6)
    assert set(later) <= wanted - answered


def test_cluster_margin_takes_from_different_clusters(make_maps) -> None:
    features = (
        np.repeat(40 * np.eye(4, dtype=np.float32), 10, axis=0) + np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    )
    maps = make_maps(np.full((40, 8, 8), 0.5), features=features)
    assert len({k // 10 for k in order(maps, "cluster-margin", count=4, batch=4)}) >= 3


def test_mutual_information_needs_no_array_of_all_passes(make_maps) -> None:
    # Mean and mean entropy of the passes are all that is kept of them, whatever their number.
    assert not [name for name in CaseMaps.__dataclass_fields__ if "pass" in name]


def test_hybrid_takes_the_least_similar_of_the_uncertain_and_not_the_most_redundant(make_maps) -> None:
    features = np.array([[1.0, 0], [0.99, 0.01], [0.98, 0.02], [0, 1], [-1, 0.1], [0.97, 0.03]], dtype=np.float32)
    expected_entropy = np.full((6, 8, 8), 0.1, dtype=np.float32)
    maps = make_maps(np.full((6, 8, 8), 0.5), features=features, expected_entropy=expected_entropy)
    answered = CaseMaps(**{**vars(maps), "answered": frozenset({0})})
    doubtful = expected_entropy.copy()
    doubtful[[1, 4]] = 0.05
    maps = CaseMaps(**{**vars(answered), "expected_entropy": doubtful})
    assert order(maps, "hybrid")[0] == 4


def test_hybrid_of_equal_scores_divides_by_nothing(make_random_maps) -> None:
    maps = make_random_maps(0, mean=np.full((8, 16, 18), 0.5), expected_entropy=np.full((8, 16, 18), 0.3, np.float32))
    assert sorted(order(maps, "hybrid")) == list(range(8))


@pytest.mark.parametrize("name", ["power-entropy", "power-bald", "soft-rank-bald", "clasp", "badge"])
def test_noise_is_the_same_in_another_process(name: str, make_random_maps) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from conftest import random_maps\nfrom test_published_mistakes import order\n"
        "print(*order(random_maps(1), sys.argv[2], seed=3))"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), name]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [int(word) for word in printed.split()] == order(make_random_maps(1), name, seed=3)


def test_expected_dice_can_be_had_by_its_name_like_any_other(make_random_maps) -> None:
    maps = make_random_maps(2)
    assert order(maps, "expected-dice") == np.argsort(maps.expected_dice).tolist()


@pytest.mark.parametrize("name", ["class-entropy", "clasp"])
def test_a_class_with_too_few_candidates_ends_nothing(name: str, make_maps) -> None:
    mean = np.zeros((9, 8, 8))
    mean[4] = 0.4
    assert sorted(order(make_maps(mean), name, count=30, batch=12)) == list(range(9))


def test_the_highest_pixels_are_those_that_count_in_top_entropy(make_maps) -> None:
    mean = np.zeros((2, 30, 30))
    mean[0], mean[1, :10, :10] = 0.05, 0.4  # more altogether, and more in one place
    assert order(make_maps(mean), "entropy") == [0, 1] and order(make_maps(mean), "top-entropy") == [1, 0]


@pytest.mark.parametrize("name", [name for name, one in STRATEGIES.items() if "features" in one.needs])
def test_features_are_one_vector_whose_axes_have_no_order(name: str, make_random_maps) -> None:
    maps = make_random_maps(1, (20, 16, 18), answered=frozenset({3}))
    turned = CaseMaps(**{**vars(maps), "features": np.ascontiguousarray(maps.features[:, ::-1])})
    if name in ("k-means", "typiclust", "cluster-margin"):  # a start drawn on other axes may end in other clusters
        return
    assert order(maps, name) == order(turned, name)


def test_badge_does_not_ask_the_global_generator(make_random_maps) -> None:
    found = []
    for state in (1, 2):
        np.random.seed(state)
        found.append([order(make_random_maps(1), name, seed=4) for name in ("badge", "k-means", "typiclust")])
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["max-cover", "probcover", "core-set-cosine"])
def test_a_greedy_order_stays_an_order(name: str, make_random_maps) -> None:
    maps = make_random_maps(3, (20, 16, 18))
    whole = order(maps, name)
    assert whole != sorted(whole) and order(maps, name, count=5) == whole[:5]
