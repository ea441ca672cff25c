"""How work says how far it is, and how it is asked to stop: one way for every room. Floor 0."""

from __future__ import annotations

from typing import Any, Protocol

from LMIALLib.errors import LMIALError


class Cancelled(LMIALError):
    """The work was asked to stop. What was finished before is kept."""

    def __init__(self, sentence: str = "The work was cancelled.", hint: str = "") -> None:
        super().__init__(sentence, hint)


class Progress(Protocol):
    """Hears how far the work is; raises Cancelled when it was asked to stop.

    Called as (what is being done, in a word or a sentence; steps done; steps in all; further figures by name).
    """

    def __call__(self, stage: str, done: int, total: int, **figures: Any) -> None: ...


def ignore(stage: str, done: int, total: int, **figures: Any) -> None:
    """Hear nothing."""
