"""Reading JSON that may come from a stranger: size, depth and shape are checked, and a wrong file names its field.

Floor 0. A shape is a type: ``int``, ``float``, ``str``, ``bool``, ``None``, ``Any``, ``list[T]``, ``tuple[T, ...]``,
``tuple[A, B]``, ``dict[str, T]``, ``frozenset[T]``, ``Literal``, a union, a dataclass (a missing field takes its
default, a field that it does not have is left out, or refused where that is asked for), ``Path`` (see
``files.sendable``), and ``Annotated[T, Limits(...)]`` for a range or a length.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar, cast

from LMIALLib.errors import BadInput
from LMIALLib.json_shapes import (
    AnyFloat,
    Limits,
    Misfit,
    Natural,
    checked_text,
    checked_whole,
    reader_of,
    shown_name,
    within,
)

__all__ = ["AnyFloat", "Limits", "Natural", "parse_json", "read_json", "shaped"]

MOST_BYTES = 64 << 20
"""More than any file of a study's own has; a case's lesions of 1,000,000 runs take 20 MB."""
MOST_DEPTH = 40
"""Lists and objects inside one another; the deepest file of a study's own has nine."""

T = TypeVar("T")


def read_json(file: Path, shape: type[T], *, most_bytes: int = MOST_BYTES) -> T:
    """Read a file as ``shape``. Raises BadInput naming file and field; FileNotFoundError where there is none."""
    try:
        with open(file, "rb") as stream:
            text = stream.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInput(f"{file}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    return parse_json(text, shape, str(file), most_bytes=most_bytes)


def parse_json(text: str | bytes, shape: type[T], where: str, *, most_bytes: int = MOST_BYTES) -> T:
    """``text`` as ``shape``; ``where`` names it for people. Raises BadInput naming ``where`` and the field."""
    if not isinstance(text, (str, bytes)):
        raise BadInput(f"{where}: it holds no text.")
    if len(text) > most_bytes:
        raise BadInput(f"{where}: it has more than {most_bytes:,} bytes, more than LMIAL ever writes there.")
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        found = json.loads(decoded)
    except RecursionError:
        raise BadInput(f"{where}: its lists and objects lie too deep inside one another.") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of more than 4,300 digits
        raise BadInput(f"{where}: it is not JSON, or damaged.") from error
    if _depth(found) > MOST_DEPTH:
        raise BadInput(f"{where}: its lists and objects lie too deep inside one another.")
    if _SUSPECT.search(decoded):
        try:
            _check_scalars(found)
        except Misfit as misfit:
            raise BadInput(f"{where}: {misfit.field or 'the whole'} {misfit.problem}.") from None
    return shaped(found, shape, where)


def shaped(value: object, shape: type[T], where: str, *, only_known: bool = False) -> T:
    """A value that came from `parse_json` as ``shape``. Raises BadInput naming ``where`` and the field.

    With ``only_known`` a field that a dataclass does not have is refused as well.
    """
    try:
        return cast(T, reader_of(cast(Any, shape), only_known)(value))
    except Misfit as misfit:
        raise BadInput(f"{where}: {misfit.field or 'the whole'} {misfit.problem}.") from None


_SUSPECT = re.compile(r"[0-9]{19}|\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""What can stand for a whole number that does not fit, or for half a character; only then each value is looked at."""


def _depth(value: Any) -> int:
    """How many lists and objects lie inside one another, counted no further than beyond ``MOST_DEPTH``."""
    level, depth = [value] if type(value) in (dict, list) else [], 0
    while level and depth <= MOST_DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    return depth


def _check_scalars(value: Any) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            checked_text(key)
            within(_check_scalars, one, f".{shown_name(key)}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            within(_check_scalars, one, f"[{index}]")
    elif isinstance(value, str):
        checked_text(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        checked_whole(value)
