"""How many connections the server holds: whoever sends nothing goes, and the study always has files left to open."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from dataclasses import dataclass
from typing import Any

PATIENCE = 10.0
"""Seconds in which a connection must have sent a whole request that is let in."""
MOST = 512
"""Connections at any time, where the machine allows as many."""
WANTED_FILES = 4096
"""Open files that this process asks the machine for."""
KEPT_FILES = 384
"""Of them, those that no connection gets: the study, the worker's pipes, libraries."""
ARRIVING = 256
"""Of them, those of connections that the library has taken and that could not be turned away yet."""


def room_for_connections() -> int:
    """Raise this process's limit of open files as far as it may; returns how many connections leave enough of them."""
    try:
        import resource
    except ImportError:  # Windows: no such limit
        return MOST
    files, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST
    wanted = WANTED_FILES if highest == resource.RLIM_INFINITY else min(WANTED_FILES, highest)
    if files < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))
            files = wanted
    return max(16, min(MOST, files - KEPT_FILES - ARRIVING))


def neighbourhood(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one household has as a whole."""
    try:
        known = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
    return str(known)


@dataclass(frozen=True)
class _Waiting:
    """A connection that has not yet sent a request that was let in, and the timer that ends it."""

    transport: asyncio.Transport
    timer: asyncio.TimerHandle


class Connections:
    """The connections of one server: those let in, and those that have not yet sent a request that was let in.

    Where room is short the longest-waiting connection of the client that has most of them goes; one that was let in
    never does. One client has half of the room at most while it waits. A connection is known by the object that
    handles its requests (``request.protocol``), which outlives its transport.
    """

    def __init__(self, most: int = MOST, patience: float = PATIENCE) -> None:
        self.most, self.patience = most, patience
        self._waiting: dict[str, dict[Any, _Waiting]] = {}
        self._client: dict[Any, str] = {}
        self._admitted: set[Any] = set()

    def watch(self, server: Any) -> None:
        """Count every connection of an aiohttp ``web.Server``."""
        made, lost = server.connection_made, server.connection_lost

        def connection_made(handler: Any, transport: asyncio.Transport) -> None:
            made(handler, transport)
            self.arrived(handler, transport)

        def connection_lost(handler: Any, exc: BaseException | None = None) -> None:
            self.left(handler)
            lost(handler, exc)

        server.connection_made, server.connection_lost = connection_made, connection_lost

    def __len__(self) -> int:
        return len(self._admitted) + len(self._client)

    def arrived(self, handler: Any, transport: asyncio.Transport) -> None:
        """Somebody has connected; where there is no room for them, somebody goes."""
        loop = asyncio.get_running_loop()
        peer = transport.get_extra_info("peername")
        client = neighbourhood(str(peer[0])) if peer else ""
        if len(self._waiting.get(client, ())) >= self.most // 2:
            self._drop_longest_waiting(client)
        elif len(self) >= self.most:
            if not self._waiting:
                loop.call_soon(transport.abort)
                return
            self._drop_longest_waiting(max(self._waiting, key=lambda one: len(self._waiting[one])))
        # the second wait lets a request be heard that came while this process was too busy to listen
        timer = loop.call_later(self.patience, self._last_look, handler)
        self._client[handler] = client
        self._waiting.setdefault(client, {})[handler] = _Waiting(transport, timer)

    def admit(self, handler: Any) -> None:
        """A request on this connection was let in."""
        if self._forget(handler):
            self._admitted.add(handler)

    def left(self, handler: Any) -> None:
        """A connection has ended."""
        self._admitted.discard(handler)
        self._forget(handler)

    def _last_look(self, handler: Any) -> None:
        client = self._client.get(handler)
        if client is not None:
            waiting = self._waiting[client][handler]
            timer = asyncio.get_running_loop().call_later(self.patience / 10, waiting.transport.abort)
            self._waiting[client][handler] = _Waiting(waiting.transport, timer)

    def _drop_longest_waiting(self, client: str) -> None:
        handler, oldest = next(iter(self._waiting[client].items()))
        self._forget(handler)
        oldest.transport.abort()

    def _forget(self, handler: Any) -> bool:
        """Strike a waiting connection off; returns whether it was one."""
        client = self._client.pop(handler, None)
        if client is None:
            return False
        self._waiting[client].pop(handler).timer.cancel()
        if not self._waiting[client]:
            del self._waiting[client]
        return True
