"""What reaches the server from people who are no reader: half-open connections, malformed requests, other users."""

from __future__ import annotations

import http.client
import os
import random
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from LMIALLib.browser.connections import Connections, neighbourhood
from LMIALLib.browser.guard import of_another_user
from LMIALLib.study.store import Study

from .conftest import Server, wait_for
from .socket_page import SocketPage

resource = pytest.importorskip("resource", reason="Windows has no limit of open files")


def raw(port: int, request: bytes, seconds: float = 10.0) -> bytes:
    """What the server answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        peer.sendall(request)
        answer = b""
        try:
            while part := peer.recv(65536):
                answer += part
                if len(answer) > 1 << 20:
                    break
        except TimeoutError:
            return answer + b" (and did not close)"
        except ConnectionResetError:
            pass
        return answer


def status_of(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


@pytest.fixture
def half_open() -> Iterator[Callable[[int, int, bytes], list[socket.socket]]]:
    """A function (port, how many, what each sends): connections that never send a whole request."""
    held: list[socket.socket] = []
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if highest < 2000:
        pytest.skip("this machine lets a process open too few files for this test")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2000, highest))

    def connect(port: int, count: int, begun: bytes) -> list[socket.socket]:
        new = []
        for _ in range(count):
            peer = socket.socket()
            held.append(peer)
            peer.settimeout(5)
            try:
                peer.connect(("127.0.0.1", port))
                peer.sendall(begun)
            except OSError:
                continue
            new.append(peer)
        return new

    yield connect
    for peer in held:
        peer.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_1200_half_requests_neither_keep_the_reader_out_nor_a_save_from_the_disk(
    study_folder: Path,
    serve: Callable[..., Server],
    half_open: Callable[[int, int, bytes], list[socket.socket]],
    host: str,
) -> None:
    server = serve(study_folder, "--host", host, files=1024)
    begun = (
        b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
        b"POST /paraview/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\nx",
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Up",
        b"",
    )
    held = [peer for part in begun for peer in half_open(server.port, 300, part)]
    assert len(held) > 1000
    began = time.monotonic()
    with SocketPage(server.address) as page:
        page.sit_down()
        assert time.monotonic() - began < 8, "the reader gets in within seconds"
        here = page.state()["query"]["slice"] - 1
        held += half_open(server.port, 300, b"GET / HTTP/1.1\r\n")
        page.look()
        page.act("nothing_here")
        with Study.open(study_folder, read_only=True) as study:
            assert study.answers.current("head")[here].answer == "nothing"
        open_files = len(os.listdir(f"/proc/{server.process.pid}/fd")) if sys.platform == "linux" else 0
        assert open_files < 1024 - 128, "room is left for the study and the worker"
        for peer in held:
            peer.setblocking(False)

        def gone(peer: socket.socket) -> bool:
            try:
                while peer.recv(4096):
                    pass
                return True
            except BlockingIOError:
                return False
            except OSError:
                return True

        wait_for(lambda: all(gone(peer) for peer in held), 25)
        assert page.act("rank") is None, "the reader's own connection stays"
    assert "Traceback" not in server.end()


def test_a_client_that_waits_has_half_of_the_room_and_nobody_let_in_is_sent_away() -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    class Line:
        def __init__(self, peer: str) -> None:
            self.peer, self.gone = peer, False

        def get_extra_info(self, _: str) -> tuple[str, int]:
            return self.peer, 1

        def abort(self) -> None:
            self.gone = True

    async def arrive() -> None:
        connections = Connections(most=8, patience=0.2)
        reader = Line("10.0.0.1")
        connections.arrived("reader", reader)
        connections.admit("reader")
        many = [Line("10.0.0.2") for _ in range(6)]
        for number, line in enumerate(many):
            connections.arrived(number, line)
        assert [line.gone for line in many] == [True, True, False, False, False, False] and len(connections) == 5
        others = [Line(f"10.0.1.{k}") for k in range(4)]
        for number, line in enumerate(others):
            connections.arrived(10 + number, line)
        assert many[2].gone and not any(line.gone for line in others) and len(connections) == 8
        await asyncio.sleep(0.3)
        assert all(line.gone for line in (*many, *others)) and not reader.gone
        for number in range(14):
            connections.left(number)
        for number in range(20, 28):
            connections.arrived(number, Line(f"10.0.2.{number}"))
            connections.admit(number)
        late = Line("10.0.0.3")
        connections.arrived("late", late)
        await asyncio.sleep(0.05)
        assert late.gone and len(connections) == 8

    with ThreadPoolExecutor(1) as apart:  # Playwright's own loop may run in this thread
        apart.submit(asyncio.run, arrive()).result()
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::2") != neighbourhood("2001:db8:0:1::1")
    assert (
        neighbourhood("::ffff:10.0.0.1") == neighbourhood("10.0.0.1") and neighbourhood("fe80::1%eth0") == "fe80::/64"
    )


ODD = (
    "[::1", "[::1]", "::1", "[", "]", "a]b", "[::1]:x", "127.0.0.1:99999", "é", "ÿ\x80", "a b", "", "@", "a@127.0.0.1",
    "127.0.0.1/../", "[v1.x]", "xn--a", "%31", "a" * 4000, "null", "http://[", "http://[::1", "//", "\x7f", "\x01",
    "bytes=5-1", "🧠", "=", ";;;", '"', "a=b; é=ü", "lmial", "\t", "0" * 400, "-1", "nan", "{}", "\\",
)  # fmt: skip
HEADERS = (
    "Host", "Origin", "Cookie", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Range", "If-Range",
    "If-Modified-Since", "If-None-Match", "Content-Type", "Expect", "Accept-Encoding", "X-Forwarded-For",
)  # fmt: skip
TARGETS = ("/", "/index.html", "/ws", "/download/x", "/lmial/face.js", "/paraview/", "/nothing")
ODD_TARGETS = (
    "*", "http://[", "http://[::1/", "http://evil.example/", "//evil.example/", "/%00", "/lmial/%00", "/%ff%fe", "/é",
    "/lmial/" + "a" * 5000, "/?token=%ff", "/?token=%C3%A9", "/?once=é", "/?" + "&" * 3000, "/lmial/..%2f..%2f", "",
    "/\\..\\", "/lmial/%2e%2e/%2e%2e/guard.py", "/download/" + "%41" * 2000, "?token=x", "/ws?token=", "/lmial/.",
    "/lmial", "/lmial/",
)  # fmt: skip
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PATCH",
    "get",
    "GÉT",
    "",
    "G" * 3000,
    "GET\x00",
)


def test_no_malformed_request_is_an_error_of_ours(study_folder: Path, serve: Callable[..., Server]) -> None:
    """Every odd value in every header, on every path, with the right cookie and without: 400, 403, 404, never 500."""
    server = serve(study_folder)
    chance = random.Random(16)
    requests = []
    right = {"Host": f"127.0.0.1:{server.port}", "Cookie": server.cookie}
    for header in HEADERS:
        for odd in ODD:
            requests.append(("GET", chance.choice(TARGETS), right | {header: odd}))
    requests += [("GET", "/ws", right | {header: odd, "Upgrade": "websocket", "Connection": "Upgrade"})
                 for header in HEADERS[3:6] for odd in ODD]  # fmt: skip
    requests += [("GET", target, headers) for target in ODD_TARGETS for headers in (right, {"Host": "[::1"}, {})]
    requests += [(method, target, right) for method in METHODS for target in TARGETS]

    def answer_to(request: tuple[str, str, dict[str, str]]) -> bytes:
        method, target, headers = request
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return raw(server.port, "\r\n".join(lines).encode("utf-8"), 60)

    seen: Counter[int] = Counter()
    with ThreadPoolExecutor(24) as pool:
        for request, answer in zip(requests, pool.map(answer_to, requests), strict=True):
            status = status_of(answer)
            assert status < 500 and b"Traceback" not in answer, (request, answer[:300])
            assert not answer.endswith(b"(and did not close)") or status == 101, (request, answer[:300])
            seen[status] += 1
    for twice in ("Host: 127.0.0.1\r\nHost: 127.0.0.1", "", "Host: 127.0.0.1\r\nOrigin: a\r\nOrigin: b"):
        assert status_of(raw(server.port, f"GET / HTTP/1.1\r\n{twice}\r\n\r\n".encode())) == 400
    assert seen[400] > 50 and seen[403] > 20 and seen[200] + seen[302] > 20, seen
    assert (
        status_of(raw(server.port, f"GET /index.html HTTP/1.1\r\nHost: x\r\nCookie: {server.cookie}\r\n\r\n".encode()))
        == 403
    )
    with SocketPage(server.address) as page:
        page.sit_down()
        assert page.state()["query"]["slice"] > 0, "it still serves"
    errors = server.end()
    assert "Traceback" not in errors and "Error" not in errors, errors[-2000:]


def test_the_window_that_is_opened_gets_a_key_that_is_good_once_and_no_command_line_holds_the_token(
    study_folder: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {told}.new; mv {told}.new {told}\n', encoding="utf-8")
    browser.chmod(0o755)
    server = serve(study_folder, environment={"DISPLAY": ":0", "BROWSER": str(browser)})
    wait_for(told.is_file)
    opened = told.read_text(encoding="utf-8").strip()
    assert server.token and server.token not in opened and "?once=" in opened
    command = Path(f"/proc/{server.process.pid}/cmdline")
    assert not command.exists() or server.token.encode() not in command.read_bytes()

    def get(path: str, **headers: str) -> http.client.HTTPResponse:
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        answer.read()
        line.close()
        return answer

    key = "/?" + opened.partition("?")[2]
    first = get(key)
    assert first.status == 302 and first.headers["Location"] == "/index.html"
    cookie = first.headers["Set-Cookie"].split(";")[0]
    assert "HttpOnly" in first.headers["Set-Cookie"] and "SameSite=Strict" in first.headers["Set-Cookie"]
    assert get("/index.html", Cookie=cookie).status == 200, "a second tab and a reload go by the cookie"
    assert get(key, Cookie=cookie).status == 302 and get(key).status == 403, "whoever saw the key comes too late"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists whose socket it is")
def test_a_key_that_another_user_of_this_machine_brings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as peer,
    ):
        ends = peer.getsockname(), listening.getsockname()
        assert not of_another_user(*ends)
        mine = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: mine + 1000)
        assert of_another_user(*ends) == (mine != 0), "root may do everything anyway"
    assert not of_another_user(None, None) and not of_another_user(("127.0.0.1", 1), ("127.0.0.1", 2))


def test_a_token_may_come_by_a_variable_that_no_other_user_can_read(
    study_folder: Path, serve: Callable[..., Server]
) -> None:
    server = serve(study_folder, environment={"LMIAL_TOKEN": "given-by-a-variable", "DISPLAY": ""})
    assert server.token == "given-by-a-variable"
