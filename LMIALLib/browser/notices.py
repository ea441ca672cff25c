"""The sentences on the page: each stands for a while, the newest last, none twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

SECONDS = {"info": 6.0, "good": 4.0, "warning": 12.0, "error": 12.0}
"""How long a sentence of each kind stays on the page."""
MOST = 4
"""Sentences that stand there at once."""


@dataclass(frozen=True)
class Notice:
    """A sentence on the page: ``until`` when, in seconds of the clock; ``id`` counts all there ever were."""

    id: int
    kind: str
    text: str
    until: float


class Notices:
    """What stands on the page now.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._standing: list[Notice] = []

    def take(self, queued: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """Take sentences (kind, text) out of a list, which is empty then; returns what the page shows."""
        now = self._clock()
        for kind, text in queued:
            self._standing = [one for one in self._standing if one.text != text]  # what comes again stands once
            self._standing.append(Notice(next(self._numbers), kind, text, now + SECONDS[kind]))
        queued.clear()
        well = [one for one in self._standing if one.kind == "good"][-1:]  # one thing that went well is enough
        self._standing = [one for one in self._standing if one.kind != "good" or one in well]
        self._standing = [one for one in self._standing if one.until > now][-MOST:]
        return [{"id": one.id, "kind": one.kind, "text": one.text} for one in self._standing]

    @property
    def over(self) -> bool:
        """Whether a sentence stands there that stood for long enough."""
        now = self._clock()
        return any(one.until < now for one in self._standing)
