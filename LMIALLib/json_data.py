"""Reading JSON that may come from a stranger: size, depth and shape are checked, and a wrong file names its field.

Floor 0. A shape is a type: ``int``, ``float``, ``str``, ``bool``, ``None``, ``Any``, ``list[T]``, ``tuple[T, ...]``,
``tuple[A, B]``, ``dict[str, T]``, ``frozenset[T]``, ``Literal``, a union, a dataclass (a missing field takes its
default, a field that it does not have is left out, or refused where that is asked for), ``Path`` (see
``files.sendable``), and ``Annotated[T, Limits(...)]`` for a range or a length.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from LMIALLib.errors import BadInput
from LMIALLib.files import sent

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
    """A value that does not have its shape; ``path`` leads to it, the innermost step first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def within(self, step: str) -> _Misfit:
        """The same, seen from one step further out."""
        self.path.append(step)
        return self

    @property
    def field(self) -> str:
        """The path as people read it: ``grid.size[2]``."""
        return "".join(reversed(self.path)).lstrip(".")


_Reader = Callable[[Any], Any]
"""Takes a value that came from JSON, returns it in its shape, or raises _Misfit."""


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
        told = text if isinstance(text, str) else text.decode("utf-8")
        found = json.loads(told)
    except RecursionError:
        raise BadInput(f"{where}: its lists and objects lie too deep inside one another.") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of more than 4,300 digits
        raise BadInput(f"{where}: it is not JSON, or damaged.") from error
    if _depth(found) > MOST_DEPTH:
        raise BadInput(f"{where}: its lists and objects lie too deep inside one another.")
    if _SUSPECT.search(told):
        try:
            _check_scalars(found)
        except _Misfit as misfit:
            raise BadInput(f"{where}: {misfit.field or 'the whole'} {misfit.problem}.") from None
    return shaped(found, shape, where)


def shaped(value: object, shape: type[T], where: str, *, only_known: bool = False) -> T:
    """A value that came from `parse_json` as ``shape``. Raises BadInput naming ``where`` and the field.

    With ``only_known`` a field that a dataclass does not have is refused as well.
    """
    try:
        return cast(T, _reader(cast(Any, shape), only_known)(value))
    except _Misfit as misfit:
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
            _string(key)
            _step(_check_scalars, one, f".{_name(key)}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _step(_check_scalars, one, f"[{index}]")
    elif isinstance(value, str):
        _string(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        _whole(value)


def _step(read: _Reader, value: Any, step: str) -> Any:
    try:
        return read(value)
    except _Misfit as misfit:
        raise misfit.within(step) from None


@cache
def _reader(shape: Any, only_known: bool) -> _Reader:
    """The function that reads a shape; made once for each."""
    if shape in _SCALARS:
        return _SCALARS[shape]
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return _any_float if shape is AnyFloat else _limited(_reader(arguments[0], only_known), arguments[1:])
    if origin in (Union, types.UnionType):
        return _one_of([_reader(kind, only_known) for kind in arguments])
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        return _fixed([_reader(kind, only_known) for kind in arguments])
    if origin in (list, frozenset, set, tuple):
        return _sequence(origin, _reader(arguments[0], only_known))
    if origin is dict:
        return _mapping(_reader(arguments[0], only_known), _reader(arguments[1], only_known))
    if dataclasses.is_dataclass(shape):
        return _record(cast(type, shape), only_known)
    raise TypeError(f"{shape!r} is no shape of JSON")


def _as_it_is(value: Any) -> Any:
    return value


def _nothing(value: Any) -> None:
    _expect(value is None, value, "null")


def _truth(value: Any) -> bool:
    if value is not True and value is not False:
        _expect(False, value, "true or false")
    return bool(value)


def _whole(value: Any) -> int:
    if type(value) is not int or not -LARGEST_INT <= value <= LARGEST_INT:
        _expect(False, value, "a whole number of at most 19 digits")
    return cast(int, value)


def _number(value: Any) -> float:
    if (type(value) is not float and type(value) is not int) or not -1e300 < value < 1e300:
        _expect(False, value, "a finite number")
    return float(value)


def _any_float(value: Any) -> float:
    return value if type(value) is float else _number(value)


def _string(value: Any) -> str:
    if type(value) is not str:
        _expect(False, value, "a text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _Misfit("holds half a character")
    return cast(str, value)


_SCALARS: dict[Any, _Reader] = {
    Any: _as_it_is,
    None: _nothing,
    types.NoneType: _nothing,
    bool: _truth,
    int: _whole,
    float: _number,
    str: _string,
    Path: lambda value: sent(_string(value)),
}


def _literal(known: tuple[Any, ...]) -> _Reader:
    def read(value: Any) -> Any:
        if not any(type(value) is type(one) and value == one for one in known):
            raise _Misfit(f"is {_shown(value)}; expected one of {', '.join(map(repr, known))}")
        return value

    return read


def _fixed(kinds: list[_Reader]) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, (list, tuple)), value, "a list")
        if len(value) != len(kinds):
            raise _Misfit(f"has {len(value)} entries; expected {len(kinds)}")
        return tuple(_step(kind, one, f"[{n}]") for n, (one, kind) in enumerate(zip(value, kinds, strict=True)))

    return read


def _sequence(origin: type, kind: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, (list, tuple)), value, "a list")
        try:
            return origin([kind(one) for one in value])
        except _Misfit:  # once more, to find out where
            return origin([_step(kind, one, f"[{index}]") for index, one in enumerate(value)])

    return read


