"""What the worker reports: frozen dataclasses, checked when they are read.

An event that belongs to a request carries the request's ``id`` beside its fields. A request ends with exactly one of
its own result (see `requests`), `Failed` or `Cancelled`; only the result says that it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from LMIALLib.json_data import Natural, shaped
from LMIALLib.worker.messages import PROTOCOL, plain

WHERE = "a message of the worker"


class Event:
    """Something that the worker reports; a subclass has the name under which it is sent."""

    event: ClassVar[str]

    def __init_subclass__(cls, *, event: str = "") -> None:
        cls.event = event


class Result(Event):
    """An event that ends a request well; its fields are sent as one object, ``result``."""


@dataclass(frozen=True)
class Ready(Event, event="ready"):
    """The process runs. It has this protocol version, and ends with whoever started it."""

    version: str = ""
    protocol_version: int = PROTOCOL
    python: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Accepted(Event, event="accepted"):
    """A request was understood and waits for its turn."""

    do: str = ""


@dataclass(frozen=True)
class Started(Event, event="started"):
    """It is the request's turn."""


@dataclass(frozen=True)
class Progressed(Event, event="progress"):
    """How far a request is. 100 % is left to its result.

    Args:
        stage: what is being done.
        done, total: steps.
        seconds_left: estimated; None while that is unknown.
        case: which case, where it is about one.
        loss, dice: mean over the last steps of a training.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    case: str | None = None
    loss: float | None = None
    dice: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Loss and Dice by name, as far as they are known."""
        known = {"loss": self.loss, "dice": self.dice}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def share(self) -> float:
        """Part of the work that is done, 0 to 1."""
        return min(max(self.done / max(self.total, 1), 0.0), 1.0)


@dataclass(frozen=True)
class Failed(Event, event="failed"):
    """The request failed.

    Args:
        sentence, hint: as in ``LMIALError``.
        kind: name of the class of error that the client raises.
        steps: what a person can do, as ``errors.Step.to_dict`` gives it.
        lines: the last lines of the worker's log.
    """

    sentence: str
    hint: str = ""
    kind: str = "LMIALError"
    steps: tuple[dict[str, Any], ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancelled(Event, event="cancelled"):
    """The request was cancelled; nothing of it is left."""


@dataclass(frozen=True)
class Logged(Event, event="log"):
    """Something that belongs to no request."""

    level: str
    line: str


@dataclass(frozen=True)
class Stand(Event, event="status"):
    """The answer to `requests.Status`: id of the request that runs, and how many wait."""

    running: int | None
    waiting: Natural


EVENTS: dict[str, type[Event]] = {
    kind.event: kind for kind in (Ready, Accepted, Started, Progressed, Failed, Cancelled, Logged, Stand)
}
"""By name, without the results of requests."""


def event_message(event: Event, number: int | None = None, seconds: float | None = None) -> dict[str, Any]:
    """An event as a message; ``number`` is the id of its request, ``seconds`` what a result took."""
    content = {one.name: plain(getattr(event, one.name)) for one in fields(event)}  # type: ignore[arg-type]
    about = {} if number is None else {"id": number}
    if isinstance(event, Result):
        return {"event": event.event, **about, "result": content, "seconds": seconds}
    return {"event": event.event, **about, **content}


def read_event(message: dict[str, Any], result: type[Result] | None = None) -> Event:
    """The event in a message; ``result`` is that of the request to which it belongs.

    Raises BadInput naming the field that is missing or ill-typed, and for an event of another name.
    """
    name = shaped(message.get("event"), str, f"{WHERE}: event")
    if result is not None and name == result.event:
        return shaped(message.get("result"), result, f"{WHERE}, {name}")
    kind = EVENTS.get(name)
    if kind is None:
        kind = Logged
        message = {"level": "error", "line": f"The event {name[:40]!r} is unknown here."}
    return shaped(message, kind, f"{WHERE}, {name}")
