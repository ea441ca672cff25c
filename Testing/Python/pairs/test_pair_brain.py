"""The brain region on heads with skull, on stripped brains, and on volumes that show no brain."""

from __future__ import annotations

import numpy as np

from LMIALLib.pairs.brain import find_brain


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))


def test_a_head_with_its_skull(phantom, as_image):
    image = as_image(phantom["grey"] + np.random.default_rng(0).normal(0, 5, phantom["grey"].shape))
    region, report = find_brain(image)
    assert report["method"] == "morphology"
    assert dice(region, phantom["brain"]) > 0.95
    assert np.array_equal(region, find_brain(image)[0])


def test_a_stripped_brain_is_kept_whole(phantom, as_image):
    grey = np.where(phantom["brain"], phantom["grey"], 0)
    region, report = find_brain(as_image(grey))
    assert report["method"] == "stripped"
    assert dice(region, phantom["brain"]) > 0.97


def test_finer_voxels_give_the_same_region(phantom, as_image):
    fine = phantom["grey"].repeat(2, axis=1).repeat(2, axis=2)
    region, _ = find_brain(as_image(fine, spacing=(1.1, 1.1, 4.5)))
    assert dice(region, phantom["brain"].repeat(2, axis=1).repeat(2, axis=2)) > 0.95


def test_a_volume_without_a_brain_falls_back_to_its_foreground(as_image):
    grey = np.random.default_rng(0).normal(10, 2, (20, 30, 40))
    grey[5:15, 8:22, 10:30] += 100
    region, report = find_brain(as_image(grey, spacing=(1.0, 1.0, 1.0)))
    assert report["method"] == "foreground"
    true = np.zeros(grey.shape, dtype=bool)
    true[5:15, 8:22, 10:30] = True
    assert dice(region, true) > 0.9


def test_noise_alone_gives_some_region(as_image):
    region, report = find_brain(as_image(np.random.default_rng(0).normal(100, 9, (8, 9, 10))))
    assert region.any() and report["method"] == "foreground"


def test_a_large_body_is_no_brain(as_image):
    grey = np.full((30, 60, 70), -1000.0)
    grey[:, 5:55, 5:65] = 40.0  # a trunk in CT: 24 litres
    grey += np.random.default_rng(0).normal(0, 9, grey.shape)
    region, report = find_brain(as_image(grey, spacing=(5.0, 5.0, 8.0)))
    assert report["method"] == "foreground"
    assert region[15, 30, 35] and not region[15, 1, 1]


def test_what_a_body_encloses_is_searched_too(as_image):
    grey = np.full((30, 60, 70), -1000.0)
    grey[:, 5:55, 5:65] = 40.0
    grey[:, 20:40, 12:32] = -850.0  # a lung, open at both ends
    grey += np.random.default_rng(0).normal(0, 9, grey.shape)
    region, report = find_brain(as_image(grey, spacing=(5.0, 5.0, 8.0)))
    assert report["method"] == "foreground"
    assert region[2:-2, 20:40, 12:32].all() and not region[15, 1, 1]
