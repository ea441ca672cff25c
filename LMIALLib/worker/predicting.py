"""What jobs ask of the network, and under which conditions it answered."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np

import LMIALLib
from LMIALLib.errors import BadInput
from LMIALLib.queries.strategy import FORMULAS
from LMIALLib.worker.progress import Progress

if TYPE_CHECKING:
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.study.store import Study

PASSES = 10
"""Stochastic passes of strategies that need them (T of the published comparisons)."""


def network_of(study: Study, model: str) -> Any:
    """A model of the study and what is known of it. Raises BadInput for weights that cannot be read or trusted."""
    from LMIALLib.network.weights import load_weights

    try:
        return load_weights(study.models.path(model))
    except BadInput as error:
        raise BadInput(error.sentence, "Restore the study from a backup.") from error


def predicted(network: Any, pair: Pair, request: dict[str, Any], progress: Progress) -> Prediction:
    """Mean, expected entropy and variance of a case over stochastic passes, `PASSES` unless the request says."""
    return predict_case(network, pair, {**request, "passes": request.get("passes") or PASSES}, progress)


def predict_case(network: Any, pair: Pair, request: dict[str, Any], progress: Progress) -> Prediction:
    """What a network says of a pair, in one pass unless the request says."""
    from LMIALLib.network.prediction import predict

    return predict(network, pair, passes=int(request.get("passes") or 1), **options_of(request, progress))


def options_of(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """How a request wants to be computed, as the network room takes it."""
    return {
        "seed": int(request.get("seed") or 0),
        "device": request.get("device") or "auto",
        "threads": request.get("threads"),
        "progress": progress,
        **{key: request[name] for key, name in (("dtype", "dtype"), ("batch", "slices_at_once")) if name in request},
    }


def conditions_of(prediction: Prediction) -> dict[str, Any]:
    """Everything besides inputs, model and strategy that can change a score in its last bit."""
    versions = {
        "lmial": LMIALLib.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "formulas": FORMULAS,
        **prediction.conditions["versions"],
    }
    return {**prediction.conditions, "versions": versions}
