"""What slices that nobody read add to a training of the laboratory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LMIALLib.network.architecture import ChangeNetwork
from LMIALLib.network.lab_training import LabRecipe, Slices, new_network, train
from LMIALLib.network.unread_slices import COMPANIONS, UnreadSlices, consistency_loss, pseudo_label_loss
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair

RECIPE = LabRecipe(steps=10, batch=2, crop=32)
GRID = Grid((40, 40, 8), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def noise_pair() -> Pair:
    """8 slices of noise, 40 x 40; the follow-up has a bright square in every slice."""
    first = np.random.default_rng(0).normal(0, 0.3, (8, 40, 40)).astype(np.float32)
    second = first.copy()
    second[:, 10:20, 10:20] += 4.0
    return Pair(first, second, np.ones(first.shape, bool), GRID, 0)


PAIR = noise_pair()
TRUTH = np.zeros((40, 40), np.uint8)
TRUTH[10:20, 10:20] = 1
LABELS = {("a", 3): TRUTH}
UNREAD = [("a", number) for number in (0, 1, 2, 4, 5, 6, 7)]


@pytest.fixture(scope="module")
def network() -> ChangeNetwork:
    return new_network(0, (8, 12, 16), [PAIR])


@pytest.fixture(scope="module")
def slices(network: ChangeNetwork) -> Slices:
    return Slices({"a": PAIR}, network.architecture, RECIPE.crop)


def weights(network: ChangeNetwork) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()])


@pytest.mark.parametrize("semi", sorted(COMPANIONS))
def test_unread_slices_change_the_model_and_equal_runs_give_equal_bits(
    network: ChangeNetwork, slices: Slices, semi: str
) -> None:
    plain = train(network, slices, LABELS, RECIPE, (1,), known=False)
    first, again = (
        train(network, slices, LABELS, RECIPE, (1,), known=False, semi=semi, unread=UNREAD) for _ in range(2)
    )
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(plain))


@pytest.mark.parametrize("semi", sorted(COMPANIONS))
def test_where_everything_was_read_a_companion_changes_nothing(
    network: ChangeNetwork, slices: Slices, semi: str
) -> None:
    plain = train(network, slices, LABELS, RECIPE, (1,), known=False)
    assert torch.equal(weights(plain), weights(train(network, slices, LABELS, RECIPE, (1,), known=False, semi=semi)))


def test_a_pseudo_label_counts_as_much_as_the_teacher_is_sure() -> None:
    brain = torch.ones((1, 1, 4, 4), dtype=torch.bool)
    wrong = torch.full((1, 1, 4, 4), -2.0)
    sure, unsure, torn = (pseudo_label_loss(wrong, torch.full((1, 1, 4, 4), p), brain) for p in (0.99, 0.6, 0.5))
    assert sure > unsure > torn
    assert float(torn) < 1e-3


def test_a_mean_teacher_asks_for_its_own_probabilities_within_the_brain() -> None:
    brain = torch.zeros((1, 1, 4, 4), dtype=torch.bool)
    brain[..., :2] = True
    logits = torch.zeros((1, 1, 4, 4))
    assert float(consistency_loss(logits, torch.full((1, 1, 4, 4), 0.5), brain)) == 0.0
    assert float(consistency_loss(logits, torch.ones((1, 1, 4, 4)), brain)) == pytest.approx(0.25)
    outside = torch.where(brain, 0.5, 1.0)
    assert float(consistency_loss(logits, outside, brain)) == 0.0


def test_pseudo_labels_are_given_once_and_not_before_they_begin(network: ChangeNetwork, slices: Slices) -> None:
    others = UnreadSlices(slices, [0, 1, 2], COMPANIONS["pseudo"], RECIPE.crop, (1,))
    assert others.lesson(4, 10, network) is None
    lesson = others.lesson(5, 10, network)
    assert lesson is not None
    given = others.opinions
    assert others.lesson(9, 10, new_network(1, (8, 12, 16), [PAIR])) is not None
    assert others.opinions is given
    assert 0 < COMPANIONS["pseudo"].share(5, 10) < COMPANIONS["pseudo"].share(9, 10) == 1.0
