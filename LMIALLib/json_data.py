"""Reading JSON that may come from a stranger: size, depth and shape are checked, and a wrong file names its field.

Floor 0. A shape is a type: ``int``, ``float``, ``str``, ``bool``, ``None``, ``Any``, ``list[T]``, ``tuple[T, ...]``,
``tuple[A, B]``, ``dict[str, T]``, ``frozenset[T]``, ``Literal``, a union, a dataclass (a missing field takes its
default, a field that it does not have is left out), and ``Annotated[T, Limits(...)]`` for a range or a length.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from LMIALLib.errors import BadInput

MOST_BYTES = 64 << 20
"""More than any file of a study's own has; a case's lesions of 1,000,000 runs take 20 MB."""
MOST_DEPTH = 40
"""Lists and objects inside one another; the deepest file of a study's own has nine."""
LARGEST_INT = 2**63 - 1
"""What fits into SQLite's and numpy's integers."""

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Bounds of a value.

    Args:
        least, most: of a number, inclusive.
        longest: characters of a text, or entries of a list.
        pattern: regular expression that a text fulfils from its first character to its last.
        finite: whether a number must be one that is finite.
    """

    least: float | None = None
    most: float | None = None
    longest: int | None = None
    pattern: str | None = None
    finite: bool = True


Natural = Annotated[int, Limits(least=0)]
"""A whole number from 0."""
AnyFloat = Annotated[float, Limits(finite=False)]
"""A number that may be infinite or none at all (NaN), as Python writes it into JSON."""


class _Misfit(Exception):
    """A value that does not have its shape: ``field`` as a path such as ``grid.size[2]``."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem


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
        found = json.loads(text)
    except RecursionError:
        raise BadInput(f"{where}: its lists and objects lie too deep inside one another.") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of more than 4,300 digits
        raise BadInput(f"{where}: it is not JSON, or damaged.") from error
    return shaped(found, shape, where)


def shaped(value: object, shape: type[T], where: str) -> T:
    """A value that came from JSON as ``shape``. Raises BadInput naming ``where`` and the field."""
    try:
        return cast(T, _as(value, shape, "", 0))
    except _Misfit as misfit:
        raise BadInput(f"{where}: {misfit.field or 'the whole'} {misfit.problem}.") from None


def _as(value: Any, shape: Any, field: str, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise _Misfit(field[:80], "lies too deep in lists and objects")
    if shape is Any:
        return _plain(value, field, depth)
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        if shape is AnyFloat and isinstance(value, float):
            return value
        return _limited(_as(value, arguments[0], field, depth), arguments[1:], field)
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments, field, depth)
    if origin is Literal:
        if not any(type(value) is type(known) and value == known for known in arguments):
            expected = ", ".join(map(repr, arguments))
            raise _Misfit(field, f"is {_shown(value)}; expected one of {expected}")
        return value
    if origin in (list, frozenset, set, tuple):
        return _sequence(value, origin, arguments, field, depth)
    if origin is dict:
        _expect(isinstance(value, dict), value, "an object", field)
        return {
            _as(key, arguments[0], f"{field} (a name)".strip(), depth): _as(
                one, arguments[1], _at(field, key), depth + 1
            )
            for key, one in value.items()
        }
    if dataclasses.is_dataclass(shape):
        return _record(value, cast(type, shape), field, depth)
    return _scalar(value, shape, field)


def _plain(value: Any, field: str, depth: int) -> Any:
    """Whatever JSON can hold, as deep as ``MOST_DEPTH``, without integers that nothing else can hold."""
    if depth > MOST_DEPTH:
        raise _Misfit(field[:80], "lies too deep in lists and objects")
    if isinstance(value, dict):
        return {_scalar(key, str, field): _plain(one, _at(field, key), depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, f"{field}[{index}]", depth + 1) for index, one in enumerate(value)]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return _scalar(value, type(value), field)
    return value


def _scalar(value: Any, shape: Any, field: str) -> Any:
    if shape in (None, types.NoneType):
        _expect(value is None, value, "null", field)
    elif shape is bool:
        _expect(isinstance(value, bool), value, "true or false", field)
    elif shape is int:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INT
        _expect(whole, value, "a whole number of at most 19 digits", field)
    elif shape is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
        _expect(number, value, "a finite number", field)
        return float(value)
    elif shape is str:
        _expect(isinstance(value, str), value, "a text", field)
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _Misfit(field, "holds half a character")
    else:
        raise TypeError(f"{shape!r} is no shape of JSON")
    return value


def _sequence(value: Any, origin: type, arguments: tuple[Any, ...], field: str, depth: int) -> Any:
    _expect(isinstance(value, (list, tuple)), value, "a list", field)
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        if len(value) != len(arguments):
            raise _Misfit(field, f"has {len(value)} entries; expected {len(arguments)}")
        pairs = zip(value, arguments, strict=True)
        return tuple(_as(one, kind, f"{field}[{index}]", depth + 1) for index, (one, kind) in enumerate(pairs))
    kind = arguments[0]
    if kind is int and all(type(one) is int for one in value):  # long lists of whole numbers, without a call for each
        if value and max(max(value), -min(value)) > LARGEST_INT:
            raise _Misfit(field, "holds a number of more than 19 digits")
        return origin(value)
    return origin([_as(one, kind, f"{field}[{index}]", depth + 1) for index, one in enumerate(value)])


def _one_of(value: Any, kinds: tuple[Any, ...], field: str, depth: int) -> Any:
    misfits = []
    for kind in kinds:
        try:
            return _as(value, kind, field, depth)
        except _Misfit as misfit:
            misfits.append(misfit)
    raise max(misfits, key=lambda misfit: len(misfit.field))  # the kind that fitted furthest


def _record(value: Any, shape: type, field: str, depth: int) -> Any:
    _expect(isinstance(value, dict), value, "an object", field)
    given: dict[str, Any] = {}
    for one in dataclasses.fields(shape):
        if one.name in value:
            given[one.name] = _as(value[one.name], _kinds(shape)[one.name], _at(field, one.name), depth + 1)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise _Misfit(_at(field, one.name), "is missing")
    return shape(**given)


@cache
def _kinds(shape: type) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


def _limited(value: Any, limits: tuple[Any, ...], field: str) -> Any:
    for limit in limits:
        if not isinstance(limit, Limits):
            continue
        if limit.least is not None and not value >= limit.least:
            raise _Misfit(field, f"is {_shown(value)}; expected {limit.least:g} or more")
        if limit.most is not None and not value <= limit.most:
            raise _Misfit(field, f"is {_shown(value)}; expected {limit.most:g} or less")
        if limit.pattern is not None and not re.fullmatch(limit.pattern, value):
            raise _Misfit(field, f"is {_shown(value)}, which is no name that LMIAL gives there")
        if limit.longest is not None and len(value) > limit.longest:
            raise _Misfit(field, f"has a length of {len(value)}; {limit.longest} is the most")
    return value


def _expect(fits: bool, value: Any, expected: str, field: str) -> None:
    if not fits:
        raise _Misfit(field, f"is {_shown(value)}; expected {expected}")


def _at(field: str, key: Any) -> str:
    name = ascii(str(key)[:40])[1:-1]
    return f"{field}.{name}" if field else name


def _shown(value: Any) -> str:
    """A value in a sentence: short, one line, and no larger than a person reads."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INT:
        return "a number of more than 19 digits"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
