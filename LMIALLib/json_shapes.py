"""The check of a value that was read from JSON against a type: one reader a shape."""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from LMIALLib.files import sent

LARGEST_INT = 2**63 - 1
"""What fits into SQLite's and numpy's integers."""


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


class Misfit(Exception):
    """A value that does not have its shape; ``path`` leads to it, the innermost step first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def within(self, step: str) -> Misfit:
        """The same, seen from one step further out."""
        self.path.append(step)
        return self

    @property
    def field(self) -> str:
        """The path as people read it: ``grid.size[2]``."""
        return "".join(reversed(self.path)).lstrip(".")


_Reader = Callable[[Any], Any]
"""Takes a value that came from JSON, returns it in its shape, or raises Misfit."""


def within(read: _Reader, value: Any, step: str) -> Any:
    try:
        return read(value)
    except Misfit as misfit:
        raise misfit.within(step) from None


@cache
def reader_of(shape: Any, only_known: bool) -> _Reader:
    """The function that reads a shape; made once for each."""
    if shape in _SCALARS:
        return _SCALARS[shape]
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return _any_float if shape is AnyFloat else _limited(reader_of(arguments[0], only_known), arguments[1:])
    if origin in (Union, types.UnionType):
        return _one_of([reader_of(kind, only_known) for kind in arguments])
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        return _fixed([reader_of(kind, only_known) for kind in arguments])
    if origin in (list, frozenset, set, tuple):
        return _sequence(origin, reader_of(arguments[0], only_known))
    if origin is dict:
        return _mapping(reader_of(arguments[0], only_known), reader_of(arguments[1], only_known))
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


def checked_whole(value: Any) -> int:
    if type(value) is not int or not -LARGEST_INT <= value <= LARGEST_INT:
        _expect(False, value, "a whole number of at most 19 digits")
    return cast(int, value)


def _number(value: Any) -> float:
    if (type(value) is not float and type(value) is not int) or not -1e300 < value < 1e300:
        _expect(False, value, "a finite number")
    return float(value)


def _any_float(value: Any) -> float:
    return value if type(value) is float else _number(value)


def checked_text(value: Any) -> str:
    if type(value) is not str:
        _expect(False, value, "a text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Misfit("holds half a character")
    return cast(str, value)


_SCALARS: dict[Any, _Reader] = {
    Any: _as_it_is,
    None: _nothing,
    types.NoneType: _nothing,
    bool: _truth,
    int: checked_whole,
    float: _number,
    str: checked_text,
    Path: lambda value: sent(checked_text(value)),
}


def _literal(known: tuple[Any, ...]) -> _Reader:
    def read(value: Any) -> Any:
        if not any(type(value) is type(one) and value == one for one in known):
            raise Misfit(f"is {_shown(value)}; expected one of {', '.join(map(repr, known))}")
        return value

    return read


def _fixed(kinds: list[_Reader]) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, (list, tuple)), value, "a list")
        if len(value) != len(kinds):
            raise Misfit(f"has {len(value)} entries; expected {len(kinds)}")
        return tuple(within(kind, one, f"[{n}]") for n, (one, kind) in enumerate(zip(value, kinds, strict=True)))

    return read


def _sequence(origin: type, kind: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, (list, tuple)), value, "a list")
        try:
            return origin([kind(one) for one in value])
        except Misfit:  # once more, to find out where
            return origin([within(kind, one, f"[{index}]") for index, one in enumerate(value)])

    return read


def _mapping(names: _Reader, kind: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        _expect(isinstance(value, dict), value, "an object")
        return {within(names, key, " (a name)"): within(kind, one, f".{shown_name(key)}") for key, one in value.items()}

    return read


def _one_of(kinds: list[_Reader]) -> _Reader:
    def read(value: Any) -> Any:
        misfits = []
        for kind in kinds:
            try:
                return kind(value)
            except Misfit as misfit:
                misfits.append(misfit)
        raise max(misfits, key=lambda misfit: len(misfit.path))  # the kind that fitted furthest

    return read


def _record(shape: type, only_known: bool) -> _Reader:
    kinds = get_type_hints(shape, include_extras=True)
    parts = [
        (one.name, reader_of(kinds[one.name], only_known), one.default is one.default_factory is dataclasses.MISSING)
        for one in dataclasses.fields(shape)
    ]
    names = {name for name, _, _ in parts}

    def read(value: Any) -> Any:
        _expect(isinstance(value, dict), value, "an object")
        if only_known:
            for name in value:
                if name not in names:
                    raise Misfit("is unknown").within(f".{shown_name(name)}")
        given: dict[str, Any] = {}
        for name, kind, needed in parts:
            if name in value:
                try:
                    given[name] = kind(value[name])
                except Misfit as misfit:
                    raise misfit.within(f".{name}") from None
            elif needed:
                raise Misfit("is missing").within(f".{name}")
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
        raise Misfit(f"is {_shown(value)}; expected {limit.least:g} or more")
    if limit.most is not None and not value <= limit.most:
        raise Misfit(f"is {_shown(value)}; expected {limit.most:g} or less")
    if limit.longest is not None and len(value) > limit.longest:
        raise Misfit(f"has a length of {len(value)}; {limit.longest} is the most")
    if limit.pattern is not None and not re.fullmatch(limit.pattern, value):
        raise Misfit(f"is {_shown(value)}, which is no name that LMIAL gives there")


def _expect(fits: bool, value: Any, expected: str) -> None:
    if not fits:
        raise Misfit(f"is {_shown(value)}; expected {expected}")


def shown_name(key: Any) -> str:
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
