"""The other files that an ONNX file names for its tensors, read from its bytes without any library.

onnxruntime opens them by the name that the model gives, which may be anywhere on the computer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput

MOST_BYTES = 2 << 30
"""Of an ONNX file itself; protobuf holds no more."""
MOST_DEPTH = 64
_ENTRY = "entry"

# the messages of onnx.proto that can hold a tensor: field number to the message in it
_TENSOR: dict[int, Any] = {13: _ENTRY}
_SPARSE = {1: _TENSOR, 2: _TENSOR}
_GRAPH: dict[int, Any] = {}
_ATTRIBUTE = {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE}
_NODE = {5: _ATTRIBUTE}
_GRAPH.update({1: _NODE, 5: _TENSOR, 15: _SPARSE})
_FUNCTION = {7: _NODE, 11: _ATTRIBUTE}
_MODEL = {7: _GRAPH, 20: {1: _GRAPH, 2: _GRAPH}, 25: _FUNCTION}


def files_of(file: Path) -> list[Path]:
    """An ONNX file and the files beside it that hold its tensors, the file itself first.

    Raises BadInput for one that is no ONNX model or too large, and for a tensor that lies anywhere but in a plain file
    of the same folder.
    """
    if file.stat().st_size > MOST_BYTES:
        raise BadInput(f"{file} has more than 2 GiB; tensors of so large a model lie in a file beside it.")
    try:
        places = sorted(set(_places(memoryview(file.read_bytes()), _MODEL, 0)))
    except (ValueError, IndexError) as error:
        raise BadInput(f"{file} cannot be loaded as an ONNX model: it is damaged, or another kind of file.") from error
    for place in places:
        beside = file.parent / place
        plain = 0 < len(place) < 200 and Path(place).name == place and not set("\\/:\x00") & set(place)
        if not plain or place in (".", ".."):
            raise BadInput(
                f"{file} says that its tensors lie in {place[:80]!a}; LMIAL reads only files in the same folder."
            )
        if beside.is_symlink() or not beside.is_file():
            raise BadInput(f"{file} needs {place!a} beside it, which is missing or no plain file.")
    return [file, *(file.parent / place for place in places)]


def _places(message: memoryview, known: dict[int, Any], depth: int) -> Iterator[str]:
    """The ``location`` of every tensor in a message. ValueError or IndexError where it is no protobuf."""
    if depth > MOST_DEPTH:
        raise ValueError("too deep")
    for field, value in _fields(message):
        inner = known.get(field)
        if inner is None or value is None:
            continue
        if inner == _ENTRY:
            pair = {number: bytes(text or b"") for number, text in _fields(value)}
            if pair.get(1, b"") == b"location":
                yield pair.get(2, b"").decode("utf-8")
        else:
            yield from _places(value, inner, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Number and bytes of each field of a message; None for plain numbers."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        kind, value = tag & 7, None
        if kind == 0:
            _, at = _number(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _number(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError("a kind of field that ONNX does not use")
        if at > len(message):
            raise ValueError("cut off")
        yield tag >> 3, value


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A number of protobuf (7 bits a byte, lowest first) and the place after it."""
    found = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
    raise ValueError("a number of more than ten bytes")
