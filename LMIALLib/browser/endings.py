"""When a websocket has ended, which trame says to nobody."""

from __future__ import annotations

from collections.abc import Callable

from wslink.websocket import LinkProtocol


class Endings(LinkProtocol):
    """A protocol of wslink's that says when a websocket has ended.

    Args:
        left: called with the id of its connection.
    """

    def __init__(self, left: Callable[[str], None]) -> None:
        super().__init__()
        self._left = left

    def onClose(self, client_id: str) -> None:  # noqa: N802 - wslink's name
        """As wslink calls it."""
        self._left(client_id)
