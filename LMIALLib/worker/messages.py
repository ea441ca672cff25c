"""How messages between the worker and its client are written: one JSON object a line, UTF-8, with a protocol version.

Requests carry ``id`` and ``do`` (see `requests`); events carry ``event`` and, where they belong to a request, its
``id`` (see `events`). Arrays travel as files in the study.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, Step, readable
from LMIALLib.files import sendable
from LMIALLib.json_data import parse_json

PROTOCOL = 1
LONGEST = 1 << 28
"""Bytes of a line; a ranking of 100,000 slices takes 60 MB."""


def plain(value: Any) -> Any:
    """A value as JSON has it: objects for dataclasses, lists for tuples, `sendable` text for paths."""
    if dataclasses.is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Path):
        return sendable(value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def finite(value: Any) -> Any:
    """The same value with null for every number that JSON does not know (NaN, infinite), and text that can be sent.

    Names of files become `readable`; a question mark stands for any other half of a character.
    """
    if isinstance(value, str):
        return readable(value).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def encode(message: dict[str, Any]) -> bytes:
    """One line of UTF-8 JSON with the protocol version; floats keep every bit (repr), NaN is refused (ValueError).

    Raises BadInput for a name of a file or folder that is not written in UTF-8.
    """
    text = json.dumps({"protocol": PROTOCOL, **message}, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        begin = text.rfind('"', 0, error.start) + 1
        name = text[begin : text.find('"', error.end)][:300]
        raise BadInput(f"{name}: this name is not written in UTF-8.", "Rename the file or folder.") from error


def steps_of(message: Mapping[str, Any]) -> tuple[Step, ...]:
    """What a person can do about a failure, as ``failed`` carries it in ``steps``; one of another version is left
    out."""
    found = []
    for sent in message.get("steps") or ():
        with suppress(ValueError, AttributeError):
            found.append(Step.from_dict(sent))
    return tuple(found)


def decode(line: bytes) -> dict[str, Any]:
    """The object in one line. Raises ValueError with a sentence when it is not one, or has another protocol version."""
    try:
        message = parse_json(line, dict[str, Any], "a message", most_bytes=LONGEST)
    except BadInput as error:
        raise ValueError(f"not a message ({error.sentence}): {line[:80]!r}") from error
    if message.get("protocol") != PROTOCOL:
        raise ValueError(f"this side has protocol {PROTOCOL}, the other sent {message.get('protocol')!r}")
    return message
