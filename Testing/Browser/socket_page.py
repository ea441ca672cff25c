"""A page without a browser: the websocket alone, so that a test can say what no page of ours says."""

from __future__ import annotations

import base64
import http.client
import itertools
import os
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

import msgpack


class Closed(Exception):
    """The server has closed the websocket; ``code`` says why (0 if it did not)."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(code)
        self.code = code


class SocketPage:
    """Opens the address with its token, then a websocket; every call is answered or the socket is closed."""

    def __init__(self, address: str, *, tab: str = "a-test") -> None:
        where = urlsplit(address)
        assert where.hostname and where.port
        self.host, self.port, self.tab = "127.0.0.1", where.port, tab
        self._numbers = itertools.count(1)
        line = http.client.HTTPConnection(self.host, self.port, timeout=20)
        line.request("GET", f"/?{where.query}")
        cookie = line.getresponse().headers.get("Set-Cookie", "").split(";")[0]
        line.close()
        self.cookie = cookie
        self.socket = socket.create_connection((self.host, self.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nCookie: {cookie}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._more()
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], head
        self.hello()

    def __enter__(self) -> SocketPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # What a page does ------------------------------------------------------------------------------------------

    def hello(self) -> None:
        """The first message of every page."""
        call = {"wslink": "1.0", "id": "system:c0:0", "method": "wslink.hello"}
        self.send(self.framed(msgpack.packb(call | {"args": [{"secret": "wslink-secret"}], "kwargs": {}})))
        while self._message()["id"] != "system:c0:0":
            pass

    def call(self, method: str, *args: Any) -> Any:
        """Call and return the result; an error comes back as {"error": ...}."""
        number = f"rpc:c:{next(self._numbers)}"
        call = {"wslink": "1.0", "id": number, "method": method, "args": list(args), "kwargs": {}}
        self.send(self.framed(msgpack.packb(call)))
        while True:
            answer = self._message()
            if answer["id"] == number:
                return {"error": answer["error"]} if "error" in answer else answer["result"]

    def sit_down(self) -> None:
        """Be the tab that annotates."""
        assert self.call("trame.trigger", "hello", [self.tab], {}) == ""

    def look(self) -> None:
        """Look at the whole slice on the screen for a second."""
        for view in ("baseline", "follow_up", "difference"):
            self.call("trame.rca.size", view, self.tab, {"w": 400, "h": 500, "p": 1})
        self.act("fit")
        self.act("looked", self.state()["look"]["place"], 1000.0)

    def act(self, *values: Any) -> Any:
        """What the page's buttons do."""
        return self.call("trame.trigger", "act", [self.tab, *values], {})

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        return dict(self.call("trame.state.get")["state"])

    # Bytes ------------------------------------------------------------------------------------------------------

    @staticmethod
    def framed(content: bytes, *, offset: int = 0, whole: int | None = None) -> bytes:
        """A part of a message as wslink sends it."""
        return os.urandom(4) + struct.pack("<II", offset, len(content) if whole is None else whole) + content

    def send(self, data: bytes, opcode: int = 2) -> None:
        """One frame of the websocket, masked as a client must."""
        size = len(data)
        if size < 126:
            length = bytes([128 | size])
        elif size < 1 << 16:
            length = bytes([254]) + struct.pack(">H", size)
        else:
            length = bytes([255]) + struct.pack(">Q", size)
        self.socket.sendall(bytes([128 | opcode]) + length + bytes(4) + data)  # a mask of zeros changes nothing

    def ended(self) -> int:
        """Wait until the server closes; returns the code of the closing."""
        try:
            while True:
                self._message()
        except Closed as closed:
            return closed.code

    def _message(self) -> dict[str, Any]:
        """The next whole message, put together from its parts."""
        whole = b""
        while True:
            part = self._frame()
            whole += part[12:]
            if len(whole) >= struct.unpack("<I", part[8:12])[0]:
                return dict(msgpack.unpackb(whole))

    def _frame(self) -> bytes:
        while True:
            opcode, size = self._take(1)[0] & 15, self._take(1)[0] & 127
            if size == 126:
                size = struct.unpack(">H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._take(8))[0]
            data = self._take(size)
            if opcode == 8:
                raise Closed(struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 0)
            if opcode == 9:
                self.send(data, 10)
            elif opcode in (0, 1, 2):
                return data

    def _take(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._rest += self._more()
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _more(self) -> bytes:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed
        return data
