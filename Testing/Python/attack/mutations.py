"""What is put into fields, and how bytes and JSON values are spoiled. Everything is drawn from the given ``Random``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

CANARY = "canary"
"""Folder beside the input's own that nothing may read, change or list; see `campaign`."""

WHOLE = (
    *(0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 99, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53),
    *(2**63 - 1, -(2**63), 2**63, 2**64, 10**30, -(10**30), 10**400, 100_000, 10**9),
)
BROKEN = (0.5, -0.0, 1e-308, 1e-45, 1e-12, 1e300, -1e300, float("nan"), float("inf"), float("-inf"))
PATHS = (
    f"../{CANARY}",
    f"../../{CANARY}",
    f"../{CANARY}/secret.txt",
    f"../../{CANARY}/secret.txt",
    f"cases/../../../{CANARY}",
    f"..\\{CANARY}",
    f"a/../../{CANARY}/secret.txt",
    "..",
    ".",
    "",
    "nowhere",
    "con",
    "nul.txt",
    "a:b",
    "C:\\x",
    "\\\\server\\share",
    "~",
    "$HOME",
    "-rf",
    "--help",
)
TEXTS = (
    *("", " ", "\t", "\n", "\r\n", "\0", "a\0b", "%s%n%d", "{0}", "{study}", "[bold]x[/bold]", "[/]", "STUDY"),
    *(
        "\x1b[2J\x1b[31mred",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\x08\x08\x08",
        "line\rover",
        "\x7f",
        "\u202etxt",
        "\ufeffx",
    ),
    *("Ä" * 40, "日本語", "\U0001f9e0", "e\u0301", "\u0085", "\u2028", "\ud800", "a\udcffb", "\udfff"),
    *("nan", "inf", "-inf", "1e400", "-1", "0", "1", "true", "null", "None", "'", '"', "'; DROP TABLE cases; --"),
    *("1,2", "1;2", "a=b", "<script>alert(1)</script>", "__import__('os')", "os.system", "torch.hub.load"),
    *(f"sam:../{CANARY}", f"nninteractive:../{CANARY}", f"onnx:../{CANARY}/secret.raw", f"dinov2:../{CANARY}"),
)
LENGTHS = (60, 300, 1000, 5000, 100_000)


def some_text(random: Random) -> str:
    """A text that somebody might not expect: empty, long, not ASCII, a path, an escape code."""
    kind = random.random()
    if kind < 0.25:
        return random.choice(PATHS)
    if kind < 0.4:
        return random.choice(("A", "9", "é", "x/", "../", " ", "[", "\x1b[1m")) * random.choice(LENGTHS)
    return random.choice(TEXTS)


def some_number(random: Random) -> int | float:
    """A number at an edge."""
    return random.choice(WHOLE if random.random() < 0.7 else BROKEN)


def some_value(random: Random) -> Any:
    """Any value that JSON can hold, and a few that it should not."""
    kind = random.random()
    if kind < 0.4:
        return some_number(random)
    if kind < 0.7:
        return some_text(random)
    if kind < 0.8:
        return random.choice((None, True, False))
    if kind < 0.9:
        return random.choice(([], {}, [[]], {"": None}, [0] * 1000, [None] * 3, ["a", 1, None], [[1, 2], [3]]))
    return nested(random.choice((10, 100, 400)), random.random() < 0.5)


def nested(depth: int, lists: bool) -> Any:
    """Lists or objects in one another."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


def spoiled_bytes(random: Random, data: bytes) -> bytes:
    """Bytes with a few flipped, cut, doubled or put in."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        if not found:
            return b""
        where = random.randrange(len(found))
        kind = random.randrange(6)
        if kind == 0:
            found[where] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[where] = random.choice((0, 255, 127, 128, 10, 34))
        elif kind == 2:
            del found[where : where + random.choice((1, 4, 100))]
        elif kind == 3:
            found[where:where] = random.randbytes(random.choice((1, 4, 100)))
        elif kind == 4:
            found[where:where] = found[where : where + random.choice((4, 100, 1000))]
        else:
            del found[random.choice((where, len(found) // 2, len(found) - 1)) :]
    return bytes(found)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a JSON tree lies, the tree itself first; long lists are entered at both ends only."""
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*at, key))
    elif isinstance(value, list):
        for index in sorted({*range(min(len(value), 4)), *([len(value) - 1] if value else [])}):
            found += places(value[index], (*at, index))
    return found


def spoiled_tree(random: Random, value: Any) -> Any:
    """A JSON tree with one to three places changed, removed, doubled, renamed, or exchanged."""
    tree = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.choice(places(tree))
        if not at:
            if random.random() < 0.2:
                return some_value(random)
            continue
        tree = _changed(random, tree, at)
    return tree


def _changed(random: Random, tree: Any, at: tuple[Any, ...]) -> Any:
    parent = tree
    for key in at[:-1]:
        parent = parent[key]
    last, old = at[-1], parent[at[-1]]
    kind = random.randrange(10)
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(last, old)
    elif kind == 1:
        parent[some_text(random)] = old
    elif kind == 2:
        parent[last] = [old]
    elif kind == 3:
        parent[last] = str(old)
    elif kind == 4:
        others = [place for place in places(tree) if place]
        other = random.choice(others)
        there = tree
        for key in other:
            there = there[key]
        parent[last] = json.loads(json.dumps(there))
    elif kind == 5 and isinstance(old, int | float) and not isinstance(old, bool):
        parent[last] = random.choice((-old, old + 1, old - 1, old * 2, old * 10**6, float(old) + 0.25))
    else:
        parent[last] = some_value(random)
    return tree


def json_bytes(random: Random, value: Any) -> bytes:
    """A JSON text as somebody might write it: mostly plain, sometimes with what the standard does not have."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 1)))
    kind = random.random()
    if kind < 0.03:
        return text.encode("utf-16")
    if kind < 0.06:
        return b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")
    if kind < 0.09:
        return spoiled_bytes(random, text.encode("utf-8", "surrogatepass"))
    if kind < 0.12:
        depth = random.choice((500, 1000, 100_000))
        return random.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth))
    if kind < 0.14:
        return b"9" * random.choice((400, 5000, 100_000))
    if kind < 0.16 and text.startswith("{") and len(text) > 2:  # each name twice
        return (text[:-1].rstrip() + "," + text[1:].lstrip()).encode("utf-8", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def several(random: Random, state: Any, kinds: Sequence[Callable[[Random, Any], None]]) -> None:
    """Apply one to three of ``kinds`` to ``state``."""
    for _ in range(random.choice((1, 1, 2, 3))):
        random.choice(kinds)(random, state)
