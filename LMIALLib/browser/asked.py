"""What may come from a page, value by value: each function returns the value in the type that is used, or refuses it.

Nothing here allocates by what it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from LMIALLib.errors import BadInput

Check = Callable[[Any], Any]
"""Takes what came, returns what is used; raises Senseless."""

MOST_POINTS = 500
"""Places of a stroke that are taken from one message."""
FARTHEST = 100.0
"""How far outside a view, in its own widths, a pointer can be."""
LONGEST_WORD = 200
"""Characters of any text."""
LONGEST_SIDE = 8192
"""Pixels of a view's side; an 8K screen has 7680."""


class Senseless(BadInput):
    """A page sent what no page of ours sends."""

    def __init__(self) -> None:
        super().__init__("The page asked for something that makes no sense, so nothing was done.", "Reload the page.")


def number(low: float, high: float, *, clamp: bool = False) -> Check:
    """A finite number from ``low`` to ``high``; with ``clamp`` one outside is brought to the nearer end."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Senseless
        if not math.isfinite(value) or not (clamp or low <= value <= high):
            raise Senseless
        return float(min(max(value, low), high))

    return check


def whole(low: int, high: int) -> Check:
    """A whole number from ``low`` to ``high``."""

    def check(value: Any) -> int:
        given = number(low, high)(value)
        if given != int(given):
            raise Senseless
        return int(given)

    return check


def one_of(*words: str) -> Check:
    """One of some words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Senseless
        return value

    return check


def word(value: Any) -> str:
    """A text of any kind, not too long."""
    if not isinstance(value, str) or len(value) > LONGEST_WORD:
        raise Senseless
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Senseless
    return value


def or_none(check: Check) -> Check:
    """What ``check`` takes, or nothing."""
    return lambda value: None if value is None else check(value)


fraction = number(-FARTHEST, FARTHEST)
"""A place of a view, as a fraction of its width or height."""


def points(values: Any) -> list[tuple[float, float]]:
    """Places of a view as pairs of fractions; what is beyond ``MOST_POINTS`` is left out."""
    if not isinstance(values, list):
        raise Senseless
    taken = values[:MOST_POINTS]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in taken):
        raise Senseless
    return [(fraction(x), fraction(y)) for x, y in taken]


def size(value: Any) -> dict[str, float]:
    """The size of a pane: ``w`` and ``h`` in the page's pixels, ``p`` of the screen's to each."""
    if not isinstance(value, dict):
        raise Senseless
    side = number(0, LONGEST_SIDE)  # a screen that is finer still is drawn coarser
    width, height, ratio = side(value.get("w")), side(value.get("h")), number(0.1, 16)(value.get("p", 1))
    return {"w": width, "h": height, "p": min(ratio, LONGEST_SIDE / max(width, height, 1.0))}


def taken(values: list[Any] | tuple[Any, ...], checks: tuple[Check, ...], needed: int | None = None) -> list[Any]:
    """Values that came, each through its check; ``needed`` of them must be there (default: all)."""
    if not (len(checks) if needed is None else needed) <= len(values) <= len(checks):
        raise Senseless
    return [check(value) for check, value in zip(checks, values, strict=False)]