def _mapping(names: _Reader, kind: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, dict), value, "an object")
        return {_step(names, key, " (a name)"): _step(kind, one, f".{_name(key)}") for key, one in value.items()}

    return read


def _one_of(kinds: list[_Reader]) -> _Reader:
    def read(value: Any) -> Any:
        misfits = []
        for kind in kinds:
            try:
                return kind(value)
            except _Misfit as misfit:
                misfits.append(misfit)
        raise max(misfits, key=lambda misfit: len(misfit.path))  # the kind that fitted furthest

    return read


def _record(shape: type, only_known: bool) -> _Reader:
    kinds = get_type_hints(shape, include_extras=True)
    parts = [
        (one.name, _reader(kinds[one.name], only_known), one.default is one.default_factory is dataclasses.MISSING)
        for one in dataclasses.fields(shape)
    ]
    names = {name for name, _, _ in parts}

    def read(value: Any) -> Any:
        _expect(isinstance(value, dict), value, "an object")
        if only_known:
            for name in value:
                if name not in names:
                    raise _Misfit("is unknown").within(f".{_name(name)}")
        given: dict[str, Any] = {}
        for name, kind, needed in parts:
            if name in value:
                try:
                    given[name] = kind(value[name])
                except _Misfit as misfit:
                    raise misfit.within(f".{name}") from None
            elif needed:
                raise _Misfit("is missing").within(f".{name}")
        return shape(**given)

    return read


def _limited(read_inner: _Reader, limits: tuple[Any, ...]) -> _Reader:
    checks = [limit for limit in limits if isinstance(limit, Limits)]

    def read(value: Any) -> Any:
        found = read_inner(value)
        for limit in checks:
            _check_limit(found, limit)
        return found

    return read


def _check_limit(value: Any, limit: Limits) -> None:
    if limit.least is not None and not value >= limit.least:
        raise _Misfit(f"is {_shown(value)}; expected {limit.least:g} or more")
    if limit.most is not None and not value <= limit.most:
        raise _Misfit(f"is {_shown(value)}; expected {limit.most:g} or less")
    if limit.longest is not None and len(value) > limit.longest:
        raise _Misfit(f"has a length of {len(value)}; {limit.longest} is the most")
    if limit.pattern is not None and not re.fullmatch(limit.pattern, value):
        raise _Misfit(f"is {_shown(value)}, which is no name that LMIAL gives there")


def _expect(fits: bool, value: Any, expected: str) -> None:
    if not fits:
        raise _Misfit(f"is {_shown(value)}; expected {expected}")


def _name(key: Any) -> str:
    return ascii(str(key)[:40])[1:-1]


def _shown(value: Any) -> str:
    """A value in a sentence: short, one line, and no larger than a person reads."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INT:
        return "a number of more than 19 digits"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
