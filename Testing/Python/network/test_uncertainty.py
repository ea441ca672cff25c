"""What passes say of a pixel, worked out by hand, and that it is made before slices are resampled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LMIALLib.network.prediction import predict
from LMIALLib.network.slice_terms import _two_class_dice
from LMIALLib.network.slices import resized
from LMIALLib.network.uncertainty import binary_entropy_of, uncertainty_maps

LN2 = float(np.log(2))


def logits(*probabilities: float) -> torch.Tensor:
    return torch.logit(torch.tensor(probabilities, dtype=torch.float64)).float().reshape(1, 1, -1)


def test_two_passes_by_hand() -> None:
    # Pixel 0: p = 0.2 and 0.8: mean 0.5, H = 0.6931; each pass H = 0.5004; BALD 0.1927; variance 0.09.
    # Pixel 1: p = 0.3 twice: mean 0.3, H = 0.6109 as each pass; BALD 0, variance 0.
    found = {
        name: value[0, 0].tolist() for name, value in uncertainty_maps([logits(0.2, 0.3), logits(0.8, 0.3)]).items()
    }
    assert found["mean"] == pytest.approx([0.5, 0.3], abs=1e-6)
    assert found["entropy"] == pytest.approx([0.6931, 0.6109], abs=1e-4)
    assert found["expected_entropy"] == pytest.approx([0.5004, 0.6109], abs=1e-4)
    assert found["mutual_information"] == pytest.approx([0.1927, 0.0], abs=1e-4)
    assert found["mutual_information"][1] == 0.0
    assert found["variance"] == pytest.approx([0.09, 0.0], abs=1e-6)


def test_one_pass_gives_mean_and_entropy() -> None:
    found = uncertainty_maps([logits(0.5, 0.1)])
    assert set(found) == {"mean", "entropy"}
    assert found["entropy"][0, 0].tolist() == pytest.approx([LN2, 0.3251], abs=1e-4)


def test_sure_pixels_have_no_floor_on_either_side() -> None:
    # z = 30: 1 - p = e^-30 = 9.358e-14, H = 9.358e-14 (30 + 1) = 2.901e-12, and the same for z = -30, although p is 1
    # in float32. A clamp at 1e-7 gave 1.71e-6 for both.
    sure = torch.tensor([[[-30.0, 30.0]]])
    expected = [2.901e-12, 2.901e-12]
    assert binary_entropy_of(sure)[0, 0].tolist() == pytest.approx(expected, rel=1e-3)
    for passes in ([sure], [sure, sure]):
        assert uncertainty_maps(passes)["entropy"][0, 0].tolist() == pytest.approx(expected, rel=1e-3)


def test_bald_of_equal_passes_is_nothing_however_sure_they_are() -> None:
    z = 12 * torch.randn((3, 20, 20), generator=torch.Generator().manual_seed(0))
    for count in (2, 3, 7, 10):
        assert not uncertainty_maps([z] * count)["mutual_information"].any()


def test_between_two_sure_pixels_there_is_no_disagreement() -> None:
    # Four pixels of p = 0, 0, 1, 1 in both passes, resampled to eight: the mean goes over 1/4 and 3/4 between the
    # two, and BALD of the resampled maps were H(1/4) = H(3/4) = 0.5623 there; made first and then resampled it is 0
    # everywhere.
    z = torch.tensor([-60.0, -60.0, 60.0, 60.0]).repeat(1, 4, 1)
    found = {name: resized(value.numpy(), (4, 8)) for name, value in uncertainty_maps([z, z]).items()}
    assert found["mean"][0, 0, 3:5].tolist() == pytest.approx([0.25, 0.75])
    mean = found["mean"][0, 0, 3].astype(float)
    apart = -mean * np.log(mean) - (1 - mean) * np.log(1 - mean) - found["expected_entropy"][0, 0, 3]
    assert apart == pytest.approx(0.5623, abs=1e-4)
    assert found["mutual_information"].max() == 0.0 and found["entropy"].max() < 1e-20


def test_a_resampled_pair_has_no_more_bald_than_its_passes(network, pair_of) -> None:
    """At 1.6 mm the shipped network sees 0.8 mm: what is resampled is BALD, never less than 0, under the entropy."""
    found = predict(network, pair_of(spacing=(1.6, 1.6, 3.0)), passes=3)
    assert found.mutual_information is not None and found.entropy is not None and found.expected_entropy is not None
    assert found.mutual_information.min() >= 0
    np.testing.assert_allclose(found.mutual_information, found.entropy - found.expected_entropy, atol=2e-5)


def test_expected_dice_of_an_empty_slice_is_that_of_no_change_alone() -> None:
    # Four pixels, p = 0.01 in mean and pass. No change: 2 x 4 x 0.99^2 / (4 x 1.98) = 0.99. Change is predicted nowhere
    # and left out; its soft Dice, 2 x 4 x 0.0001 / (4 x 0.02) = 0.01, made 0.5 of the slice, less than that of slice 1.
    empty = torch.full((1, 1, 4), 0.01)
    # One pixel of 0.8, three of 0: change 2 x 0.64 / 1.6 = 0.8; no change 2 (0.04 + 3) / (0.4 + 6) = 0.95; mean 0.875.
    found = torch.tensor([[[0.8, 0.0, 0.0, 0.0]]])
    # Mean 0.4 and pass 0.8 in one pixel, else 0: predicted by the pass. Change 2 x 0.32 / 1.2 = 0.5333;
    # no change 2 (0.12 + 3) / (0.8 + 6) = 0.9176; mean 0.7255.
    doubtful = torch.tensor([[[0.4, 0.0, 0.0, 0.0]]])
    region = torch.ones((1, 1, 4), dtype=torch.bool)
    dice = [float(_two_class_dice(a, b, region)) for a, b in ((empty, empty), (found, found), (doubtful, found))]
    assert dice == pytest.approx(
        [0.99, 0.875, 0.7255], abs=1e-4
    )  # the doubtful slice is asked first, the empty one last
