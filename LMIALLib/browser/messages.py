"""What a websocket may say: the few calls that our page makes, each with its form. All else ends the connection.

Below this lies wslink, which would put messages of up to 4 GB together, run every method that trame offers (one of them
ends the server), and show the sender of nonsense where in the code it went wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from LMIALLib.browser.asked import Check, Senseless, one_of, size, taken, word

LARGEST = 1 << 20
"""Bytes of a message; a stroke of 500 places has ten thousand."""
DEEPEST = 6
"""Lists within lists in a message."""
HEADER = 12
"""Bytes before each message: three numbers, little endian: an id, where this part begins, how long the whole is."""
POLICY = 1008
"""What a websocket is closed with when it says what it may not."""


def _nested(kind: type) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Senseless
        return value

    return check


def _none_by_name(value: Any) -> dict[str, Any]:
    if value != {}:
        raise Senseless
    return {}


LIFE = one_of("client_connected", "client_mounted", "client_unmounted", "client_exited")
"""What a page reports of itself; nobody listens."""
CALLS: dict[str, tuple[Check, ...]] = {
    "trame.state.get": (),
    "trame.trigger": (one_of("act", "hello", "take_over_tab"), _nested(list), _none_by_name),
    "trame.rca.size": (word, word, size),
    "trame.lifecycle.update": (LIFE,),
    "trame.rca.event": (word, word, _nested(dict)),
    "trame.error.client": (lambda value: value,),
}
"""Every call that a page makes, with the form of its values."""
HEARD = "trame.state.get", "trame.trigger", "trame.rca.size"
"""Those that do something here; the others are answered with nothing."""


def restrict(handler: Any, resize: Callable[[str, str, dict[str, float]], None]) -> None:
    """Let a wslink handler hear nothing but ``CALLS``.

    Args:
        handler: the object that wslink gives every message of every websocket of one address.
        resize: takes the name of a view, the tab that says so, and the size of its pane.
    """
    run, closed, known = handler.onCompleteMessage, handler.onClose, handler.functionMap

    async def on_message(is_binary: bool, message: Any, client: str) -> None:
        try:
            call = read(message.data if is_binary else b"")
        except Senseless as error:
            await handler.connections[client].close(code=POLICY, message=error.sentence.encode())
            return
        await run(call, client)

    async def on_close(client: str) -> None:
        if client in handler.unchunkers:  # else it left before it had come, and wslink would stumble
            await closed(client)

    handler.onMessage, handler.onClose = on_message, on_close
    handler.functionMap = dict.fromkeys(CALLS, (None, _nothing))
    handler.functionMap |= {name: known[name] for name in HEARD if name in known}
    handler.functionMap["trame.rca.size"] = None, lambda _, *values: resize(*values)


def _nothing(*_: Any) -> None:
    """Do nothing."""


def read(data: bytes) -> dict[str, Any]:
    """The call that a whole message holds. Senseless for anything else.

    A call that wslink does not know, or before the hello, is left to its own refusal.
    """
    whole = int.from_bytes(data[8:12], "little")
    if not HEADER < len(data) <= LARGEST or data[4:8] != bytes(4) or whole != len(data) - HEADER:
        raise Senseless
    try:
        call = msgpack.unpackb(data[HEADER:], raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, TypeError, OverflowError):
        raise Senseless from None
    if not isinstance(call, dict) or not _plain(call, DEEPEST):
        raise Senseless
    method, values = word(call.get("method")), _nested(list)(call.get("args"))
    if method in CALLS:
        values = taken(values, CALLS[method])
    elif method == "wslink.hello":
        values = [{"secret": word(_nested(dict)(values[0] if values else None).get("secret"))}]
    return {"id": word(call.get("id")), "method": method, "args": values, "kwargs": _none_by_name(call.get("kwargs"))}


def _plain(value: Any, deepest: int) -> bool:
    """Whether a value is made of numbers, texts, lists and tables by name alone, no deeper than allowed."""
    if isinstance(value, dict):
        return deepest > 0 and all(isinstance(key, str) and _plain(one, deepest - 1) for key, one in value.items())
    if isinstance(value, list):
        return deepest > 0 and all(_plain(one, deepest - 1) for one in value)
    return value is None or isinstance(value, bool | int | float | str)
