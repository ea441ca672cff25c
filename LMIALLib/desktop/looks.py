"""For how long a place has been drawn in all of our views, as their renderings show. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Collection


class Looks:
    """Adds up how long the reader looks at a place.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._drawn: dict[str, int] = {}
        self._place, self._since = 0, 0.0

    def drawn(self, view: str, place: int, views: Collection[str]) -> tuple[int, float] | None:
        """A view was drawn while the views looked at ``place``; ``views`` are those that can be seen.

        Returns the place that was looked at until now and for how long, where that has just ended.
        """
        self._drawn[view] = place
        if place == self._place or any(self._drawn.get(one) != place for one in views):
            return None
        before, self._place, now = self.now, place, self._clock()
        self._since = now
        return before

    @property
    def now(self) -> tuple[int, float] | None:
        """The place that is looked at, and for how many seconds by now; None before the first."""
        return (self._place, self._clock() - self._since) if self._place else None
