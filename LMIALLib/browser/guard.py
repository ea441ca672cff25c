"""Who may talk to the server: checked on every page, file, websocket and download before anything else.

The token stands in the address that is printed, and is exchanged for a cookie at the first opening. The address that
LMIAL opens by itself has a one-time key in its place: the command line of a browser can be read by every user of the
machine, and a key that was used is worth nothing.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

ONE_TIME = 120.0
"""Seconds in which the one-time key must be used."""
NEEDS_TOKEN = "This page needs the address with its token, as it was printed when the page was started."

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TABLES = "/proc/net/tcp", "/proc/net/tcp6"


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def token_matches(given: str, token: str) -> bool:
    """Compare in a time that gives nothing away; ``given`` may be any text that a request can hold."""
    return hmac.compare_digest(given.encode(errors="backslashreplace"), token.encode())


class Guard:
    """What a server at ``host`` asks of every request.

    Args:
        host: where it listens. On loopback, names other than this machine's are refused (a page elsewhere could
            otherwise point its own name here).
        token: comes once as ``?token=`` and is kept as a cookie that no script can read; an empty string asks for none.
        admit: called with the connection (``request.protocol``) of every request that was let in.
    """

    def __init__(self, host: str, token: str, admit: Callable[[Any], None] = lambda _: None) -> None:
        self.host, self.token, self.admit = host, token, admit
        self._key, self._key_ends = "", 0.0

    def one_time_key(self) -> str:
        """A new key that opens the page once, as ``?once=``, within ``ONE_TIME`` seconds; the one before is void."""
        self._key, self._key_ends = secrets.token_urlsafe(24), time.monotonic() + ONE_TIME
        return self._key

    def _use_key(self, given: str, request: web.BaseRequest) -> bool:
        if not self._key or time.monotonic() > self._key_ends or not token_matches(given, self._key):
            return False
        if of_another_user(request.get_extra_info("peername"), request.get_extra_info("sockname")):
            return False
        self._key = ""
        return True

    def refusal(self, request: web.BaseRequest) -> tuple[int, str] | None:
        """Why a request is refused whoever sends it: status and sentence, or None."""
        hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
        named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if named is None or int(named["port"] or 0) > 65535 or len(origins) > 1:
            return 400, "This request is malformed."
        if not _TARGET.fullmatch(request.raw_path) or _CONTROL.search(request.path):
            return 400, "This address is malformed."
        if is_loopback(self.host) and not is_loopback(named["name"]):
            return 403, "This address is not served here."
        if origins and origins[0].lower() not in (f"{scheme}://{hosts[0]}".lower() for scheme in ("http", "https")):
            return 403, "Another page may not talk to this server."
        return None

    def entered(self, request: web.Request) -> bool:
        """Whether a request brings the token or the one-time key in its address; it gets the cookie then."""
        given, key = request.query.get("token"), request.query.get("once")
        if given is not None and token_matches(given, self.token):
            return True
        return key is not None and self._use_key(key, request)

    def knows(self, request: web.Request, cookie: str) -> bool:
        """Whether a request brings the cookie."""
        return token_matches(request.cookies.get(cookie, ""), self.token)


def middleware(guard: Guard) -> Callable[..., Awaitable[web.StreamResponse]]:
    """An aiohttp middleware that lets nothing past ``guard``.

    Every answer ends its connection, so that none stays open idle; a websocket is one answer.
    """
    from aiohttp import web

    @web.middleware
    async def check(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            answer = await answered(request, handler)
        except web.HTTPException as error:
            answer = _refused(error.status, error.reason) if error.status >= 400 else error
        except (ValueError, OSError):  # the library's file routes meet an address that is no file name
            answer = _refused(404, "Not Found")
        if not answer.prepared:
            answer.headers.update(_HEADERS)
            answer.force_close()
        return answer

    async def answered(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refusal = guard.refusal(request)
        if refusal is not None:
            return _refused(*refusal)
        if guard.token:
            port = (request.get_extra_info("sockname") or ("", 0))[1]
            cookie = f"lmial-{port}"  # cookies know no ports; two servers of one machine must not mix
            if guard.entered(request):
                opened = _to_the_page()
                secure = request.secure
                opened.set_cookie(cookie, guard.token, httponly=True, samesite="Strict", secure=secure, path="/")
                return opened
            if not guard.knows(request, cookie):
                return _refused(403, NEEDS_TOKEN)
        guard.admit(request.protocol)
        if request.path == "/":
            return _to_the_page()
        if request.path == "/ws" and not web.WebSocketResponse().can_prepare(request).ok:
            return _refused(400, "This is no handshake of a websocket.")
        return await handler(request)

    return check


def of_another_user(peer: Any, here: Any) -> bool:
    """Whether a connection from ``peer`` to ``here`` (host, port, ...) was made on this machine by another user.

    Linux lists the owner of every socket; where that cannot be read, or the peer is not on this machine, it is False.
    """
    if not peer or not here or not hasattr(os, "getuid"):
        return False
    ends = f":{peer[1]:04X}", f":{here[1]:04X}"
    owners = set()
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if (fields[1][-5:], fields[2][-5:]) == ends:
                owners.add(int(fields[7]))
    return not owners <= {0, os.getuid()}


def _to_the_page() -> web.Response:
    """On to the address without anything secret in it."""
    from aiohttp import web

    return web.Response(status=302, headers={"Location": "/index.html"})


def _refused(status: int, sentence: str) -> web.Response:
    from aiohttp import web

    return web.Response(status=status, text=sentence, headers=_HEADERS)
