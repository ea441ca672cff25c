"""Predictions for jobs, and the conditions under which they were made."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.progress import Progress
from LMIALLib.queries.strategy import FORMULAS
from LMIALLib.version import __version__
from LMIALLib.worker.requests import Predict, Rank

if TYPE_CHECKING:
    from LMIALLib.network.change_model import ChangeModel
    from LMIALLib.network.predicted import Prediction
    from LMIALLib.pairs.pair import Pair
    from LMIALLib.study.store import Study

PASSES = 10
"""Stochastic passes of strategies that need them (T of the published comparisons)."""


def model_of(study: Study, model: str) -> ChangeModel:
    """A model of the study. Raises BadInput for weights that cannot be read or trusted."""
    from LMIALLib.network.families import load_model

    try:
        return load_model(study.models.path(model))
    except BadInput as error:
        raise BadInput(error.sentence, "Restore the study from a backup.") from error


def predict_case(
    model: ChangeModel, pair: Pair, request: Predict | Rank, progress: Progress, *, passes: int
) -> Prediction:
    """A model's prediction of a pair, in so many passes and as the request wants it computed."""
    from LMIALLib.network.predicted import checked_prediction

    return checked_prediction(model.predict(pair, passes=passes, **options_of(request, progress)), pair)


def options_of(request: Predict | Rank, progress: Progress) -> dict[str, Any]:
    """How a request wants to be computed, as the network room takes it."""
    options = {"dtype": request.dtype, "batch": request.slices_at_once}
    return {
        "seed": request.seed,
        "device": request.device,
        "threads": request.threads,
        "progress": progress,
        **{name: value for name, value in options.items() if value is not None},
    }


def queue_options(request: Rank, *names: str) -> dict[str, Any]:
    """Those of the named fields that the request gives, as ``queries.ranking.rank`` takes them."""
    asked = {name: getattr(request, name) for name in names}
    return {name: value for name, value in asked.items() if value is not None}


def conditions_of(prediction: Prediction) -> dict[str, Any]:
    """Everything besides inputs, model and strategy that can change a score in its last bit."""
    versions = {
        "lmial": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "formulas": FORMULAS,
        **prediction.conditions["versions"],
    }
    return {**prediction.conditions, "versions": versions}
