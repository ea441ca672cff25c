"""The teacher that is always there: LMIAL's own network with the weights that it brings along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.teacher import Check, PseudoLabel, margin

if TYPE_CHECKING:
    from LMIALLib.network.change_model import ChangeModel


@dataclass(frozen=True)
class Bundled:
    """The bundled model, run as the worker runs it, in one pass without dropout.

    Its probabilities are calibrated (see ``network.calibration``), so |2 p - 1| is taken for its confidence.
    """

    model: ChangeModel
    made_by: dict[str, Any]
    device: str
    threads: int | None
    id: str = "default"

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        """As `Teacher.judged`; the whole pair is predicted first, which takes seconds."""
        check()
        mean = self.model.predict(
            pair,
            device=self.device,
            threads=self.threads,
            progress=lambda stage, done, total, **figures: check(),
        ).mean
        for number in slices:
            yield number, PseudoLabel(mean[number], margin(mean[number]))


def bundled_teacher(device: str = "auto", threads: int | None = None) -> Bundled:
    """The bundled network as a teacher. Raises BadInput when its weights are damaged."""
    from LMIALLib.network.device import chosen_device, library_versions
    from LMIALLib.network.families import load_model
    from LMIALLib.resources import resource

    used = chosen_device(device)
    model = load_model(resource("Weights", "change.safetensors"))
    made_by = {
        "kind": "default",
        "weights": model.digest,
        "settings": {"passes": 1},
        "versions": library_versions(),
        "device": used,
    }
    return Bundled(model, made_by, used, threads)
