"""How a job tells how far it is, and hears that it shall stop."""

from __future__ import annotations

from typing import Any, Protocol


class Cancelled(Exception):
    """The running job was asked to stop."""


class Progress(Protocol):
    """Tells how far a job is; raises Cancelled when it was asked to stop."""

    def __call__(self, stage: str, done: int, total: int, **figures: Any) -> None: ...
