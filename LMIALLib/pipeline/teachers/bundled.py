"""The teacher that is always there: LMIAL's own network with the weights that it brings along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline.teachers.teacher import Check, Opinion, margin

if TYPE_CHECKING:
    from LMIALLib.network.architecture import ChangeNetwork


@dataclass(frozen=True)
class Bundled:
    """The bundled network, asked as the worker asks it, by one pass without dropout.

    Its probabilities are calibrated (see ``network.calibration``), so |2 p - 1| is taken for its confidence.
    """

    network: ChangeNetwork
    made_by: dict[str, Any]
    device: str
    threads: int | None
    id: str = "default"

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, Opinion | str]]:
        """As `Teacher.judged`; the whole pair is predicted first, which takes seconds."""
        from LMIALLib.network.prediction import predict

        check()
        mean = predict(
            self.network,
            pair,
            device=self.device,
            threads=self.threads,
            progress=lambda stage, done, total, **figures: check(),
        ).mean
        for number in slices:
            yield number, Opinion(mean[number], margin(mean[number]))


def bundled_teacher(device: str = "auto", threads: int | None = None) -> Bundled:
    """The bundled network as a teacher. Raises BadInput when its weights are damaged."""
    from LMIALLib.network.device import chosen_device, library_versions
    from LMIALLib.network.weights import load_weights
    from LMIALLib.resources import resource

    used = chosen_device(device)
    network, info = load_weights(resource("Weights", "change.safetensors"))
    made_by = {
        "kind": "default",
        "weights": info.digest,
        "settings": {"passes": 1},
        "versions": library_versions(),
        "device": used,
    }
    return Bundled(network, made_by, used, threads)
