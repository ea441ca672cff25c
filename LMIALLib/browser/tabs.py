"""Browser tabs of one server: one annotates, the others are shown that, may watch, and may take over."""

from __future__ import annotations

from typing import Any


class Tabs:
    """Who annotates. A tab names itself; a connection is what the server knows of it for certain, and has one tab."""

    def __init__(self) -> None:
        self.active = ""
        self._connections: dict[str, str] = {}

    def arrive(self, tab: str, connection: str) -> bool:
        """A tab says hello over a connection; False when another living tab has its name (a duplicated tab)."""
        if not tab or self._connections.get(tab, connection) != connection:
            return False
        if self._tab_of(connection) not in ("", tab):
            return False
        self._connections[tab] = connection
        if not self.active:
            self.active = tab
        return True

    def leave(self, connection: str) -> None:
        """A connection has ended; if its tab annotated, the tab that came last goes on."""
        for tab in [tab for tab, held in self._connections.items() if held == connection]:
            del self._connections[tab]
            if tab == self.active:
                self.active = next(reversed(self._connections), "")

    def take_over(self, connection: str) -> None:
        """The tab of this connection annotates from now on."""
        self.active = self._tab_of(connection) or self.active

    def may(self, tab: Any, connection: str) -> bool:
        """Whether what a tab asks for over a connection is done."""
        return bool(tab) and tab == self.active and self._connections.get(self.active) == connection

    def _tab_of(self, connection: str) -> str:
        return next((tab for tab, held in self._connections.items() if held == connection), "")
