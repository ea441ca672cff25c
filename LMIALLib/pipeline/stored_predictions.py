"""A case as the model in use sees it, kept in the study, so that a stage that was stopped does not predict it twice."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.network.evidence import case_evidence
from LMIALLib.network.families import load_model
from LMIALLib.network.predicted import CaseInput, Prediction, case_maps
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.embeddings.encoders import BUNDLED
from LMIALLib.pipeline.embeddings.stored import made_by_of, read_embedding, write_embedding
from LMIALLib.queries.scoring import uncertainty_map
from LMIALLib.queries.strategy import FORMULAS
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from LMIALLib.queries.pool import CaseMaps
    from LMIALLib.queries.strategies import Strategy
    from LMIALLib.study.models import Model
    from LMIALLib.study.store import Study


class Seeing:
    """The model in use, looking at case after case.

    Args:
        study: an open study.
        model: of the study.
        shown: whose map of uncertainty is written beside the probability.
        device: "cpu", "cuda" or "auto".

    ``conditions`` are those of the last case, as rankings store them. Raises BadInput for damaged weights.
    """

    def __init__(self, study: Study, model: Model, shown: Strategy, device: str) -> None:
        self._study, self._model, self._shown, self._device = study, model, shown, device
        self._loaded = load_model(study.models.path(model.id))
        self.conditions: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """SHA-256 of the weights' tensors."""
        return self._loaded.digest

    def look(self, case: str, pair: Pair) -> CaseMaps:
        """Probability and features of a case, one pass without dropout; its maps lie in the study afterwards."""
        answered, skipped = frozenset(self._study.answers.current(case)), self._study.answers.skipped(case)
        prediction, kept = self._stored(case, pair), True
        if prediction is None:
            prediction, kept = self._predicted(case, pair), False
        self.conditions = prediction.conditions
        maps = case_maps(case, pair, prediction, answered=answered, skipped=skipped)
        if not kept or not (self._study.maps.folder(self._model.id, case) / f"{self._shown.name}.nrrd").is_file():
            self._write(case, pair, maps, prediction.conditions)
        if not kept:  # last, because it says that the maps are there
            made_by = {**self._made_by(case), "mean": _digest(maps.mean), "conditions": prediction.conditions}
            write_embedding(self._study, BUNDLED, case, prediction.features, made_by)
        return maps

    def _predicted(self, case: str, pair: Pair) -> Prediction:
        seen = CaseInput(case, pair, {})
        _, prediction = next(case_evidence([self._loaded], [seen], (), device=self._device))
        versions = {
            "lmial": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "formulas": FORMULAS,
            **prediction.conditions["versions"],
        }
        return replace(prediction, conditions={**prediction.conditions, "versions": versions})

    def _write(self, case: str, pair: Pair, maps: CaseMaps, conditions: dict[str, Any]) -> None:
        stacks = {"mean": maps.mean, self._shown.name: uncertainty_map(maps, self._shown)}
        on_grid = {name: pair.unstack(stack) for name, stack in stacks.items()}
        self._study.maps.write(self._model.id, case, on_grid, conditions)

    def _stored(self, case: str, pair: Pair) -> Prediction | None:
        """The stored prediction, where the map of probabilities is still the one that came with the features."""
        features = read_embedding(self._study, BUNDLED, case, self._made_by(case))
        mean = self._study.maps.read(self._model.id, case, "mean")
        made_by = made_by_of(self._study, BUNDLED, case)
        conditions = made_by.get("conditions")
        if features is None or mean is None or mean.shape != pair.baseline.shape or not isinstance(conditions, dict):
            return None
        if _digest(pair.stack(mean)) != made_by.get("mean"):
            return None
        return Prediction(np.array(pair.stack(mean)), None, None, features, 1, conditions)

    def _made_by(self, case: str) -> dict[str, Any]:
        return {"weights": self.digest, "pair": self._study.cases.get(case).digest}


def _digest(stack: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(stack, dtype=np.float32).tobytes()).hexdigest()
