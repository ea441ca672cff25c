"""The steps that nnU-Net's process can do: frozen dataclasses, checked when they are read there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Limits, Natural, shaped
from LMIALLib.worker.messages import plain

Data = Literal["pre", "fine"]
"""The data set of pretraining, and that of fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Plan and preprocess a data set, see `planning.plan`; ``plans_of``: the data set whose plan is taken over."""

    do: ClassVar = "plan"
    data: Data
    config: str
    size: str
    plans_of: Data | None = None


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one fold, see `training.train`; ``weights``: the checkpoint to begin from."""

    do: ClassVar = "train"
    data: Data
    config: str
    fold: Natural
    of_training: dict[str, Any]
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class PredictAll:
    """Store the ensemble of all folds and write its maps of every case, see `ensemble`.

    Args:
        folds: how many were trained.
        weights: the checkpoint that they began from.
        teacher: whose pseudo-labels it is held against; None: nobody's.
        prefix: of the model's id.
    """

    do: ClassVar = "predict"
    data: Data
    config: str
    folds: Annotated[int, Limits(least=1)]
    weights: str
    teacher: str | None
    prefix: str


Step = Plan | Train | PredictAll
STEPS: dict[str, type[Step]] = {kind.do: kind for kind in (Plan, Train, PredictAll)}


@dataclass(frozen=True)
class NnunetRequest:
    """Steps that are done one after another.

    Args:
        device: "cpu", "cuda" or "auto".
        workers: processes that prepare cases, and batches for a GPU.
        steps: in their order.
    """

    device: str
    workers: Natural
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Sent:
    """A request whose steps are not looked at yet."""

    device: str
    workers: Natural
    steps: tuple[dict[str, Any], ...]


def steps_message(request: NnunetRequest) -> dict[str, Any]:
    """A request as a message."""
    steps = [{"do": step.do, **plain(step)} for step in request.steps]
    return {"device": request.device, "workers": request.workers, "steps": steps}


def read_steps(message: dict[str, Any]) -> NnunetRequest:
    """The request in a message. Raises BadInput naming the field that is unknown, missing or ill-typed."""
    where = "a request to nnU-Net"
    content = {name: value for name, value in message.items() if name != "protocol"}
    sent = shaped(content, _Sent, where, only_known=True)
    steps = []
    for number, step in enumerate(sent.steps):
        kind = STEPS.get(shaped(step.get("do"), str, f"{where}: steps[{number}].do"))
        if kind is None:
            raise BadInput(f"{where}: steps[{number}] is unknown; expected one of {', '.join(STEPS)}.")
        fields = {name: value for name, value in step.items() if name != "do"}
        steps.append(shaped(fields, kind, f"{where}: steps[{number}]", only_known=True))
    return NnunetRequest(sent.device, sent.workers, tuple(steps))
