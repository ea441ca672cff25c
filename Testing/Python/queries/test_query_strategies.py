"""What holds of every registered strategy: order, chance, symmetry, ends of the range, needs, reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import LMIALError, WrongUse
from LMIALLib.queries.aggregations import AGGREGATIONS
from LMIALLib.queries.measures import binary_entropy
from LMIALLib.queries.pool import CaseMaps
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import STRATEGIES, strategy

SOURCES = {"passes", "members", "views"}
NEEDS = SOURCES | {"features", "gradients", "expected-dice", "loss-prediction", "discriminator", "seconds"}
FIELDS = {
    "passes": ("expected_entropy", "variance"),
    "features": ("features",),
    "gradients": ("gradients",),
    "expected-dice": ("expected_dice",),
    "loss-prediction": ("learned",),
    "discriminator": ("learned",),
    "seconds": ("seconds",),
}

# Of the others swapping "change" and "no change" is no change of question.
ASYMMETRIC = {"foreground-random-prediction", "selective-entropy", "foreground-entropy", "class-entropy", "clasp"}


def ranked(maps: CaseMaps | list[CaseMaps], name: str, **settings) -> Ranking:
    """A ranking without a random share and without spacing, unless given."""
    cases = maps if isinstance(maps, list) else [maps]
    plain = {"seed": 0, "random_share": 0.0, "spacing_mm": 0.0}
    return rank([score_case(one, strategy(name)) for one in cases], strategy(name), **(plain | settings))


def slices(ranking: Ranking) -> list[int]:
    return [query.slice for query in ranking.queries]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_says_what_it_is(name: str) -> None:
    one = STRATEGIES[name]
    assert one.name == name and one.summary.endswith(".") and one.formula and one.source
    assert one.needs <= NEEDS and len(one.needs & SOURCES) <= 1
    assert one.measure.name and AGGREGATIONS[one.aggregation.name] is one.aggregation


def promised() -> list[str]:
    """Names that always mean what they mean; what comes beside them is tested by whoever adds it."""
    plain = "least-confidence margin entropy mc-entropy bald expected-entropy variance committee-bald view-consistency"
    others = (
        "random foreground-random-prediction foreground-random-difference mean-entropy top-entropy selective-entropy "
        "foreground-entropy committee-entropy committee-variance committee-vote power-entropy power-bald "
        "soft-rank-bald class-entropy clasp expected-dice core-set core-set-cosine k-means k-means-bald "
        "cluster-margin badge max-cover typiclust probcover hybrid loss-prediction discriminator "
        "stochastic-batches cost-aware expected-error expected-error-nearby expected-gain expected-gain-nearby"
    )
    names = others.split()
    for one in plain.split():
        names += [one, f"difference-{one}", f"difference-{one}-normalised"]
    return names


def test_the_names_of_the_contract_are_registered() -> None:
    assert set(promised()) <= set(STRATEGIES)


FINISH_NAMES = tuple(name for name, one in STRATEGIES.items() if one.purpose == "finish")
HIGHEST = ("highest-first", "most-wrong-first")


@pytest.mark.parametrize("name", [name for name in promised() if STRATEGIES[name].choice.name in HIGHEST])
def test_score_and_order_equal_brute_force(name: str, make_random_maps) -> None:
    maps, one = make_random_maps(4), STRATEGIES[name]
    p, inside = maps.mean.astype(float), maps.mask
    w = np.minimum(np.abs(maps.difference.astype(float)) / 5, 1)
    gain = np.maximum(binary_entropy(p) - maps.expected_entropy, 0)
    kind = name.removeprefix("difference-").removesuffix("-normalised")
    values = {
        **dict.fromkeys(("least-confidence", *FINISH_NAMES), 1 - np.maximum(p, 1 - p)),
        "margin": 1 - np.abs(2 * p - 1),
        "foreground-entropy": np.where((p >= 0.5) | (np.abs(p - 0.5) <= 0.25), binary_entropy(p), 0),
        **dict.fromkeys(("bald", "committee-bald", "power-bald", "soft-rank-bald"), np.where(gain > 2e-6, gain, 0)),
        "expected-entropy": maps.expected_entropy,
        **dict.fromkeys(("variance", "committee-variance", "view-consistency"), 2 * maps.variance),
        "committee-vote": maps.vote_entropy,
    }.get(kind, binary_entropy(p))
    expected = []
    median = np.median([w[k][inside[k]].sum() for k in range(maps.n_slices)])
    for k in range(maps.n_slices):
        v, weight = values[k][inside[k]], w[k][inside[k]]
        if name.endswith("-normalised"):
            expected.append((v * weight).sum() / max(weight.sum(), median))
        elif name.startswith("difference-"):
            expected.append((v * weight).sum())
        elif name == "cost-aware":
            expected.append((v * weight).sum() / maps.seconds[k])
        elif name in ("loss-prediction", "discriminator"):
            expected.append(maps.learned[k])
        elif name == "expected-dice":
            expected.append(1 - maps.expected_dice[k])
        elif name == "mean-entropy":
            expected.append(v.mean())
        elif name == "top-entropy":
            expected.append(np.sort(v)[-100:].mean())
        else:
            expected.append(v.sum())
    np.testing.assert_allclose(score_case(maps, one).score, expected, rtol=2e-5)
    if one.noise is None:
        assert slices(ranked(maps, name)) == np.argsort(-np.array(expected)).tolist()


@pytest.mark.parametrize("name", sorted(set(promised()) - ASYMMETRIC))
def test_change_and_no_change_are_treated_alike(name: str, make_random_maps) -> None:
    p = (np.random.default_rng(2).integers(0, 65, (8, 16, 18)) / 64).astype(np.float32)  # 1 - p is exact
    p = np.clip(p, 2**-7, 1 - 2**-7).astype(np.float32)
    scores = [score_case(make_random_maps(2, mean=one), strategy(name)).score for one in (p, 1 - p)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert slices(ranked(make_random_maps(2, mean=p), name)) == slices(ranked(make_random_maps(2, mean=1 - p), name))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certain_slices_are_ranked_with_finite_numbers(name: str, value: float, make_random_maps) -> None:
    maps = make_random_maps(3, mean=np.full((8, 16, 18), value, dtype=np.float32))
    ranking = ranked(maps, name, spacing_mm=2.0)
    assert sorted(slices(ranking)) == list(range(8))
    numbers = [number for query in ranking.queries for number in (query.score, *query.terms.values())]
    assert np.isfinite(numbers).all() and np.isfinite(ranking.scores["a"]).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_order_of_cases_and_the_process_do_not_matter(name: str, make_random_maps) -> None:
    cases = [make_random_maps(k, case=case, answered=frozenset({k})) for k, case in enumerate("cab")]
    first, second = (ranked(given, name, seed=11, spacing_mm=12.0) for given in (cases, cases[::-1]))
    assert first.to_dict() == second.to_dict()


@pytest.mark.parametrize("name", STRATEGIES)
def test_slices_are_handed_out_once_with_lots_skips_and_reserved_cases(name: str, make_random_maps) -> None:
    cases = [
        make_random_maps(1, (20, 16, 18), case="a", answered=frozenset({0, 7}), skipped=frozenset({3, 9})),
        make_random_maps(2, (9, 16, 18), case="b"),
        make_random_maps(3, (6, 16, 18), case="validation"),
    ]
    ranking = ranked(cases, name, random_share=1 / 4, spacing_mm=12.0, batch=5, random_only=["validation"])
    places = [(query.case, query.slice) for query in ranking.queries]
    assert len(set(places)) == len(places)
    assert {place for place in places if place[0] != "validation"} == (
        {("a", k) for k in range(20) if k not in (0, 7)} | {("b", k) for k in range(9)}
    )
    assert not [q for q in ranking.queries if q.case == "validation" and q.drawn == "strategy"]
    own = [(q.case, q.slice) for q in ranking.queries if q.drawn == "strategy"]
    if not STRATEGIES[name].choice.uniform:
        assert set(own[-2:]) == {("a", 3), ("a", 9)}


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, s in STRATEGIES.items()
        if "lot" not in s.choice.name and s.choice.name not in ("random", "stochastic-batches")
    ],
)
def test_a_batch_keeps_its_distance(name: str, make_random_maps) -> None:
    ranking = ranked(make_random_maps(1, (60, 16, 18), slice_spacing=3.0), name, spacing_mm=12.0, batch=4, count=20)
    for start in range(0, 20, 4):
        assert min(np.diff(sorted(slices(ranking)[start : start + 4]))) >= 4


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_pool_shorter_than_the_count_gives_what_it_has(name: str, make_random_maps) -> None:
    for n in (1, 2, 3):
        maps = make_random_maps(5, answered=frozenset(range(n, 8)))
        assert sorted(slices(ranked(maps, name, count=50, batch=10))) == list(range(n))


@pytest.mark.parametrize("name", STRATEGIES)
def test_equal_slices_with_equal_vectors_are_still_ranked(name: str, make_random_maps) -> None:
    same = make_random_maps(1, (12, 16, 18))
    equal = {
        field: np.repeat(getattr(same, field)[:1], 12, axis=0)
        for field in ("mean", "difference", "expected_entropy", "variance", "vote_entropy", "features", "gradients")
    } | {field: np.repeat(getattr(same, field)[:1], 12) for field in ("expected_dice", "learned", "seconds")}
    maps = replace(same, **equal)
    assert sorted(slices(ranked(maps, name))) == list(range(12))
    zero = replace(maps, features=np.zeros((12, 5), np.float32), gradients=np.zeros((12, 7), np.float32))
    assert sorted(slices(ranked(zero, name))) == list(range(12))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if STRATEGIES[name].needs])
def test_what_is_needed_and_missing_is_named(name: str, make_random_maps) -> None:
    for need in STRATEGIES[name].needs:
        fields = ("vote_entropy",) if name == "committee-vote" else FIELDS.get(need, FIELDS["passes"])
        if (
            name
            in (
                "mc-entropy",
                "committee-entropy",
                "expected-dice",
                *(f"difference-mc-entropy{x}" for x in ("", "-normalised")),
            )
            and need in SOURCES
        ):
            continue  # the mean is all that is used of them
        with pytest.raises(WrongUse, match=r"(missing|vector for every slice|gradient embedding)"):
            ranked(make_random_maps(0, **dict.fromkeys(fields)), name)


@pytest.mark.parametrize("name", STRATEGIES)
def test_numbers_that_are_not_finite_are_refused_where_they_are_used(name: str, make_random_maps) -> None:
    for field, need in (("expected_dice", "expected-dice"), ("learned", "loss-prediction"), ("seconds", "seconds")):
        broken = make_random_maps(0)
        getattr(broken, field)[3] = np.nan
        used = need in STRATEGIES[name].needs or (field == "learned" and name == "discriminator")
        if used:
            with pytest.raises(LMIALError, match="case a holds values that are not finite"):
                ranked(broken, name)
        else:
            assert len(slices(ranked(broken, name))) == 8


def test_a_reading_time_of_zero_is_refused(make_random_maps) -> None:
    with pytest.raises(LMIALError, match="not above 0 seconds"):
        ranked(make_random_maps(0, seconds=np.zeros(8, np.float32)), "cost-aware")


def test_cost_aware_is_the_plain_order_when_all_slices_take_equally_long(make_random_maps) -> None:
    maps = make_random_maps(6, (30, 16, 18), seconds=np.full(30, 17.3, np.float32))
    assert slices(ranked(maps, "cost-aware")) == slices(ranked(maps, "difference-entropy"))
    seconds = np.full(30, 10, np.float32)
    last = slices(ranked(maps, "difference-entropy"))[-1]
    seconds[last] = 0.01
    assert slices(ranked(replace(maps, seconds=seconds), "cost-aware"))[0] == last


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name.startswith("difference-")])
def test_constant_weights_give_the_plain_order(name: str, make_random_maps) -> None:
    maps = make_random_maps(7, (20, 16, 18), difference=np.full((20, 16, 18), -2.0, np.float32))
    plain = name.removeprefix("difference-").removesuffix("-normalised")
    assert slices(ranked(maps, name)) == slices(ranked(maps, plain))


@pytest.mark.parametrize("name", [n for n, s in STRATEGIES.items() if s.measure.name == "mutual-information"])
def test_mutual_information_is_zero_for_equal_passes(name: str, make_random_maps) -> None:
    maps = make_random_maps(8)
    equal = replace(maps, expected_entropy=binary_entropy(maps.mean).astype(np.float32))
    if STRATEGIES[name].aggregation.of_map:
        assert not score_case(equal, strategy(name)).score.any()
        assert ranked(equal, name).settings["scores_alike"]
    assert (score_case(maps, strategy(name)).score >= 0).all()


def test_expected_dice_asks_for_the_lowest_first(make_random_maps) -> None:
    maps = make_random_maps(9)
    assert slices(ranked(maps, "expected-dice")) == np.argsort(maps.expected_dice).tolist()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_reader_is_told_what_is_true(name: str, make_random_maps) -> None:
    maps = make_random_maps(1, (40, 16, 18), answered=frozenset({2, 11}), skipped=frozenset({4}))
    maps.mean[::2] *= 0.3
    ranking = ranked(maps, name, spacing_mm=6.0, random_share=0.2)
    one = STRATEGIES[name]
    for query in ranking.queries:
        reason, terms = query.reason, query.terms
        assert reason[0].isupper() and reason.endswith(".") and ", ," not in reason and "  " not in reason
        assert reason.endswith("skipped before.") == (query.slice == 4)
        if query.drawn == "random":
            assert reason.startswith("Chosen at random, to measure progress fairly")
            continue
        assert ("chance added" in reason) == (one.noise is not None)
        if f"{terms['uncertainty']:.2g}" in reason and " spot" in reason:
            assert f"in {int(terms['spots'])} spot" in reason
            # what a plan of clusters leaves over is handed out by its score
            assert one.choice.by_score or one.choice.name in ("k-means", "typiclust")
        if "among slices that show signs" in reason:
            assert ranking.scores["a"][query.slice] > 0
        if "s to read" in reason:
            assert f"about {maps.seconds[query.slice]:.0f} s" in reason
        if "xpected Dice" in reason:
            assert f"xpected Dice {maps.expected_dice[query.slice]:.2g}" in reason
        if "(distance" in reason:
            assert f"(distance {query.score:.2g})" in reason
        if one.several and one.aggregation.of_map and "etween" in reason:
            assert {"passes": "passes", "members": "the last models", "views": "views"}[one.several] in reason
    strategic = [query for query in ranking.queries if query.drawn == "strategy"]
    if one.choice.words is not None and strategic:
        assert one.choice.words(strategic[0].terms)  # the first was handed out by the choice itself


def test_the_documentation_lists_what_is_registered() -> None:
    from LMIALLib.cli.strategies import table

    written = Path(__file__).resolve().parents[3] / "Docs" / "strategies.md"
    assert written.read_text(encoding="utf-8") == table(list(STRATEGIES.values())), (
        "write it anew: lmial strategies --markdown > Docs/strategies.md"
    )
