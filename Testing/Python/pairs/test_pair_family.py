"""Which pairs are unlike what the network learned from: heads pass, chests, abdomens, PET, CT and noise do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.brain import find_brain
from LMIALLib.pairs.family import judge
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.registration import register

WIDE = (3.3, 3.3, 4.5)
"""Voxels of a trunk in mm along (i, j, k)."""


def places(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """(z, y, x) of each voxel in mm, the middle being 0."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(size[::-1], spacing[::-1], strict=True)]
    return list(np.meshgrid(*axes, indexing="ij"))


def texture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    return np.asarray(field / field.std())


def chest(seed: int, nodule: bool = False) -> np.ndarray:
    """CT of a chest in HU, 40 x 29 x 30 cm; its lungs are open at both ends."""
    z, y, x = places((120, 87, 67), WIDE)
    body = (x / 180) ** 2 + (y / 120) ** 2 <= 1
    grey = np.where(body, 40 + 15 * texture(x.shape, seed), -1000.0)
    grey[body & ((x / 160) ** 2 + (y / 100) ** 2 > 1)] = -100
    lungs = ((np.abs(x) - 80) / 60) ** 2 + (y / 85) ** 2 <= 1
    grey[lungs] = -850
    if nodule:
        grey[((x - 80) ** 2 + y**2 + z**2) < 10**2] = 30
    return grey + np.random.default_rng(seed).normal(0, 20, x.shape)


def abdomen(seed: int) -> np.ndarray:
    """MR of a trunk with a liver of 1.9 litres, 40 x 29 x 21 cm."""
    z, y, x = places((120, 87, 47), WIDE)
    body, field = (x / 180) ** 2 + (y / 120) ** 2 <= 1, texture(x.shape, seed)
    grey = np.where(body, 120 + 20 * field, 0.0)
    grey[body & ((x / 160) ** 2 + (y / 100) ** 2 > 1)] = 300
    liver = ((x + 60) / 80) ** 2 + (y / 70) ** 2 + (z / 80) ** 2 <= 1
    grey[liver] = 220 + 12 * field[liver]
    return np.abs(grey + np.random.default_rng(seed).normal(0, 10, x.shape))


def pet(head: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """A head in FDG PET: cortex twice as bright as white matter, all blurred to 6 mm."""
    from scipy.ndimage import gaussian_filter

    grey = np.where(head["grey"] > 0, 1500.0, 50.0)
    grey[head["brain"]], grey[head["white"]] = 8000, 3000
    return gaussian_filter(grey, (0.6, 1.2, 1.2)) * (1 + 0.03 * np.random.default_rng(seed).standard_normal(grey.shape))


def head_ct(head: dict[str, np.ndarray], seed: int) -> np.ndarray:
    grey = np.full(head["grey"].shape, -1000.0)
    grey[head["grey"] > 0], grey[(head["grey"] > 5) & (head["grey"] < 60)] = -60, 900
    grey[head["brain"]], grey[head["white"]] = 38, 29
    return grey + np.random.default_rng(seed).normal(0, 6, grey.shape)


def verdict(baseline: Any, follow_up: Any) -> dict[str, Any]:
    return judge(baseline, follow_up, find_brain(follow_up)[0], np.eye(4), asked=False)


@pytest.mark.parametrize("name", ["chest", "abdomen", "noise", "positive noise", "pet", "head ct"])
def test_what_is_no_head_in_flair_or_t1_is_said(name, phantom, as_image):
    noise = [np.random.default_rng(seed).normal(100, 9, (50, 80, 80)) for seed in (0, 1)]
    scans: dict[str, tuple[Callable[[int], np.ndarray], tuple[float, ...]]] = {
        "chest": (chest, WIDE),
        "abdomen": (abdomen, WIDE),
        "noise": (lambda seed: noise[seed], WIDE),
        "positive noise": (lambda seed: np.abs(noise[seed] - 100), WIDE),
        "pet": (lambda seed: pet(phantom, seed), (2.2, 2.2, 4.5)),
        "head ct": (lambda seed: head_ct(phantom, seed), (2.2, 2.2, 4.5)),
    }
    make, spacing = scans[name]
    found = verdict(*(as_image(make(seed), spacing=spacing, dtype=np.float32) for seed in (0, 1)))
    assert found["alarm"]
    assert "Both scans look unlike" in found["sentence"] and "difference alone" in found["sentence"]
    assert found["sentence"].count(".") == 1


def test_heads_pass_whatever_their_gain(phantom, other_head, as_image):
    noise = np.random.default_rng(0).normal(0, 5, phantom["grey"].shape)
    head = as_image(np.abs(phantom["grey"] + noise), dtype=np.float32)
    for gain, offset in ((1.0, 0.0), (0.01, 0.0), (30.0, 0.0), (1.0, -500.0)):
        scan = as_image(gain * np.abs(other_head["grey"] + noise) + offset, dtype=np.float32)
        assert not verdict(head, scan)["alarm"], (gain, offset)
    stripped = as_image(np.where(phantom["brain"], phantom["grey"] + noise, 0), dtype=np.float32)
    assert not verdict(stripped, stripped)["alarm"]


def test_the_odd_one_is_named(phantom, as_image):
    head = as_image(phantom["grey"], dtype=np.float32)
    found = verdict(as_image(pet(phantom, 0), dtype=np.float32), head)
    assert found["alarm"] and found["sentence"].startswith("The baseline looks unlike")


def test_no_real_pair_of_heads_is_strange(open_ms):
    for patient in ("patient01", "patient12"):
        baseline, follow_up = (
            read_volume(open_ms / "longitudinal" / patient / f"study{study}_FLAIR.nii.gz").image for study in (1, 2)
        )
        region, _ = find_brain(follow_up)
        matrix = np.array(register(follow_up, baseline, fixed_mask=region).report["matrix"]).reshape(4, 4)
        found = judge(baseline, follow_up, region, matrix, asked=False)
        print(f"\n{patient}: {found['features']}")
        assert not found["alarm"]


def test_no_real_head_is_strange(open_ms):
    files = [
        *sorted((open_ms / "longitudinal").glob("*/study?_FLAIR.nii.gz")),
        *sorted((open_ms / "longitudinal").glob("*/study?_T1W.nii.gz")),
        *sorted((open_ms / "cross_sectional_MNI").glob("*/FLAIR.nii.gz")),
        *sorted((open_ms.parent / "mslesseg").glob("*_FLAIR.nii.gz")),
        *sorted((open_ms.parent / "single_flair").glob("*/*.nii.gz")),
    ]
    for file in files:
        image = read_volume(file).image
        assert not verdict(image, image)["alarm"], file.name
