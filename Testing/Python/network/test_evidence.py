"""Evidence: every sum against the same computed with all maps in memory; what is refused; what it leaves as it was."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
import torch

from LMIALLib.errors import WrongUse
from LMIALLib.network.architecture import CHANNELS, Architecture, ChangeNetwork
from LMIALLib.network.combined_predictions import CombinedMaps, turned, turned_back, turned_pair, views_of
from LMIALLib.network.evidence import case_evidence
from LMIALLib.network.predicted import CaseInput
from LMIALLib.network.prediction import predict
from LMIALLib.queries.measures import binary_entropy, mutual_information
from LMIALLib.queries.pool import CaseMaps


@pytest.fixture
def members(network):
    """The network and two that differ from it a little."""
    made = [network]
    for seed in (1, 2):
        torch.manual_seed(seed)
        other = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        made.append(other.eval())
    return made


def evidence(networks, pair, *needs, **options):
    """Maps and prediction of one case."""
    return next(case_evidence(networks, [CaseInput("a", pair, {}, **options.pop("of_case", {}))], needs, **options))


def equivariant(network):
    """The network with weights that make it see every 2 x 2 block of pixels by its mean alone, in 2 + 1 layers."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 4:
                parameter.zero_()
        block = torch.randn(8, CHANNELS) * 0.5
        made.stages[0][0][0].weight[:, :, 1, 1] = block.repeat_interleave(4, dim=1)
        for layer in (made.stages[0][1][0], made.skips[-1][0], made.last[0]):
            layer.weight[:, :, 1, 1] = torch.randn(8, 8) * 0.5
        made.head.weight[:, :, 1, 1] = torch.randn(8)
        made.head.bias.fill_(0.1)
    return made


def test_without_needs_it_is_the_plain_prediction(network, pair):
    maps, found = evidence([network], pair)
    plain = predict(network, pair)
    assert np.array_equal(maps.mean, plain.mean) and np.array_equal(maps.features, plain.features)
    assert found.conditions == plain.conditions
    assert maps.expected_entropy is maps.variance is maps.vote_entropy is maps.gradients is maps.learned is None


def test_passes_are_those_of_predict(network, pair):
    maps, _ = evidence([network], pair, "passes", "features", passes=4, seed=7)
    plain = predict(network, pair, passes=4, seed=7)
    for name in ("mean", "expected_entropy", "variance", "features"):
        assert np.array_equal(getattr(maps, name), getattr(plain, name))


def test_a_committee_equals_all_maps_together(members, pair):
    maps, found = evidence(members, pair, "members")
    every = np.stack([predict(member, pair).mean for member in members]).astype(np.float64)
    share = (every >= 0.5).mean(0)
    brain = pair.mask
    assert 0 < share[brain].min() + share[brain].max() < 2 and len(np.unique(share[brain])) > 2, "votes must differ"
    assert np.allclose(maps.mean, every.mean(0), atol=1e-6)
    assert np.allclose(maps.variance, every.var(0), atol=1e-6)
    assert np.allclose(maps.expected_entropy[brain], binary_entropy(every).mean(0)[brain], atol=1e-6)
    by_hand = np.where((share > 0) & (share < 1), binary_entropy(share), 0.0)
    assert np.allclose(maps.vote_entropy, by_hand, atol=1e-6)
    assert np.array_equal(maps.features, predict(members[0], pair).features)
    assert found.conditions["members"] == 3
    for stack in (maps.mean, maps.variance, maps.expected_entropy, maps.vote_entropy):
        assert stack.dtype == np.float32 and not stack[~brain].any()


def test_equal_members_agree_exactly(network, pair):
    maps, _ = evidence([network] * 3, pair, "members")
    assert not maps.variance.any() and not maps.vote_entropy.any() and not mutual_information(maps).any()
    assert np.array_equal(maps.mean, predict(network, pair).mean)


def test_sums_are_all_that_is_kept(pair):
    """As many arrays after twenty maps as after two."""

    def kept(count):
        sums = CombinedMaps(pair.mask)
        for seed in range(count):
            sums.add(np.random.default_rng(seed).random(pair.mask.shape, dtype=np.float32) * pair.mask)
        return sum(value.nbytes for value in vars(sums).values() if isinstance(value, np.ndarray))

    assert kept(2) == kept(20)


def test_probabilities_of_exactly_0_and_1_stay_finite():
    mask = np.ones((1, 2, 2), bool)
    sums = CombinedMaps(mask)
    for value in (0.0, 1.0):
        sums.add(np.full(mask.shape, value, np.float32))
    assert np.allclose(sums.variance, 0.25) and np.allclose(sums.vote_entropy, np.log(2))
    assert np.isfinite(sums.expected_entropy).all() and sums.expected_entropy.max() < 1e-5


def test_a_committee_of_one_is_refused(network, pair):
    with pytest.raises(WrongUse, match="at least two model snapshots, and there is 1"):
        evidence([network], pair, "members")


