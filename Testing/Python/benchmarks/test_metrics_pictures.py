"""Pictures of the model card: small files, and the slices that are most wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from case_figures import case_figures
from evidence_pictures import failures, reliability_and_risk, save_small_png

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.pool import CaseMaps


@pytest.fixture
def pair() -> Pair:
    """Noise on 6 slices, brain all over but at the edge."""
    noise = np.random.default_rng(0).standard_normal((2, 6, 60, 50)).astype(np.float32)
    mask = np.zeros((6, 60, 50), dtype=bool)
    mask[:, 4:-4, 4:-4] = True
    grid = Grid((50, 60, 6), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Pair(noise[0], noise[1], mask, grid, 0)


def test_failures_are_the_slices_with_the_most_wrong_voxels_of_the_brain(pair: Pair) -> None:
    truth = np.zeros(pair.mask.shape, dtype=bool)
    truth[2, 10:13, 10:20], truth[5, 10:20, 10:20], truth[0, :4] = True, True, True
    probability = np.zeros(truth.shape, dtype=np.float32)
    probability[4, 20:24, 20:25] = 0.5
    probability[5, 10:20, 10:19] = 1.0
    figure = failures(pair, probability, truth)
    captions = [text for axes in figure.axes if (text := axes.get_ylabel())]
    assert [caption.split()[1] for caption in captions] == ["2", "4", "5"]
    assert [caption.split("\n")[-1] for caption in captions] == ["30 wrong", "20 wrong", "10 wrong"]


def test_pictures_stay_small(pair: Pair, tmp_path: Path) -> None:
    truth = pair.stack(pair.mask) & (pair.difference > 2)
    mean = np.where(pair.mask, 1 / (1 + np.exp(2 - pair.difference)), 0).astype(np.float32)
    found = case_figures(CaseMaps(case="a", mean=mean, mask=pair.mask, difference=pair.difference), truth, 3.0)
    for number, figure in enumerate((failures(pair, mean, truth), reliability_and_risk({"a": found, "b": found}))):
        save_small_png(figure, tmp_path / f"{number}.png", most_bytes=100_000)
        data = (tmp_path / f"{number}.png").read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) <= 100_000
