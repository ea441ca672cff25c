"""Several predictions of one pair, added up as they come: of a committee of networks, or of views of the same slice.

Only sums are kept, never the maps of single members or views, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from LMIALLib.errors import Do, Step, WrongUse
from LMIALLib.network.change_model import ChangeModel
from LMIALLib.network.predicted import Prediction
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.measures import binary_entropy

SQUARE = 1.01
"""Pixels whose sides differ by less than this factor count as square, and may be turned by quarters."""

Predictor = Callable[[ChangeModel, Pair], Prediction]
View = tuple[int, bool]


class CombinedMaps:
    """Mean, expected entropy, variance and votes over probability maps, in float32 by running means (Welford 1962).

    All of them, and so the mutual information that is made from them, are taken of the same maps on the pair's grid.
    Equal maps give a variance and a vote entropy of exactly 0.
    """

    def __init__(self, mask: np.ndarray) -> None:
        """``mask``: bool (slices, rows, columns); everything is 0 outside."""
        self.mask, self.count = mask, 0
        self.mean, self.expected_entropy, self._squares = (np.zeros(mask.shape, np.float32) for _ in range(3))
        self._votes = np.zeros(mask.shape, np.uint16)

    def add(self, probability: np.ndarray) -> None:
        """One more map, float32 (slices, rows, columns) in [0, 1], slice by slice."""
        self.count += 1
        for k in np.flatnonzero(self.mask.any(axis=(1, 2))):
            one = probability[k]
            before = one - self.mean[k]
            self.mean[k] += before / np.float32(self.count)
            self._squares[k] += before * (one - self.mean[k])
            entropy = np.where(self.mask[k], binary_entropy(one), 0.0).astype(np.float32)
            self.expected_entropy[k] += (entropy - self.expected_entropy[k]) / np.float32(self.count)
            self._votes[k] += (one >= 0.5) & self.mask[k]

    @property
    def variance(self) -> np.ndarray:
        """Variance over the maps, float32, 0 to 0.25."""
        return np.maximum(self._squares / np.float32(self.count), 0.0)

    @property
    def vote_entropy(self) -> np.ndarray:
        """Entropy of the share of maps with p >= 0.5, nats, float32, 0 to ln 2 (Dagan and Engelson 1995)."""
        from scipy.special import entr

        result = np.zeros(self.mask.shape, np.float32)
        for k in np.flatnonzero(self._votes.any(axis=(1, 2))):
            share = self._votes[k] / self.count
            result[k] = entr(share) + entr(1.0 - share)
        return result


def committee(networks: Sequence[ChangeModel], pair: Pair, predicted: Predictor) -> tuple[Prediction, np.ndarray]:
    """The combined prediction of several networks, and the entropy of their votes (Settles 2009, query by committee).

    Args:
        networks: two or more; the first is the model in use, and features are its.
        pair: both visits on one grid.
        predicted: makes one prediction, without dropout.

    Raises WrongUse with fewer than two networks.
    """
    if len(networks) < 2:
        raise WrongUse(
            f"A committee needs at least two model snapshots, and there is {len(networks) or 'none'}.",
            "Train until a second model is adopted, or use a strategy with passes or views.",
            Step(Do.FINETUNE),
        )
    sums, first = _added(pair, (predicted(network, pair) for network in networks))
    return _together(first, sums, members=len(networks)), sums.vote_entropy


def seen_in_views(network: ChangeModel, pair: Pair, predicted: Predictor) -> Prediction:
    """One network's combined prediction of mirrored and turned slices, each turned back (test-time augmentation).

    Eight views where pixels are square (quarter turns, each mirrored or not: those that pretraining shows), else four
    (mirrored along rows, columns, both, none). Source: Wang et al., arXiv 1807.07356, with these transformations.

    Args:
        network: the model in use.
        pair: both visits on one grid.
        predicted: makes one prediction, without dropout.
    """
    views = views_of(pair.in_plane_spacing)

    def predictions() -> Iterable[Prediction]:
        for view in views:
            made = predicted(network, turned_pair(pair, view))
            yield replace(made, mean=turned_back(made.mean, view))

    sums, first = _added(pair, predictions())
    return _together(first, sums, views=len(views))


def views_of(in_plane_spacing: tuple[float, float]) -> tuple[View, ...]:
    """(quarter turns, mirrored) of each view, the untouched one first."""
    square = max(in_plane_spacing) / min(in_plane_spacing) < SQUARE
    return tuple((turns, mirrored) for turns in (range(4) if square else (0, 2)) for mirrored in (False, True))


def turned(stack: np.ndarray, view: View) -> np.ndarray:
    """A stack (slices, rows, columns) mirrored along its columns if asked, then turned by quarters; a copy."""
    turns, mirrored = view
    return np.ascontiguousarray(np.rot90(stack[..., ::-1] if mirrored else stack, turns, (-2, -1)))


def turned_back(stack: np.ndarray, view: View) -> np.ndarray:
    """The inverse of ``turned``, exact; a copy."""
    turns, mirrored = view
    back = np.rot90(stack, -turns, (-2, -1))
    return np.ascontiguousarray(back[..., ::-1] if mirrored else back)


def turned_pair(pair: Pair, view: View) -> Pair:
    """A pair whose slices are turned, slices first; its grid keeps spacings only."""
    baseline, follow_up, mask = (turned(pair.stack(v), view) for v in (pair.baseline, pair.follow_up, pair.mask))
    row, column = pair.in_plane_spacing if view[0] % 2 == 0 else pair.in_plane_spacing[::-1]
    size, spacing = (mask.shape[2], mask.shape[1], mask.shape[0]), (column, row, pair.slice_spacing)
    grid = Grid(size, spacing, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Pair(baseline, follow_up, mask, grid, axis=0)


def _added(pair: Pair, predictions: Iterable[Prediction]) -> tuple[CombinedMaps, Prediction]:
    """Sums over predictions, and the first of them."""
    sums, first = CombinedMaps(pair.stack(pair.mask)), None
    for made in predictions:
        sums.add(made.mean)
        first = first or replace(made, mean=sums.mean)
    assert first is not None
    return sums, first


def _together(first: Prediction, sums: CombinedMaps, **counted: int) -> Prediction:
    """One prediction from the sums, with the features of the first; ``counted`` is added to the conditions."""
    conditions = {**first.conditions, **counted}
    return replace(
        first,
        mean=sums.mean,
        expected_entropy=sums.expected_entropy,
        variance=sums.variance,
        conditions=conditions,
        entropy=None,  # the first one's is not that of the mean
        mutual_information=None,
    )
