"""What a page may say: every message and every value has a form; nothing is allocated or done by any other."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

from LMIALLib.browser import asked
from LMIALLib.browser.actions import actions_of
from LMIALLib.browser.asked import Senseless
from LMIALLib.browser.messages import CALLS, LARGEST, read
from LMIALLib.errors import LMIALError
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.store import Study

from .conftest import Server
from .socket_page import SocketPage
from .test_workspace import workspace_at  # noqa: F401 - a fixture

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 255, 256, 10**6, 10**9, 2**31, 2**63, 2**64 - 1, -(2**63), 0.5, -0.0, 1e9, 1e300,
    math.nan, math.inf, -math.inf, "", "follow_up", "paint", "1", "é", "../x", "a" * 300, [], [[]], [[0.5, 0.5]],
    [[math.nan, 0]], [1, 2], {}, {"w": 1}, {"a": {"b": []}}, b"x",
)  # fmt: skip


def call(method: Any = "trame.trigger", args: Any = None, **more: Any) -> bytes:
    fields = {
        "wslink": "1.0",
        "id": "rpc:c:1",
        "method": method,
        "args": args if args is not None else [],
        "kwargs": {},
    }
    return SocketPage.framed(msgpack.packb(fields | more))


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


framed, packed = SocketPage.framed, msgpack.packb
SIZES = (
    [], ["follow_up"], ["follow_up", "t"], ["follow_up", "t", 5], ["follow_up", "t", {}], [5, "t", {"w": 9, "h": 9}],
    ["follow_up", "t", {"w": 100_000, "h": 100_000, "p": 1}], ["follow_up", "t", {"w": -1, "h": 9}],
    ["follow_up", "t", {"w": math.nan, "h": 9}], ["follow_up", "t", {"w": 9, "h": math.inf}],
    ["follow_up", "t", {"w": "9", "h": 9}], ["follow_up", "t", {"w": 9, "h": 9, "p": 0}],
    ["follow_up", "t", {"w": 9, "h": 9, "p": 1e9}], ["follow_up", "t", {"w": 9, "h": 9, "p": None}],
    ["follow_up", "t", {"w": True, "h": 9}],
)  # fmt: skip
SENSELESS = (
    b"", b"\x00" * 11, b"\xff" * 12, b"x" * 40, framed(b""), framed(b"\xc1"), framed(b"\xa2\xff\xfe"),
    framed(b"\x80", whole=4_000_000_000), framed(b"\x80" * 9, offset=5), framed(packed(7)), framed(packed({1: 2})),
    framed(b"\xdd\xff\xff\xff\xff"), framed(b"\xdf\xff\xff\xff\xff"), framed(b"\xc6\xff\xff\xff\xff"),
    framed(b"\x91" * 100_000), framed(b"\x91" * 900 + b"\x90"), framed(packed(msgpack.ExtType(5, b"x"))),
    framed(b'{"id": "rpc:c:1", "method": "trame.state.get"}'), call(args=["act", [nested(20)], {}]), call(method=7),
    call(method="a" * 300), call(args={}), call(args=["act"]), call(id=5), call(id=["a"]), call(kwargs={"name": 1}),
    call(kwargs=[]), call(args=["ready", [], {}]), call(args=[["act"], [], {}]), call(args=["act", [], {"name": "x"}]),
    call("trame.lifecycle.update", ["server_ready"]), call("trame.lifecycle.update", [["a"]]),
    call("trame.state.get", [1]), call("wslink.hello", []), call("wslink.hello", [{"secret": 5}]),
    *(call("trame.rca.size", values) for values in SIZES),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(SENSELESS)))
def test_what_no_page_of_ours_sends_is_senseless(number: int) -> None:
    with pytest.raises(Senseless):
        read(SENSELESS[number])


def test_a_message_is_read_whole_and_only_up_to_its_limit() -> None:
    assert read(call(args=["act", ["tab", "step", 1], {}]))["args"] == ["act", ["tab", "step", 1], {}]
    assert read(call("no.such.call", [1, "a"]))["method"] == "no.such.call", "wslink refuses it by its own words"
    with pytest.raises(Senseless):
        read(call(args=["act", ["a" * LARGEST], {}]))
    chance = random.Random(16)
    good = call(args=["act", ["tab", "paint", "follow_up", "go", [[0.5, 0.25]]], {}])
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            found = read(bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data))
        except Senseless:
            continue
        assert isinstance(found["method"], str) and isinstance(found["args"], list)


def test_sizes_are_within_what_can_be_drawn() -> None:
    assert asked.size({"w": 455.5, "h": 0, "p": 1.5}) == {"w": 455.5, "h": 0.0, "p": 1.5}
    assert asked.size({"w": 8000, "h": 10, "p": 16})["p"] * 8000 <= asked.LONGEST_SIDE, "a huge screen is drawn coarser"
    assert asked.points([[0.1, 0.2]] * 900) == [(0.1, 0.2)] * asked.MOST_POINTS


def test_no_value_that_a_page_can_send_breaks_the_desk(
    study_folder: Path,
    workspace_at: Callable[..., Workspace],  # noqa: F811
) -> None:
    """Every action with odd values at every place: a sentence or a deed, never another error; the workspace goes on."""
    workspace = workspace_at(study_folder)
    worth: dict[str, tuple[Any, ...]] = {
        "paint": ("follow_up", "begin", [[0.5, 0.5]]), "zoom": ("follow_up", 1.1, 0.5, 0.5), "choose": (3, "head"),
        "shift": ("follow_up", 0.1, 0.1), "planes": ("follow_up", 0.5, 0.5), "class": (0, 1), "register": ("rigid",),
    }  # fmt: skip
    left_out = {"register", "rank", "save", "nothing_here", "equivocal", "skip", "take_over"}  # slow; the same checks
    for name, action in actions_of(workspace, workspace.maker).items():
        usual = worth.get(name, (1,) * len(action.takes))
        trials = [(), *((odd,) for odd in ODD), (1, 2, 3, 4, 5)]
        trials += [(*usual[:at], odd, *usual[at + 1 :]) for at in range(len(usual)) for odd in ODD]
        for values in trials if name not in left_out else [trial for trial in trials if trial and not action.takes]:
            workspace.screen.notices.clear()
            with suppress(LMIALError):
                action(*values)
        workspace.viewing.redraw()
    tools = workspace.screen.tools
    assert 1 <= tools.diameter_mm <= 30 and 0 <= tools.opacity <= 1 and tools.tool in ("paint", "erase")
    assert all(math.isfinite(value) for value in (tools.diameter_mm, tools.opacity, tools.brightness, tools.width))
    assert all(math.isfinite(value) for value in workspace.open.navigation.point)
    assert workspace.session.current is not None


def test_a_hostile_page_ends_its_own_connection_and_nothing_else(
    study_folder: Path, serve: Callable[..., Server]
) -> None:
    server = serve(study_folder)
    with SocketPage(server.address) as reader:
        reader.sit_down()
        for data in (*SENSELESS, b"y" * (LARGEST + 50)):
            with SocketPage(server.address, tab="stranger") as stranger:
                stranger.socket.settimeout(60)
                stranger.send(data)
                assert stranger.ended() == 1008
        with SocketPage(server.address, tab="stranger") as stranger:
            stranger.send(b"text", opcode=1)
            assert stranger.ended() == 1008
        with SocketPage(server.address, tab="stranger") as stranger:
            with suppress(ConnectionError):
                stranger.send(b"z" * (2 * LARGEST))
            assert stranger.ended() in (1009, 0), "more than a message may have, in one frame"
        with SocketPage(server.address, tab="stranger") as stranger:
            for method in ("application.exit", "application.exit.later", "trame.force.push", "trame.state.update",
                           "trame.rca.push", "trame.rca.drop", "trame.rca.reset", "trame.rca.video.codecs",
                           "trame.rca.video.negotiate", "__class__", "file.server.directory.list"):  # fmt: skip
                assert stranger.call(method, 1)["error"]["message"] == "Unregistered method called", method
            assert stranger.act("nothing_here") is None, "a stranger's tab is not heard"
            stranger.tab = reader.tab
            assert stranger.act("nothing_here") is None, "nor under the name of the tab that annotates"
            for size in ({"w": 50, "h": 50, "p": 1}, {"w": 8192, "h": 8192, "p": 16}):
                assert stranger.call("trame.rca.size", "follow_up", "self", size) is None
            for odd in ODD[:-1]:
                assert stranger.call("trame.trigger", "hello", [odd], {}) in ("taken", "")
                assert stranger.call("trame.trigger", "hello", [odd, odd], {}) == "taken"
                stranger.call("trame.trigger", "take_over_tab", [odd], {})
                assert stranger.call("trame.trigger", "act", [odd, odd], {}) is None
        with Study.open(study_folder, read_only=True) as study:
            assert not study.answers.current("head")
        reader.sit_down()
        reader.socket.settimeout(120)  # without a graphics card the largest image takes seconds
        for size in ({"w": 8192, "h": 8192, "p": 2}, {"w": 8192, "h": 0, "p": 16}, {"w": 200, "h": 150, "p": 1}):
            for view in ("baseline", "follow_up", "difference"):
                assert reader.call("trame.rca.size", view, reader.tab, size) is None
        for name in ("zoom", "step", "paint", "class", "value", "reader", "export", "no such action", "choose"):
            for odd in ODD[:-1]:  # bytes are no value of a message
                assert reader.act(name, odd) is None and reader.act(name, "follow_up", odd, odd) is None
        notices = reader.state()["notices"]
        assert any("makes no sense" in one["text"] for one in notices)
        assert not any("should not have happened" in one["text"] for one in notices)
        reader.act("return")
        reader.look()
        reader.act("nothing_here")
    with Study.open(study_folder, read_only=True) as study:
        assert len(study.answers.current("head")) == 1, "and the reader goes on"
    assert "Traceback" not in server.end()


def test_every_call_of_a_page_has_a_form() -> None:
    assert {"trame.state.get", "trame.trigger", "trame.rca.size"} <= CALLS.keys()
    assert not any(name.startswith(("application", "trame.state.update", "trame.force")) for name in CALLS)
