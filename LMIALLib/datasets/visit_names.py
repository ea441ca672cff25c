"""The order of visits as their names say it: known words, durations, dates, numbers, letters; never the alphabet alone.

>>> order_of_names(["post", "pre"])
NameOrder(names=('pre', 'post'), by='the words in their names')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

_BEFORE, _BETWEEN, _COUNTED, _AFTER, _LAST = range(5)
_WORDS = {
    _BEFORE: "baseline base bl before pre prior previous earlier initial screening screen scr intake entry inclusion"
    " admission test scan old preop pretx pretreatment presurgery",
    _BETWEEN: "mid midpoint during intra intraop interim intermediate",
    _AFTER: "followup follow fu fup post after later current retest rescan repeat postop posttx posttreatment"
    " postsurgery",
    _LAST: "last final end exit discharge",
}
_STAGE = {word: stage for stage, words in _WORDS.items() for word in words.split()}
_DAYS = {
    1 / 24: "h hr hrs hour hours",
    1.0: "d day days",
    7.0: "w wk wks week weeks",
    30.4375: "m mo mos mon mth mths month months",
    365.25: "y yr yrs year years",
}
_UNIT = {word: days for days, words in _DAYS.items() for word in words.split()}
_UNITS = "|".join(sorted(_UNIT, key=len, reverse=True))
_AGO = "fu|fup|followup|follow|post|after|at|t|v|visit|tp"
"""What may stand before a duration: fu12m, post6mo."""
_COUNTERS = "tp|t|time|timepoint|v|visit|s|ses|session|scan|mr|mri|exam|study|wave|round"
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "one": 1, "two": 2, "three": 3}
_ORDINALS |= {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}
_DATES = {8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"), 6: ("%y%m%d", "%d%m%y", "%m%d%y"), 14: ("%Y%m%d%H%M%S",)}
_DATES |= {12: ("%Y%m%d%H%M",)}


@dataclass(frozen=True)
class NameOrder:
    """Names in the order of time, and what in them shows it."""

    names: tuple[str, ...]
    by: str


def order_of_names(names: Sequence[str]) -> NameOrder | None:
    """The names, earliest first; None where they show no order, or two.

    Capitals, a leading "ses-", and marks between words do not matter.
    """
    plain = dict(zip(names, _without_shared_parts(names), strict=True))
    if len(names) < 2 or len(set(plain.values())) < len(names) or not all(plain.values()):
        return NameOrder(tuple(names), "there being one only") if len(names) == 1 else None
    ways: tuple[tuple[str, Callable[[list[str]], list[tuple[float, ...]] | None]], ...] = (
        ("the dates", _dates),
        ("the words", _words),
        ("the words", _words_without_ending),
        ("the numbers", _numbers),
        ("the letters", _letters),
    )
    for what, keys_of in ways:
        keys = keys_of([plain[name] for name in names])
        if keys is None:
            continue
        if len(set(keys)) < len(keys):  # two names for one time: a later way would only guess
            return None
        ordered = sorted(zip(keys, names, strict=True), key=lambda pair: pair[0])
        return NameOrder(tuple(name for _, name in ordered), f"{what} in their names")
    return None


def _without_shared_parts(names: Sequence[str]) -> list[str]:
    """Small letters and digits of the names, without the parts between marks that all have in common."""
    parts = [re.split(r"[^a-z0-9]+", re.sub(r"^ses-", "", name.casefold())) for name in names]
    if len({len(one) for one in parts}) == 1:
        differing = [n for n, same in enumerate(zip(*parts, strict=True)) if len(set(same)) > 1]
        parts = [[one[n] for n in differing] for one in parts] if differing else parts
    return ["".join(one) for one in parts]


def _dates(names: list[str]) -> list[tuple[float, ...]] | None:
    """Days, where all names are dates and every way to read them gives one order."""
    found: list[list[tuple[float, ...]]] = []
    for form in _DATES.get(len(names[0]), ()):
        try:
            days = [datetime.strptime(name, form) for name in names]
        except ValueError:
            continue
        if all(len(name) == len(names[0]) for name in names) and all(1900 <= day.year < 2100 for day in days):
            found.append([((day - datetime(1900, 1, 1)).total_seconds(),) for day in days])
    if not found:
        return None
    orders = {tuple(sorted(range(len(names)), key=keys.__getitem__)) for keys in found}
    return found[0] if len(orders) == 1 else [(0.0,)] * len(names)


def _words(names: list[str]) -> list[tuple[float, ...]] | None:
    """Stage and place in it, where every name is a known word, a duration or a counter, and they can be compared."""
    found = [_word(name) for name in names]
    places = [one for one in found if one is not None]
    if len(places) < len(found) or all(stage == _COUNTED and scale != "ordinal" for stage, scale, _ in places):
        return None
    scales: dict[int, set[str]] = {}
    for stage, scale, _ in places:
        scales.setdefault(stage, set()).add(scale)
    counted_among_others = _COUNTED in scales and bool({_BETWEEN, _AFTER} & scales.keys())
    if counted_among_others or any(len(of_stage) > 1 for of_stage in scales.values()):
        return None
    if _COUNTED in scales and _BEFORE in scales and min(value for stage, _, value in places if stage == _COUNTED) < 1:
        return None  # "baseline" and "v0": which of them is the first?
    return [(float(stage), value) for stage, _, value in places]


def _word(name: str) -> tuple[int, str, float] | None:
    """Stage, scale ("count", "days" or the counter's word) and value."""
    if name in _ORDINALS:
        return _COUNTED, "ordinal", float(_ORDINALS[name])
    found = re.fullmatch(rf"(?:{_AGO})?(?:(\d{{1,4}})({_UNITS})|({_UNITS})(\d{{1,4}}))(?:fu|followup|post)?", name)
    if found:
        days = float(found[1] or found[4]) * _UNIT[found[2] or found[3]]
        return (_AFTER if days > 0 else _BEFORE), "days", days
    found = re.fullmatch(r"([a-z]+?)(\d{1,4})?", name)
    if found and found[1] in _STAGE:
        return _STAGE[found[1]], "count", float(found[2] or 1)
    found = re.fullmatch(rf"({_COUNTERS})?(\d{{1,4}})", name)
    return (_COUNTED, found[1] or "", float(found[2])) if found else None


def _words_without_ending(names: list[str]) -> list[tuple[float, ...]] | None:
    """The same without an ending that all share: prechemo and postchemo, baselinemri and followupmri."""
    letters = takewhile(lambda found: len(set(found)) == 1, zip(*(name[::-1] for name in names), strict=False))
    ending = "".join(found[0] for found in letters)[::-1].lstrip("0123456789")
    return _words([name.removesuffix(ending) for name in names]) if len(ending) > 1 else None


def _numbers(names: list[str]) -> list[tuple[float, ...]] | None:
    """The one number by which names of one pattern differ."""
    if all(name in _ROMAN for name in names) and any(len(name) > 1 for name in names):
        return [(float(_ROMAN[name]),) for name in names]
    patterns = {re.sub(r"\d+", "#", name) for name in names}
    columns = list(zip(*([int(part) for part in re.findall(r"\d+", name)] for name in names), strict=False))
    differing = [column for column in columns if len(set(column)) > 1]
    if len(patterns) != 1 or len(differing) != 1:
        return None
    return [(float(value),) for value in differing[0]]


def _letters(names: list[str]) -> list[tuple[float, ...]] | None:
    """Single letters, also behind a word that counts: a and b, visitA and visitB."""
    found = [re.fullmatch(rf"({_COUNTERS})?([a-z])", name) for name in names]
    if len({one[1] for one in found if one}) != 1 or not all(found):
        return None
    return [(float(ord(one[2])),) for one in found if one]
