"""Choices by diversity, clusters, covers and random draws, each against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LMIALLib.queries import clusters, covers, diversity
from LMIALLib.queries.candidates import Candidates, gather
from LMIALLib.queries.choices import CHOICES
from LMIALLib.queries.choosers import Chooser
from LMIALLib.queries.distances import NearestCentre, directions


def hand_out(chooser: Chooser, n: int, batch: int = 1000) -> list[int]:
    """The first ``n`` candidates in batches."""
    picks: list[int] = []
    while len(picks) < n:
        own: list[int] = []
        while len(own) < min(batch, n - len(picks)):
            index = chooser.following(own)
            if index is None:
                return picks + own
            own.append(index)
            chooser.take(index)
        picks += own
    return picks


@pytest.fixture
def make_pool(make_scores) -> Callable[..., Candidates]:
    def make(n: int = 30, seed: int = 0, batch: int = 6, **given) -> Candidates:
        rng = np.random.default_rng(seed)
        vectors = {name: rng.standard_normal((n, 5)) for name in ("features", "gradients")}
        return gather([make_scores(rng.random(n), **(vectors | given))], seed, batch=batch)

    return make


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), shift=st.floats(-1e4, 1e4))
@settings(max_examples=40, deadline=None)
def test_the_nearest_centre_is_exact_however_the_cloud_lies(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    points = shift + scale * rng.standard_normal((60, 7))
    points[30:40] = points[:10] + 1e-7 * rng.standard_normal((10, 7))
    centres = np.concatenate([points[:12], shift + scale * rng.standard_normal((4, 7))])
    nearest = NearestCentre(points)
    for number, centre in enumerate(centres, start=1):
        nearest.add(centre)
        exact = np.min([np.square(points - c).sum(axis=1) for c in centres[:number]], axis=0)
        np.testing.assert_array_equal(nearest.squared, exact)


@pytest.mark.parametrize("answered", [frozenset(), frozenset({1, 4})])
def test_cosine_core_set_equals_loops(answered: frozenset[int], make_pool) -> None:
    pool = make_pool(answered=answered)
    known = [] if pool.labelled is None else list(pool.labelled)
    chooser = diversity.CosineKCenter(pool, 0.0)
    picks = hand_out(chooser, len(pool))
    chosen = list(picks[:1]) if not known else []
    for index in picks[len(chosen) :]:
        left = [i for i in range(len(pool)) if i not in chosen]
        to = [*known, *(pool.features[i] for i in chosen)]
        far = {i: min(1 - cosine(pool.features[i], other) for other in to) for i in left}
        assert far[index] == pytest.approx(max(far.values()), abs=1e-12)
        assert chooser.score(index) == pytest.approx(far[index], abs=1e-12)
        chosen.append(index)


@pytest.mark.parametrize("answered", [frozenset(), frozenset({1, 4})])
def test_max_cover_equals_loops(answered: frozenset[int], make_pool) -> None:
    pool = make_pool(20, answered=answered)
    f, known = pool.features, list(pool.labelled)
    chosen: list[int] = []
    for index in hand_out(covers.MaxCover(pool, 0.0), len(pool) - 1):
        left = [i for i in range(len(pool)) if i not in chosen]
        covered = {
            j: sum(max([cosine(x, s) for s in [*known, *f[chosen]]] + [cosine(x, f[j])]) for x in f) for j in left
        }
        assert covered[index] == pytest.approx(max(covered.values()), abs=1e-5)
        chosen.append(index)


@pytest.mark.parametrize("answered", [frozenset(), frozenset({1, 4})])
def test_probcover_equals_loops(answered: frozenset[int], make_pool) -> None:
    pool = make_pool(24, answered=answered)
    chooser, f = covers.ProbCover(pool, 0.0), pool.features
    distance = np.linalg.norm(f[:, None] - f[None], axis=2)
    delta = np.quantile(distance[np.triu_indices(len(f), 1)], 0.05)
    known = list(pool.labelled)
    assert chooser.delta == pytest.approx(delta)
    chosen: list[int] = []
    for _ in range(len(pool)):
        nearest = np.array([min([np.linalg.norm(x - s) for s in [*known, *f[chosen]]] + [np.inf]) for x in f])
        while not (nearest > delta).any() and nearest.max() > 0:
            delta /= 2
        left = [i for i in range(len(pool)) if i not in chosen]
        stands_for = {i: int(((distance[i] <= delta) & (nearest > delta)).sum()) for i in left}
        index = chooser.following(chosen)
        assert stands_for[index] == max(stands_for.values())
        chooser.take(index)
        chosen.append(index)


def test_probcover_begins_where_most_slices_are_alike(make_pool) -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0, 0.1, (20, 3)), rng.normal(50, 0.1, (8, 3)), rng.normal(-50, 9, (2, 3))])
    picks = hand_out(covers.ProbCover(make_pool(30, features=features), 0.0), 2)
    assert picks[0] < 20


def test_badge_draws_in_proportion_to_the_squared_distance(make_pool, make_scores) -> None:
    gradients = np.array([[0.0, 0], [10, 0], [7, 0], [10, 6], [0, 0]])
    seconds = []
    for seed in range(600):
        pool = gather([make_scores(np.zeros(5), gradients=gradients)], seed)
        first, second = hand_out(diversity.Badge(pool, 0.0), 2)
        assert first == 3  # the largest norm
        seconds.append(second)
    squared = np.square(gradients - gradients[3]).sum(axis=1)
    expected = 600 * squared / squared.sum()
    counts = np.bincount(seconds, minlength=5)
    counted = squared > 0
    # Chi-squared with 3 degrees of freedom exceeds 16.3 once in a thousand draws; the seeds are fixed.
    assert (np.square(counts - expected)[counted] / expected[counted]).sum() < 16.3
    assert counts[3] == 0


def test_badge_is_the_same_for_the_same_seed_only(make_pool) -> None:
    orders = [tuple(hand_out(diversity.Badge(make_pool(), 0.0), 30)) for _ in range(2)]
    other = replace(make_pool(), seed=1)
    assert orders[0] == orders[1] != tuple(hand_out(diversity.Badge(other, 0.0), 30))


@pytest.mark.parametrize("answered", [frozenset(), frozenset({1, 4, 9})])
def test_hybrid_is_uncertain_then_unlike_what_is_known(answered: frozenset[int], make_pool) -> None:
    pool = make_pool(30, batch=1, answered=answered)
    f, known, chosen = directions(pool.features), list(directions(pool.labelled)), []

    def scaled(v: np.ndarray) -> np.ndarray:
        return (v - v.min()) / np.ptp(v) if np.ptp(v) else np.zeros(v.shape)

    chooser = diversity.Hybrid(pool, 0.0)
    for _ in range(len(pool) - 1):
        left = sorted(set(range(len(pool))) - set(chosen), key=lambda i: -pool.score[i])
        first = np.array(left[: min(10, -(-len(left) // 2))])
        to = np.array([*known, *f[chosen]])
        similarity = (f[first] @ to.T).mean(axis=1) if len(to) else np.zeros(first.size)
        value = -scaled(similarity) + 0.5 * scaled(pool.score[first])
        index = chooser.following(chosen)
        assert value[first.tolist().index(index)] == pytest.approx(value.max())
        chooser.take(index)
        chosen.append(index)


def test_k_means_gives_one_slice_of_each_group_nearest_to_its_centre(make_pool) -> None:
    rng = np.random.default_rng(1)
    sizes, centres = (12, 9, 6, 3), 40 * np.eye(5)[:4]
    features = np.concatenate([c + rng.standard_normal((n, 5)) for n, c in zip(sizes, centres, strict=True)])
    starts = np.cumsum((0, *sizes))
    pool = make_pool(30, batch=4, features=features)
    chooser = clusters.KMeansNearest(pool, 0.0)
    picks = hand_out(chooser, 4, 4)
    for index, start, stop in zip(picks, starts, starts[1:], strict=False):  # the largest first
        group = features[start:stop]
        assert index == start + np.linalg.norm(group - group.mean(axis=0), axis=1).argmin()
        assert chooser.terms(index)["group"] == stop - start


def test_k_means_bald_takes_the_doubles_and_then_the_farthest(make_pool) -> None:
    pool = make_pool(30, batch=3)
    shortlist = np.argsort(-pool.score)[:6].tolist()
    z = pool.features / (pool.features[shortlist].std(axis=0, ddof=1) + 1e-6)
    picks = hand_out(clusters.KMeansBald(pool, 0.0), 3, 3)
    expected = [max(shortlist, key=lambda i: np.linalg.norm(z[i]))]
    for _ in range(2):
        left = [i for i in shortlist if i not in expected]
        expected.append(max(left, key=lambda i: min(np.linalg.norm(z[i] - z[j]) for j in expected)))
    assert picks == expected


def test_cluster_margin_deals_from_the_smallest_cluster_first(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(clusters, "FIXED_CLUSTERS", 3)
    features = np.repeat(40 * np.eye(5)[:3], (16, 9, 5), axis=0) + 1e-3 * np.random.default_rng(0).random((30, 5))
    score = np.r_[np.full(10, 5.0), np.full(6, 0.0), np.full(6, 5.0), np.full(3, 0.0), np.full(4, 5.0), 0.0]
    pool = replace(make_pool(30, batch=2, features=features), score=score)
    picks = hand_out(clusters.ClusterMargin(pool, 0.0), 6, 2)
    cluster = np.repeat([0, 1, 2], (16, 9, 5))
    # 20 of lowest margin: 10, 6 and 4 of the clusters; the smallest first, round robin, two batches begin anew
    assert cluster[picks[:2]].tolist() == [2, 1] and (score[picks] == 5).all()


def test_typiclust_takes_typical_slices_of_groups_without_a_label(make_pool) -> None:
    rng = np.random.default_rng(3)
    features = np.concatenate([rng.normal(40 * k, 1, (size, 3)) for k, size in enumerate((14, 10, 8))])
    pool = make_pool(32, batch=2, features=features, answered=frozenset({0}))
    chooser = clusters.TypiClust(pool, 0.0)
    picks = pool.slice[hand_out(chooser, 2, 2)]
    for number, (start, stop) in zip(picks, ((14, 24), (24, 32)), strict=True):
        group = features[start:stop]
        distance = np.linalg.norm(group[:, None] - group[None], axis=2)
        count = min(20, len(group) // 2)
        assert number == start + np.sort(distance, axis=1)[:, 1 : count + 1].mean(axis=1).argmin()


def test_stochastic_batches_are_whole_draws_and_better_than_one_draw(make_pool) -> None:
    scores = []
    for seed in range(20):
        pool = make_pool(60, seed=seed, batch=5)
        scores.append(pool.score[hand_out(clusters.StochasticBatches(pool, 99.0), 5, 5)].mean())
        assert len(set(hand_out(clusters.StochasticBatches(pool, 0.0), 60, 5))) == 60
    best_five = np.mean([np.sort(make_pool(60, seed=seed).score)[-5:].mean() for seed in range(20)])
    assert 0.65 < np.mean(scores) < best_five


def test_foreground_random_draws_two_of_three_among_signs_of_change(make_scores) -> None:
    score = np.zeros(300)
    score[:100] = 3.0
    pool = gather([make_scores(score)], 4)
    chooser = CHOICES["foreground-by-lot"].begin(pool, 50.0)
    picks = np.array(hand_out(chooser, 90))
    told = np.array([chooser.terms(int(index))["among_foreground"] for index in picks])
    assert told.sum() == 60 and (picks[told == 1] < 100).all()
    assert 5 <= (picks[told == 0] >= 100).sum() <= 30
    none = CHOICES["foreground-by-lot"].begin(gather([make_scores(np.zeros(40))], 4), 0.0)
    assert sorted(hand_out(none, 40)) == list(range(40)) and not none.terms(0)["among_foreground"]


def test_foreground_lots_leave_the_random_share_a_fair_draw(make_scores) -> None:
    pool = gather([make_scores(np.ones(500))], 0)
    assert abs(np.corrcoef(pool.draw, pool.chance[0])[0, 1]) < 0.15
    assert abs(np.corrcoef(pool.tie, pool.chance[0])[0, 1]) < 0.15


def test_class_stratified_takes_turns(make_scores) -> None:
    rng = np.random.default_rng(0)
    change, plain = rng.random((2, 40))
    pool = gather([make_scores(plain, others=(change,))], 0)
    picks = hand_out(CHOICES["class-stratified"].begin(pool, 0.0), 40)
    left = set(range(40))
    for place, index in enumerate(picks):
        by = (change, change, plain)[place % 3]
        assert index == max(left, key=lambda i: by[i])
        left.remove(index)


def test_class_stratified_goes_on_when_one_class_has_too_few(make_scores) -> None:
    pool = gather([make_scores(np.zeros(7), others=(np.zeros(7),))], 0)
    assert sorted(hand_out(CHOICES["class-stratified"].begin(pool, 0.0), 9)) == list(range(7))


@pytest.mark.parametrize("name", CHOICES)
def test_what_others_took_is_not_handed_out(name: str, make_pool) -> None:
    pool = replace(make_pool(25), others=(np.arange(25.0),))
    chooser = CHOICES[name].begin(pool, 3.0)
    own: list[int] = []
    for turn in range(12):
        index = chooser.following(own[turn % 6 :] if turn % 6 else [])
        assert index is not None and index not in own
        chooser.take(index)
        own.append(index)
        other = next(i for i in range(25) if i not in own)
        chooser.take(other)
        own.append(other)
    assert len(set(own)) == 24 and chooser.following([]) == (set(range(25)) - set(own)).pop()


@pytest.mark.parametrize("name", [n for n, c in CHOICES.items() if c.needs])
def test_the_rest_follows_after_the_greedy_picks(name: str, make_pool, monkeypatch) -> None:
    monkeypatch.setattr(diversity, "GREEDY_PICKS", 5)
    monkeypatch.setattr(covers, "GREEDY_PICKS", 5)
    monkeypatch.setattr(clusters, "PLANNED_WORK", 1)
    assert sorted(hand_out(CHOICES[name].begin(make_pool(30), 3.0), 30, 6)) == list(range(30))


def test_a_pool_larger_than_the_references_is_covered_by_a_drawn_part(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(covers, "REFERENCES", 10)
    for chooser in (covers.MaxCover(make_pool(30), 0.0), covers.ProbCover(make_pool(30), 0.0)):
        assert sorted(hand_out(chooser, 30)) == list(range(30))


def test_clusters_of_a_large_pool_are_fitted_to_a_drawn_part(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(clusters, "SAMPLE", 12)
    features, draw = np.random.default_rng(0).standard_normal((40, 3)), np.random.default_rng(1).random(40)
    label, distance = clusters.clustered(features, draw, 4, 0)
    assert label.shape == distance.shape == (40,) and set(label) == set(range(4))
    again, _ = clusters.clustered(features, draw, 4, 0)
    np.testing.assert_array_equal(label, again)
