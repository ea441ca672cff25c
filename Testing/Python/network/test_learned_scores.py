"""Learned scorers: they find what was planted, the same each time, and say when there is too little to learn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from LMIALLib.network.evidence import case_evidence
from LMIALLib.network.learned_scores import predicted_loss, slice_losses, unlike_read
from LMIALLib.network.predicted import CaseInput
from LMIALLib.queries.measures import binary_entropy


@pytest.fixture
def planted():
    """Features of 200 slices, 60 of them read, with a loss that grows with the first feature; most are noise."""
    random = np.random.default_rng(0)
    features = random.standard_normal((200, 20)).astype(np.float32) * 3 + 5
    features[:, 7] = 2.0
    truth = np.exp(features[:, 0] / 3)
    losses = np.full(200, np.nan)
    losses[:60] = truth[:60]
    return features, truth, losses


def test_predicted_loss_follows_the_order_of_unread_losses(planted):
    features, truth, losses = planted
    found = predicted_loss(features, losses, 0)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert spearmanr(found[60:], truth[60:]).statistic > 0.7


def test_only_the_order_of_losses_counts(planted):
    features, _, losses = planted
    assert np.array_equal(predicted_loss(features, losses, 0), predicted_loss(features, np.log(losses) * 100, 0))


def test_unlike_read_finds_the_slices_of_another_kind(planted):
    features = planted[0].copy()
    read = np.arange(200) < 40
    features[150:, 3] += 30
    found = unlike_read(features, read, 0)
    assert found.dtype == np.float32 and ((found > 0) & (found < 1)).all()
    assert found[150:].min() > found[:40].max()
    assert len(np.unique(found)) == 200, "it must not be so sure that slices tie"


@pytest.mark.parametrize("score", ["loss", "unlike"])
def test_the_same_each_time_and_no_one_elses_chance_is_touched(planted, score):
    features, _, losses = planted

    def made(seed):
        known = losses if score == "loss" else np.isfinite(losses)
        return (predicted_loss if score == "loss" else unlike_read)(features, known, seed)

    before = torch.random.get_rng_state()
    first = made(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert np.array_equal(made(0), first) and not np.array_equal(made(1), first)


def test_too_little_to_learn_from(planted):
    features, _, losses = planted
    few = np.where(np.arange(200) < 3, losses, np.nan)
    assert predicted_loss(features, few, 0) is None
    assert predicted_loss(features, np.where(np.isfinite(losses), 1.0, np.nan), 0) is None
    assert unlike_read(features, np.isfinite(few), 0) is None
    assert unlike_read(features, np.ones(200, bool), 0) is None


def test_losses_of_slices_by_hand():
    probability = np.array([[[0.5, 0.9], [0.2, 1.0]], [[0.1, 0.1], [0.1, 0.1]], [[0.0, 1.0], [1.0, 1.0]]], np.float32)
    mask = np.ones((3, 2, 2), bool)
    mask[0, 1, 1] = False
    first = np.array([[1, 1], [255, 0]], np.uint8)
    found = slice_losses(probability, mask, {0: first, 2: np.zeros((2, 2), np.uint8)})
    assert found[0] == pytest.approx(-(np.log(0.5) + np.log(0.9)) / 2, rel=1e-6)
    assert np.isnan(found[1]) and np.isfinite(found[2]) and found[2] > 10
    assert np.isnan(slice_losses(probability, mask, {1: np.full((2, 2), 255, np.uint8)})[1])


def cases_of(pair_of, answered):
    """Three cases; in each the first ``answered`` slices with brain were read."""
    targets = [np.zeros((40, 36), np.uint8) for _ in range(3)]
    targets[1][15:20, 15:20] = 1
    return [CaseInput(name, pair_of(k), {1 + n: targets[n] for n in range(answered)}) for k, name in enumerate("abc")]


@pytest.mark.parametrize("need", ["loss-prediction", "discriminator"])
def test_learned_scores_reach_each_case_whatever_their_order(network, pair_of, need):
    cases = cases_of(pair_of, 2)
    found = {maps.case: (maps, made) for maps, made in case_evidence([network], cases, {need}, threads=1)}
    other = {maps.case: maps for maps, _ in case_evidence([network], cases[::-1], {need}, threads=1)}
    for name, (maps, made) in found.items():
        assert (maps.learned.shape, maps.learned.dtype) == ((5,), np.float32)
        assert maps.learned[[0, 4]].tolist() == [0, 0] and maps.learned[1:4].all()
        assert np.array_equal(maps.learned, other[name].learned)
        assert made.conditions["learned"] == need
    pool = np.concatenate([found[name][0].learned[1:4] for name in "abc"])
    assert len(np.unique(pool)) == 9


@pytest.mark.parametrize("need", ["loss-prediction", "discriminator"])
def test_with_too_few_answers_entropy_stands_in_and_is_named(network, pair_of, need):
    for maps, made in case_evidence([network], cases_of(pair_of, 1), {need}):
        by_hand = [binary_entropy(maps.mean[k])[maps.mask[k]].sum() for k in range(5)]
        assert np.allclose(maps.learned, by_hand, rtol=1e-5)
        assert made.conditions["learned"] == f"entropy: too little was answered for {need}"


def test_answers_that_may_not_be_learned_from_still_count_as_read(network, pair_of):
    ignored = np.broadcast_to(np.uint8(255), (40, 36))
    cases = [CaseInput(name, pair_of(k), {1: ignored, 2: ignored}) for k, name in enumerate("abc")]
    needs = ("loss-prediction", "discriminator")
    notes = [next(case_evidence([network], cases, {need}))[1].conditions["learned"] for need in needs]
    assert notes == ["entropy: too little was answered for loss-prediction", "discriminator"]
