"""LMIAL's own family: `ChangeNetwork` as a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.network.architecture import FAMILY, ChangeNetwork
from LMIALLib.network.change_model import ChangeModel, Family
from LMIALLib.network.predicted import Prediction
from LMIALLib.network.prediction import predict
from LMIALLib.network.report import FinetuneReport
from LMIALLib.network.weights import load_weights, save_weights
from LMIALLib.pairs.pair import Pair
from LMIALLib.progress import Progress, ignore

if TYPE_CHECKING:
    from LMIALLib.network.finetuning import FinetuneSettings
    from LMIALLib.network.finetuning_batches import Example


@dataclass(frozen=True)
class UNetModel:
    """A `ChangeNetwork` with the file that it was read from, where it was.

    Args:
        network: in evaluation mode.
        digest: of its tensors.
        file: the weights file, which fine-tuning begins from.
    """

    network: ChangeNetwork
    digest: str = ""
    file: Path | None = None
    gives: frozenset[str] = frozenset({"expected-dice", "gradients"})

    def predict(self, pair: Pair, **options: Any) -> Prediction:
        """As `prediction.predict`."""
        return predict(self.network, pair, **options)

    def numbers(self, need: str, pair: Pair, **options: Any) -> np.ndarray:
        """As in `slice_terms`."""
        from LMIALLib.network.slice_terms import expected_dice, gradient_embeddings

        if need == "gradients":
            return gradient_embeddings(self.network, pair, **options)
        return expected_dice(self.network, pair, **options)

    def probability(self, example: Example) -> np.ndarray:
        """As `example_metrics.slice_probability`."""
        from LMIALLib.network.example_metrics import slice_probability

        return slice_probability(self.network, example)

    def finetune(
        self,
        examples: Sequence[Example],
        unread: Sequence[Example],
        out: Path,
        *,
        settings: FinetuneSettings,
        checkpoint: Path | None = None,
        progress: Progress = ignore,
    ) -> FinetuneReport:
        """As `finetuning.finetune`. Raises ValueError for a network that was not read from a file."""
        from LMIALLib.network.finetuning import finetune

        if self.file is None:
            raise ValueError("fine-tuning begins from a weights file")
        return finetune(self.file, examples, unread, out, settings=settings, checkpoint=checkpoint, progress=progress)

    def save(self, path: Path, provenance: Mapping[str, Any]) -> str:
        """As `weights.save_weights`."""
        return save_weights(self.network, path, provenance)


def load_unet(file: Path) -> UNetModel:
    """Read a weights file; raises BadInput as `weights.load_weights` does."""
    network, info = load_weights(file)
    return UNetModel(network, info.digest, file)


def as_model(network: ChangeNetwork | ChangeModel) -> ChangeModel:
    """A model as it is, a bare network as a model of this family."""
    return UNetModel(network) if isinstance(network, ChangeNetwork) else network


UNET = Family(FAMILY, load_unet)
