"""The interface of a model to all other rooms, whichever family of networks it belongs to; free of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from LMIALLib.network.predicted import Prediction
from LMIALLib.network.report import FinetuneReport
from LMIALLib.pairs.pair import Pair

if TYPE_CHECKING:
    from LMIALLib.network.finetuning import FinetuneSettings
    from LMIALLib.network.finetuning_batches import Example


class ChangeModel(Protocol):
    """A loaded model.

    Attributes:
        digest: SHA-256 of its weights; the same digest predicts the same.
        gives: which of ``numbers`` it can answer.
    """

    @property
    def digest(self) -> str: ...

    @property
    def gives(self) -> frozenset[str]: ...

    def predict(
        self,
        pair: Pair,
        *,
        passes: int = 1,
        seed: int = 0,
        device: str = "cpu",
        dtype: str = "float32",
        batch: int = 8,
        threads: int | None = None,
        progress: Callable[[str, int, int], None] = ...,
    ) -> Prediction:
        """Probability of change at every pixel of a pair, and features of every slice; from two passes on expected
        entropy and variance as well. See ``prediction.predict``; `checked_prediction` says what must come."""

    def numbers(self, need: str, pair: Pair, **options: Any) -> np.ndarray:
        """Further numbers of every slice that a strategy needs: "expected-dice" (n,) or "gradients" (n, d), see
        ``slice_terms``; called only with what ``gives`` names."""

    def probability(self, example: Example) -> np.ndarray:
        """Probability of change (rows, columns) of one slice that a person read, without dropout."""

    def finetune(
        self,
        examples: Sequence[Example],
        unread: Sequence[Example],
        out: Path,
        *,
        settings: FinetuneSettings,
        checkpoint: Path | None = None,
        progress: Callable[..., None] = ...,
    ) -> FinetuneReport:
        """Go on training on slices that a person read, and write a new model to ``out``; see ``finetuning.finetune``.

        ``progress`` is called between steps, and may do something more urgent there."""

    def save(self, path: Path, provenance: Mapping[str, Any]) -> str:
        """Write the weights file whole or not at all (see ``weights.save_arrays``), and return its digest."""


@dataclass(frozen=True)
class Family:
    """A family of networks.

    Args:
        name: as ``family`` in the architecture that a weights file names.
        load: reads a weights file, checks it, and gives the model. Raises BadInput where the file cannot be used.
    """

    name: str
    load: Callable[[Path], ChangeModel]
