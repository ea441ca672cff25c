"""What goes into a prediction and what comes out of it, as arrays: no torch is needed to hold or read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.pool import CaseMaps

CONDITIONS = ("device", "dtype", "threads", "batch", "passes", "seed", "cpu", "versions")
"""What a ranking is stored with, and computed again by."""


@dataclass(frozen=True)
class CaseInput:
    """A case as a ranking sees it.

    Args:
        name: of the case.
        pair: both visits on one grid.
        answers: slice to target uint8 (rows, columns): 0 no change, 1 change, 255 ignored; a slice of which nothing
            may be learned but that it was read is 255 all over.
        skipped: slices that were skipped.
        seconds: (n,) float above 0, predicted reading time where the caller knows better than `case_evidence`.
    """

    name: str
    pair: Pair
    answers: Mapping[int, np.ndarray]
    skipped: frozenset[int] = frozenset()
    seconds: np.ndarray | None = None


@dataclass(frozen=True)
class Prediction:
    """The network's prediction of a pair, as stacks (slices, rows, columns) along the pair's slice axis; 0 outside the
    brain.

    Args:
        mean: float32, mean probability of change over the passes.
        expected_entropy: float32, mean over passes of the entropy of one pass, in nats; None for a single pass.
        variance: float32, variance over passes of the probability; None for a single pass.
        features: float32 (slices, d), mean and maximum over the brain of an encoder map; 0 for slices without brain.
        passes: number of passes; 1 is without dropout.
        conditions: everything that must be the same for the same bits (JSON-ready), `CONDITIONS` at least; a family of
            networks makes them with ``device.conditions``.
        entropy: float32, entropy of the mean in nats, made at the network's pixels; None where only the mean is known.
        mutual_information: float32, entropy minus expected entropy, made there as well; None for a single pass, and
            where the passes are of several networks or views, whose maps are added up on the pair's grid.

    Example:
        >>> prediction.mean.shape == prediction.variance.shape == (pair.n_slices, *pair.slice_shape)
        True
        >>> pair.unstack(prediction.mean).shape == pair.grid.shape
        True
    """

    mean: np.ndarray
    expected_entropy: np.ndarray | None
    variance: np.ndarray | None
    features: np.ndarray
    passes: int
    conditions: dict[str, Any]
    entropy: np.ndarray | None = None
    mutual_information: np.ndarray | None = None


def checked_prediction(prediction: Prediction, pair: Pair) -> Prediction:
    """What a model of any family predicted of a pair, once it can be ranked by.

    Raises BadInput naming what its family left out or gave in another shape.
    """
    shape = pair.stack(pair.mask).shape
    found = [f"no {name!r} among its conditions" for name in CONDITIONS if name not in prediction.conditions]
    for name in ("mean", "expected_entropy", "variance", "entropy", "mutual_information"):
        volume = getattr(prediction, name)
        if volume is not None and volume.shape != shape:
            found.append(f"{name} of shape {volume.shape} for a pair of {shape}")
    if prediction.features.ndim != 2 or len(prediction.features) != shape[0]:
        found.append(f"features of shape {prediction.features.shape} for {shape[0]} slices")
    if found:
        raise BadInput(f"the network gave a prediction that cannot be used: {', '.join(found)}.")
    return prediction


def case_maps(
    case: str, pair: Pair, prediction: Prediction, *, answered: Iterable[int] = (), skipped: Iterable[int] = ()
) -> CaseMaps:
    """What the queries room needs of a case: the prediction beside the pair's brain region and difference."""
    return CaseMaps(
        case=case,
        mean=prediction.mean,
        mask=pair.stack(pair.mask),
        difference=pair.stack(pair.difference),
        expected_entropy=prediction.expected_entropy,
        variance=prediction.variance,
        entropy=prediction.entropy,
        mutual_information=prediction.mutual_information,
        features=prediction.features,
        slice_spacing=pair.slice_spacing,
        answered=frozenset(answered),
        skipped=frozenset(skipped),
    )
