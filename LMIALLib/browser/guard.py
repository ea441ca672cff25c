"""Who may talk to the server: checked on every page, file, websocket and download before anything else."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp import web

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


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
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), token.encode())


def middleware(token: str, host: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    """An aiohttp middleware for a server at ``host``.

    With a ``token``: it comes once as ``?token=`` and is kept as a cookie that no script can read; everything without
    it is refused. On loopback, names other than this machine's are refused (a page elsewhere could otherwise point its
    own name here), and a websocket must come from our own page.
    """
    from aiohttp import web

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        named = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(host) and not is_loopback(named):
            return _refused("This address is not served here.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return _refused("Another page may not talk to this server.")
        if token:
            cookie = f"lmial-{request.url.port}"  # cookies know no ports; two servers of one machine must not mix
            given = request.query.get("token")
            if given is not None and token_matches(given, token):
                answer: web.StreamResponse = web.Response(status=302, headers={"Location": "/index.html"})
                secure = request.secure
                answer.set_cookie(cookie, token, httponly=True, samesite="Strict", secure=secure, path="/")
                return answer
            if not token_matches(request.cookies.get(cookie, ""), token):
                return _refused("This page needs the address with its token, as lmial annotate printed it.")
        answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(_HEADERS)
        return answer

    return guard


def _refused(sentence: str) -> web.Response:
    from aiohttp import web

    return web.Response(status=403, text=sentence, headers=_HEADERS)
