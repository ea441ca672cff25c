"""Dice as the field means it; pictures turned as a radiologist expects."""

from __future__ import annotations

import math

import numpy as np
import pytest

from LMIALLib.evaluation.pictures import SliceView, montage, png_bytes, score_strip
from LMIALLib.metrics.voxels import dice
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.orientation import orientation


def test_dice_is_of_the_lesion_alone_never_a_mean_with_the_background() -> None:
    true = np.zeros((10, 10), dtype=bool)
    true[:2, :5] = True
    predicted = np.roll(true, 1, axis=0)
    assert dice(predicted, true) == 0.5
    assert dice(np.zeros_like(true), true) == 0.0
    assert math.isnan(dice(np.zeros_like(true), np.zeros_like(true))), "nothing to agree on is not a perfect score"


def test_dice_counts_only_where_it_is_told_to() -> None:
    true = np.array([True, True, False, False])
    predicted = np.array([True, False, True, False])
    assert dice(predicted, true, np.array([True, False, False, True])) == 1.0


def grid(*columns: tuple[float, float, float]) -> Grid:
    return Grid((4, 5, 6), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), tuple(np.array(columns, dtype=float).T.ravel()))


LEFT, POSTERIOR, SUPERIOR = (1, 0, 0), (0, 1, 0), (0, 0, 1)
RIGHT, ANTERIOR, INFERIOR = (-1, 0, 0), (0, -1, 0), (0, 0, -1)


@pytest.mark.parametrize(
    ("axes", "array_axis", "marks"),
    [
        ((LEFT, POSTERIOR, SUPERIOR), 0, "RLAP"),
        ((RIGHT, POSTERIOR, SUPERIOR), 0, "RLAP"),
        ((RIGHT, ANTERIOR, INFERIOR), 0, "RLAP"),
        ((POSTERIOR, LEFT, SUPERIOR), 0, "RLAP"),
        ((LEFT, POSTERIOR, SUPERIOR), 1, "RLSI"),
        ((LEFT, POSTERIOR, SUPERIOR), 2, "APSI"),
        ((POSTERIOR, INFERIOR, LEFT), 0, "APSI"),
    ],
)
def test_the_patients_right_is_on_the_left_and_the_front_or_head_is_up(
    axes: tuple[tuple[float, float, float], ...], array_axis: int, marks: str
) -> None:
    """A ramp of LPS positions, turned for display, must grow from the first letter of each pair to the second."""
    here = grid(*axes)
    k, j, i = np.indices(here.shape)
    matrix = np.array(here.direction).reshape(3, 3)
    points = np.einsum("ab,bkji->akji", matrix, np.stack([i, j, 3.0 * k]))
    middle = [here.shape[a] // 2 for a in range(3)]
    turn = orientation(here, array_axis)
    assert "".join(turn.letters) == marks
    positive = {"L": 0, "P": 1, "S": 2, "I": 2}
    for letters, axis in ((turn.letters[:2], 1), (turn.letters[2:], 0)):
        component = positive[letters[1]]
        ramp = turn.apply(np.take(points[component], middle[array_axis], axis=array_axis))
        steps = np.diff(ramp, axis=axis)
        assert (steps < 0).all() if letters[1] == "I" else (steps > 0).all()


def test_a_montage_draws_whatever_is_missing() -> None:
    random = np.random.default_rng(0)
    shape = (24, 20)
    mask = np.zeros(shape, dtype=bool)
    mask[4:20, 4:16] = True
    image = random.normal(size=shape).astype(np.float32)
    label = np.zeros(shape, dtype=np.uint8)
    label[8:11, 8:11] = 3
    views = [
        SliceView("bare", image, image, image * 0, mask),
        SliceView("full", image, image, image, mask, np.abs(image), image > 1, label),
        SliceView("empty", image, image, image, mask, np.abs(image), image > 9, np.zeros_like(label)),
    ]
    figure = montage(views, orientation=orientation(grid(LEFT, POSTERIOR, SUPERIOR), 0), spacing=(1.0, 1.0))
    assert png_bytes(figure).startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figure.axes[:6]] == [
        "baseline", "follow-up", "difference", "uncertainty", "suggestion", "label",
    ]  # fmt: skip
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"not read", "nothing here", "R", "L", "A", "P"} <= written


def test_a_strip_of_scores_that_are_all_alike_or_undefined_still_draws() -> None:
    figure = score_strip([("before", np.zeros(5)), ("after", np.array([1, np.nan, 2, 3, 4.0]))], [(2, "1")], title="t")
    assert png_bytes(figure).startswith(b"\x89PNG")