@pytest.mark.parametrize(("spacing", "count"), [((0.9, 0.9, 3.0), 8), ((0.9, 0.8, 3.0), 4)])
def test_views_are_brought_back_exactly(pair_of, spacing, count):
    pair = pair_of(spacing=spacing)
    views = views_of(pair.in_plane_spacing)
    seen = [turned(pair.baseline, view) for view in views]
    assert views[0] == (0, False) and np.array_equal(seen[0], pair.baseline)
    assert len({one.tobytes() for one in seen}) == len(views) == count
    for view, one in zip(views, seen, strict=True):
        assert np.array_equal(turned_back(one, view), pair.baseline)
    quarter = turned_pair(pair_of(spacing=(0.8, 0.9, 3.0), axis=0), (1, False))
    assert quarter.slice_shape == (36, 40) and quarter.in_plane_spacing == (0.8, 0.9)


@pytest.mark.parametrize("axis", [0, 2])
def test_views_equal_all_maps_together(network, pair_of, axis):
    pair = pair_of(axis=axis, spacing=(0.9, 0.9, 3.0) if axis == 0 else (3.0, 0.9, 0.9))
    maps, found = evidence([network], pair, "views")
    every = []
    for turns in range(4):
        for mirrored in (False, True):
            one = turned_pair(pair, (turns, mirrored))
            every.append(turned_back(predict(network, one).mean, (turns, mirrored)))
    every = np.stack(every).astype(np.float64)
    brain = pair.stack(pair.mask)
    assert np.allclose(maps.mean, every.mean(0), atol=1e-6)
    assert np.allclose(maps.variance, every.var(0), atol=1e-6)
    assert np.allclose(maps.expected_entropy[brain], binary_entropy(every).mean(0)[brain], atol=1e-6)
    assert maps.vote_entropy is None and found.conditions["views"] == 8
    assert maps.variance.max() > 1e-6


def test_a_network_that_turns_with_its_slice_shows_no_variance(network, pair):
    torch.manual_seed(0)
    maps, _ = evidence([equivariant(network)], pair, "views")
    assert np.ptp(maps.mean[pair.mask]) > 0.1, "the network must say something"
    assert maps.variance.max() < 1e-11


def test_seconds_come_from_the_outline_or_from_the_caller(network, pair):
    from LMIALLib.queries.reading_time import ReadingTime, outline_mm

    maps, _ = evidence([network], pair, "seconds", reading_time=ReadingTime(5.0, 0.1))
    assert np.allclose(maps.seconds, 5.0 + 0.1 * outline_mm(maps.mean >= 0.5, (0.9, 0.9)))
    assert maps.seconds[0] == 5.0 and maps.seconds[1] > 5.0
    known = np.arange(1.0, 6.0, dtype=np.float32)
    assert np.array_equal(evidence([network], pair, "seconds", of_case={"seconds": known})[0].seconds, known)
    assert evidence([network], pair)[0].seconds is None


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"passes", "views"}, "passes and views"),
        ({"discriminator", "loss-prediction"}, "discriminator and loss-prediction"),
        ({"astrology"}, "astrology"),
        ({"expected-dice"}, "passes as well"),
    ],
)
def test_needs_that_make_no_sense_are_refused(network, pair, needs, words):
    with pytest.raises(WrongUse, match=words):
        evidence([network], pair, *needs)
    with pytest.raises(WrongUse, match="no model"):
        evidence([], pair)


def test_cases_are_taken_one_at_a_time(network, pair_of):
    """Nothing of the second case is touched before it is asked for; answers and skips arrive."""
    target = np.zeros((40, 36), np.uint8)
    asked = []

    class Loading(list):
        def __iter__(self):
            for case in list.__iter__(self):
                asked.append(case.name)
                yield case

    cases = Loading(CaseInput(name, pair_of(k), {2: target}, frozenset({1})) for k, name in enumerate("ab"))
    found = case_evidence([network], cases, ())
    assert inspect.isgenerator(found) and not asked
    maps, _ = next(found)
    assert asked == ["a"] and (maps.case, maps.answered, maps.skipped) == ("a", {2}, {1})
    assert isinstance(maps, CaseMaps) and next(found)[0].case == "b"


def test_a_pair_without_brain_gives_evidence_all_the_same(members, pair):
    blank = type(pair)(pair.baseline, pair.follow_up, np.zeros_like(pair.mask), pair.grid, pair.axis)
    for needs in (("members",), ("views",), ("passes", "expected-dice", "gradients", "seconds")):
        maps, _ = evidence(members, blank, *needs, passes=2)
        assert not maps.mean.any() and not maps.variance.any()
    assert (maps.expected_dice == 1).all() and not maps.gradients.any()


def test_another_architecture_in_the_committee_is_fine(network, pair):
    torch.manual_seed(5)
    other = ChangeNetwork(Architecture(widths=(4, 6), decoder_width=4)).eval()
    maps, _ = evidence([network, other], pair, "members")
    both = [predict(one, pair).mean for one in (network, other)]
    assert np.allclose(maps.mean, np.mean(both, axis=0), atol=1e-6)
