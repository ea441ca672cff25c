"""How long a run has worked, without the time in which it was made to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class WorkTime:
    """Seconds since it was made, less those spent in calls that are not counted."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Seconds of work so far."""
        return time.monotonic() - self._began

    def not_counting(self, call: Callable[..., None]) -> Callable[..., None]:
        """Return the same function; the time that it takes does not count."""

        def called(*values: Any, **named: Any) -> None:
            before = time.monotonic()
            try:
                call(*values, **named)
            finally:
                self._began += time.monotonic() - before

        return called
