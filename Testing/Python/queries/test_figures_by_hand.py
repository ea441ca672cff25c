"""Figures of the queries that are what they are called: cases small enough to work out by hand, worked out here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LMIALLib.errors import LMIALError
from LMIALLib.queries.noise import beta_at
from LMIALLib.queries.query import Ranking
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import STRATEGIES

LN2 = float(np.log(2))


def slices(ranking: Ranking) -> list[int]:
    return [query.slice for query in ranking.queries]


def ranked(scores, name: str, **options) -> Ranking:
    return rank([scores], STRATEGIES[name], **({"seed": 0, "random_share": 0.0, "spacing_mm": 0.0} | options))


def test_class_strategies_leave_the_background_out(make_maps) -> None:
    # Two pixels a slice. H(0.1) = H(0.9) = 0.3251, H(0.5) = 0.6931.
    # slice:               0 (0.1, 0.1)    1 (0.9, 0.9)    2 (0.5, 0)
    # Sum p H(p):          0.0650          0.5852          0.3466
    # Sum H(p):            0.6502          0.6502          0.6931
    # Sum (1-p) H(p):      0.5852 is the background's, and would ask for slice 0 second.
    mean = np.array([[[0.1, 0.1]], [[0.9, 0.9]], [[0.5, 0.0]]])
    scored = score_case(make_maps(mean), STRATEGIES["class-entropy"])
    assert len(scored.others) == 1
    np.testing.assert_allclose(scored.others[0], [0.0650, 0.5852, 0.3466], atol=1e-4)
    assert slices(ranked(scored, "class-entropy", batch=3)) == [1, 2, 0]  # change, change, plain


def test_two_of_three_turns_go_by_change_and_one_by_the_plain_score(make_scores) -> None:
    # by change 5 4 3 2 1 0, by the plain score 0 1 2 3 4 5:
    # change takes 0, then 1; plain takes 5; change takes 2, then 3; plain takes 4
    scored = make_scores([0, 1, 2, 3, 4, 5], others=(np.array([5.0, 4, 3, 2, 1, 0]),))
    assert slices(ranked(scored, "class-entropy")) == [0, 1, 5, 2, 3, 4]


def test_clasp_ends_at_a_beta_of_100(make_scores) -> None:
    # 100 slices, budget 20, batches of 5: rounds k = 0 to 3 begin at 0, 5, 10 and 15 answers.
    # beta = 100^(k/3) = 1, 4.64, 21.5, 100; by the used share of the budget the last was 100^(15/20) = 31.6.
    found = []
    for answered in (0, 5, 10, 15):
        scored = make_scores(np.ones(100), others=(np.ones(100),), answered=frozenset(range(answered)))
        found.append(beta_at(ranked(scored, "clasp", batch=5, count=5).settings["progress"]))
    assert found == pytest.approx([1, 4.6416, 21.5443, 100], rel=1e-4)


def test_the_laboratory_ends_clasp_at_a_beta_of_100() -> None:
    from LMIALLib.laboratory.rounds import place_in_budget

    # Budgets 0, 7, 13, 20 %: three rounds are chosen, 100^(0/2), 100^(1/2), 100^(2/2); by the used share of the budget
    # the last was 100^(13/20), about 21.5 (2/3 of the budget used).
    assert [beta_at(place_in_budget(k, 4, initial=False)) for k in (1, 2, 3)] == pytest.approx([1, 10, 100])
    # The same with a first draw at random: it is none of the strategy's rounds.
    assert [beta_at(place_in_budget(k, 5, initial=True)) for k in (2, 3, 4)] == pytest.approx([1, 10, 100])
    assert place_in_budget(1, 2, initial=False) == 0.0  # a single round


@pytest.mark.parametrize("name", ["power-entropy", "soft-rank-bald"])
def test_noise_is_drawn_anew_in_every_round(name: str, make_scores) -> None:
    # All scores are alike, so the order is the noise alone. Slices 0 to 4 of 40 are answered between the rankings; with
    # frozen noise the other 35 would keep their order, which chance gives once in 35! draws.
    before, after = (
        ranked(make_scores(np.ones(40), answered=frozenset(range(answered))), name, seed=3) for answered in (0, 5)
    )
    left = [k for k in slices(before) if k >= 5]
    assert sorted(left) == sorted(slices(after)) and left != slices(after)
    # nothing answered in between: the same noise, so that ranking again does not shuffle the queue
    assert slices(after) == slices(ranked(make_scores(np.ones(40), answered=frozenset(range(5))), name, seed=3))


def test_typiclust_has_at_most_half_of_a_cluster_as_neighbours(make_scores) -> None:
    # One cluster of 6 slices at 0, 1, 2, 3.6, 3.9 and 20: 6 // 2 = 3 neighbours.
    # mean distance to the 3 nearest: 0: (1 + 2 + 3.6) / 3 = 2.2; 1: (1 + 1 + 2.6) / 3 = 1.53;
    # 2: (1 + 1.6 + 1.9) / 3 = 1.5; 3.6: (0.3 + 1.6 + 2.6) / 3 = 1.5 (a hair more); 3.9: (0.3 + 1.9 + 2.9) / 3 = 1.7.
    # With all 5 others, 3.6 would be first: (0.3 + 1.6 + 2.6 + 3.6 + 16.4) / 5 = 4.9 against 5.1 for 2.
    features = np.array([[0.0], [1.0], [2.0], [3.6 + 1e-3], [3.9 + 1e-3], [20.0]])
    scored = make_scores(np.zeros(6), features=features)
    assert slices(ranked(scored, "typiclust", batch=1, count=1)) == [2]


def test_cluster_margin_goes_by_the_margin_in_a_single_patient(make_scores) -> None:
    # 12 slices of one patient, batches of 2: 10 batches are 20, more than there are, so that all were shortlisted and
    # the margin of none mattered. Half of what is open are the 6 slices 6 to 11.
    features = np.random.default_rng(0).standard_normal((12, 3))
    scored = make_scores(np.arange(12.0), features=features)
    for seed in range(8):
        assert set(slices(ranked(scored, "cluster-margin", batch=2, count=2, seed=seed))) <= set(range(6, 12))
    # A batch as large as the pool is the pool.
    assert len(slices(ranked(scored, "cluster-margin", batch=12))) == 12


def test_k_means_bald_scales_over_its_shortlist_and_does_not_centre(make_scores) -> None:
    # Batch 1: the shortlist is the two best, slices 0 (f = 1) and 1 (f = 3), std 1.414 (of a sample), scaled 0.7, 2.1.
    # Largest norm: slice 1. Centred over the pool (mean 4.75) slice 0 would be first, |1 - 4.75| over |3 - 4.75|.
    scored = make_scores([9, 8, 1, 0], features=np.array([[1.0], [3.0], [7.0], [8.0]]))
    assert slices(ranked(scored, "k-means-bald", batch=1, count=1)) == [1]
    # Batch 2: the shortlist is 0 to 3 with f = (0, 10), (0, 0), (1, 0), (1, 9). Over it the std are 0.577 and 5.5, so
    # scaled f = (0, 1.82), (0, 0), (1.73, 0), (1.73, 1.64). Norms 1.82, 0, 1.73, 2.38: slice 3 first. From it slice 0
    # is 1.74 away, slice 1 2.38, slice 2 1.64: slice 1 next. By the std of the pool, where slices 4 and 5 have 1000 in
    # the first feature (some 516), that feature would count for nothing, and slice 0 be first.
    features = np.array([[0.0, 10], [0, 0], [1, 0], [1, 9], [1000, 0], [1000, 0]])
    scored = make_scores([9, 8, 7, 6, 1, 0], features=features)
    assert slices(ranked(scored, "k-means-bald", batch=2, count=2)) == [3, 1]


def test_stochastic_batches_do_not_overlap(make_scores) -> None:
    # Four slices of scores 0, 0, 1, 1, batches of 2. Cut without overlap the pool gives {0, 1} and {2, 3} once in three
    # shuffles, and then the best mean is 1; otherwise both batches have a mean of 1/2. Of 100 batches that may overlap
    # one is nearly surely {2, 3}: the order would be that of the plain score.
    found = []
    for seed in range(300):
        ranking = ranked(make_scores([0.0, 0, 1, 1]), "stochastic-batches", batch=2, count=2, seed=seed)
        assert {query.terms["batch_score"] for query in ranking.queries} in ({1.0}, {0.5})
        found.append(ranking.queries[0].terms["batch_score"])
    # 300 draws with a chance of 1/3: 100 of them, standard deviation 8.2
    assert 70 < sum(mean == 1.0 for mean in found) < 130


def test_stochastic_batches_leave_out_what_fills_no_batch(make_scores) -> None:
    # Five slices, batches of 2: two batches, one slice is in none, whatever its score (here slice 4, of score 9, is in
    # none once in five shuffles, and then the batch that is asked for lacks it).
    first = [
        slices(ranked(make_scores([0, 0, 0, 0, 9.0]), "stochastic-batches", batch=2, seed=k))[:2] for k in range(100)
    ]
    assert 5 < sum(4 not in batch for batch in first) < 40  # 20 of 100, standard deviation 4


def test_selective_entropy_takes_its_two_means_in_turn(make_maps) -> None:
    # H(0.9) = H(0.1) = 0.3251, H(0.2) = 0.5004, H(0.45) = 0.6881, H(0.5) = 0.6931. Four pixels a slice.
    # slice                          0                  1                    2               3
    # pixels                         0.2 0.2 0.2 0.05   0.5 0.9 0.9 0.9      0.45 0.1 0 0    0.09 0.09 0.09 0.09
    # mean over p >= 0.1             0.5004             (0.6931 + 3 x 0.3251) / 4 = 0.4171
    #                                                                        0.5066          none: 0
    # mean over |p - 1/2| <= 0.1     none: 0            0.6931               0.6881          none: 0
    # In turn: by the first mean slice 2, by the second slice 1, by the first slice 0, then slice 3.
    pixels = [[0.2, 0.2, 0.2, 0.05], [0.5, 0.9, 0.9, 0.9], [0.45, 0.1, 0.0, 0.0], [0.09] * 4]
    scored = score_case(make_maps(np.array(pixels)[:, None]), STRATEGIES["selective-entropy"])
    np.testing.assert_allclose(scored.score, [0.5004, 0.4171, 0.5066, 0.0], atol=1e-4)
    np.testing.assert_allclose(scored.others[0], [0.0, 0.6931, 0.6881, 0.0], atol=1e-4)
    ranking = ranked(scored, "selective-entropy")
    assert slices(ranking) == [2, 1, 0, 3]
    assert ranking.queries[1].reason.startswith("Most uncertain near the border of change")


def test_the_former_selective_entropy_has_a_name_of_its_own(make_maps) -> None:
    # The sum of H over p >= 1/4: slice 0 has 0.3 and 0.2, H(0.3) = 0.6109; slice 1 has 0.5 and 0.9, 0.6931 + 0.3251.
    scored = score_case(make_maps(np.array([[[0.3, 0.2]], [[0.5, 0.9]]])), STRATEGIES["foreground-entropy"])
    np.testing.assert_allclose(scored.score, [0.6109, 1.0182], atol=1e-4)


@pytest.mark.parametrize("way", ["{}", "difference-{}", "difference-{}-normalised"])
def test_margin_is_said_to_be_twice_the_least_confidence(way: str, make_random_maps) -> None:
    # p = 0.3: 1 - max(0.3, 0.7) = 0.3, and 1 - |0.6 - 1| = 0.6
    maps, names = make_random_maps(3), (way.format("least-confidence"), way.format("margin"))
    least, margin = (score_case(maps, STRATEGIES[name]) for name in names)
    np.testing.assert_allclose(margin.score, 2 * least.score, rtol=1e-12)
    assert slices(ranked(margin, names[1])) == slices(ranked(least, names[0]))
    assert "order of least-confidence" in STRATEGIES[names[1]].summary


def test_bald_is_what_the_network_made_where_slices_were_resampled(make_maps) -> None:
    # The network's pixels have p = 0 and 1 in both passes: no pass disagrees, BALD is 0 at both. Halfway the mean is
    # 1/2 and the mean entropy (0 + 0) / 2 = 0: made of these two, BALD were ln 2 = 0.693.
    apart = make_maps(np.array([[[0.0, 0.5, 1.0]]]), expected_entropy=np.zeros((1, 1, 3), np.float32))
    assert score_case(apart, STRATEGIES["bald"]).score[0] == pytest.approx(LN2)  # all that can be known from these maps
    made = replace(apart, mutual_information=np.zeros((1, 1, 3), np.float32), entropy=np.zeros((1, 1, 3), np.float32))
    assert score_case(made, STRATEGIES["bald"]).score[0] == 0.0
    assert score_case(made, STRATEGIES["entropy"]).score[0] == 0.0


@pytest.mark.parametrize("value", [1.5, -0.25])
def test_a_probability_outside_of_0_to_1_is_refused(value: float, make_maps) -> None:
    with pytest.raises(LMIALError, match=f"case a hold {value}; expected 0 to 1"):
        score_case(make_maps(np.array([[[0.5, value]]])), STRATEGIES["least-confidence"])
    outside = np.array([[[True, False]]])  # beyond the brain nothing is looked at
    score_case(make_maps(np.array([[[0.5, value]]]), mask=outside), STRATEGIES["least-confidence"])
    rounding = make_maps(np.array([[[0.5, 1.0000001]]]))
    assert score_case(rounding, STRATEGIES["entropy"]).score[0] == pytest.approx(LN2)


def test_features_that_are_not_finite_are_refused_with_a_sentence(make_maps) -> None:
    with pytest.raises(LMIALError, match="The features of case a hold values that are not finite"):
        make_maps(np.full((2, 1, 1), 0.5), features=np.array([[1.0], [np.nan]]))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_an_infinite_difference_blames_the_scans(value: float, make_maps) -> None:
    maps = make_maps(np.full((1, 1, 2), 0.5), difference=np.array([[[0.0, value]]], np.float32))
    with pytest.raises(LMIALError, match="difference of the two scans of case a") as refused:
        score_case(maps, STRATEGIES["difference-entropy"])
    assert "not the model" in refused.value.hint


def test_sure_slices_are_not_ranked_by_the_area_of_their_brain(make_maps) -> None:
    # Slice 0: 100 pixels of p = 0. Slice 1: one pixel of p = 1e-6, H = 1e-6 (ln 1e6 + 1) = 1.482e-5, 99 outside of the
    # brain. With a floor of 1.71e-6 a pixel slice 0 had 1.71e-4 and came first, for its area alone.
    mean, mask = np.zeros((2, 10, 10)), np.ones((2, 10, 10), dtype=bool)
    mask[1], mask[1, 0, 0], mean[1, 0, 0] = False, True, 1e-6
    scored = replace(score_case(make_maps(mean, mask=mask), STRATEGIES["entropy"]), eligible=np.ones(2, dtype=bool))
    np.testing.assert_allclose(scored.score, [0.0, 1.482e-5], rtol=1e-3, atol=1e-12)
    assert slices(ranked(scored, "entropy")) == [1, 0]


@pytest.mark.parametrize("spread", [1.0, 5.0])
def test_an_end_slice_is_not_asked_before_slices_with_more_expected_error(spread: float, make_maps) -> None:
    # Five slices of 40, 400, 400, 400 and 40 pixels, |difference| the same everywhere, so that w is 0.2 (or 1)
    # throughout and Sum w is 8, 80, 80, 80, 8 (median 80). p = 0.5 in 10 pixels of the first slice and in 20, 60, 30
    # and 8 of the others: expected errors Sum min(p, 1-p) of 5, 10, 30, 15 and 4.
    # Score: ln 2 x 0.2 x (10, 20, 60, 30, 8) / 80; order 2, 3, 1, 0, 4. With a least divisor of 8 the first slice had
    # ln 2 x 0.2 x 10 / 8, more than the 60 pixels of the middle: it was asked first, the last one second.
    mean, mask = np.zeros((5, 20, 20)), np.ones((5, 20, 20), dtype=bool)
    mask[[0, 4], 2:] = False
    for k, doubtful in enumerate((10, 20, 60, 30, 8)):
        mean[k].flat[:doubtful] = 0.5
    maps = make_maps(mean, mask=mask, difference=np.full(mean.shape, spread, np.float32))
    scored = score_case(maps, STRATEGIES["difference-entropy-normalised"])
    np.testing.assert_allclose(scored.score, LN2 * np.array([10, 20, 60, 30, 8]) / 400, rtol=1e-6)
    assert slices(ranked(scored, "difference-entropy-normalised")) == [2, 3, 1, 0, 4]
