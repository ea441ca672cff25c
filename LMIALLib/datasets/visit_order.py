"""Which visit came first: as the user gave it, else by dates, else by names; never guessed, always with its basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from LMIALLib.datasets.visit_dates import Dates, dates_of, order_of_dates
from LMIALLib.datasets.visit_names import NameOrder, order_of_names
from LMIALLib.pairs.visit_date import SHIFTED_UNTIL, When, stands_for_no_day


@dataclass(frozen=True)
class VisitOrder:
    """The visits of a subject in the order of time.

    Args:
        names: earliest first; None where it is unknown, and the user has to give it.
        sentence: what the order is based on and what contradicts it, or why it is unknown.
        days: when each visit took place, as "2019-03-01", where that is known and no shifted day.
    """

    names: tuple[str, ...] | None
    sentence: str
    days: Mapping[str, str]


def order_of_visits(folder: Path, scans: Mapping[str, Path], given: Sequence[str] = ()) -> VisitOrder:
    """The order of a subject's sessions.

    Args:
        folder: of the subject.
        scans: the scan that is taken of each session, by the session's name (ses-...).
        given: names of sessions, with or without "ses-", earliest first, as the user ordered them; used where it
            names all sessions of the subject.
    """
    names = tuple(scans)
    dates = dates_of(folder, scans)
    by_dates = [order_of_dates(one, names) for one in dates]
    by_names = order_of_names(names)
    wanted = tuple(name if name.startswith("ses-") else f"ses-{name}" for name in given)
    chosen, by = _chosen(names, wanted, dates, by_dates, by_names)
    doubts = [f"{why}, so it gives no order" for _, why in by_dates if why]
    if chosen is None:
        listed = _listed(names)
        hint = f"give --order {','.join(name.removeprefix('ses-') for name in names)}, the earliest first"
        return VisitOrder(None, f"{_joined([f'which of {listed} came first is unknown: {by}', *doubts])}; {hint}.", {})
    doubts += _contradictions(chosen, dates, by_dates, by_names)
    return VisitOrder(chosen, f"{_joined([f'{_listed(chosen)} are in this order by {by}', *doubts])}.", _days(dates))


def _chosen(
    names: tuple[str, ...],
    wanted: tuple[str, ...],
    dates: Sequence[Dates],
    by_dates: Sequence[tuple[tuple[str, ...] | None, str]],
    by_names: NameOrder | None,
) -> tuple[tuple[str, ...] | None, str]:
    if set(names) <= set(wanted):
        return tuple(name for name in wanted if name in names), "the option --order"
    for one, (order, _) in zip(dates, by_dates, strict=True):
        if order is not None:
            shifted = any(when.day.year <= SHIFTED_UNTIL for when in one.when.values())
            return order, f"the {'shifted ' if shifted else ''}dates in {one.source}"
    if by_names is None:
        return None, "neither dates nor names show it"
    against = next((one.source for one in dates if _disagrees(one, by_names.names)), None)
    if against is not None:
        return None, f"their names contradict the dates in {against}"
    return by_names.names, by_names.by


def _contradictions(
    chosen: tuple[str, ...],
    dates: Sequence[Dates],
    by_dates: Sequence[tuple[tuple[str, ...] | None, str]],
    by_names: NameOrder | None,
) -> list[str]:
    """What contradicts the chosen order."""
    contradictions = []
    for one, (order, _) in zip(dates, by_dates, strict=True):
        if (order is not None and order != chosen) or (order is None and _disagrees(one, chosen)):
            contradictions.append(f"the dates in {one.source} contradict it")
    known = [one for one in dates if one.when]
    for first, second in pairwise(known):
        apart = [name for name in chosen if _apart(first.when.get(name), second.when.get(name))]
        if apart:
            contradictions.append(f"{first.source} and {second.source} date {', '.join(apart)} differently")
    if by_names is not None and by_names.names != chosen:
        contradictions.append(f"{by_names.by} contradict it ({', '.join(by_names.names)})")
    return contradictions


def _apart(first: When | None, second: When | None) -> bool:
    """Whether two sources give different days, none of which was shifted on purpose."""
    if first is None or second is None or min(first.day.year, second.day.year) <= SHIFTED_UNTIL:
        return False
    return abs((first.day - second.day).days) > 1


def _disagrees(dates: Dates, order: Sequence[str]) -> bool:
    """Whether the visits that a source dates come in another order by it."""
    days = [dates.when[name].day for name in order if name in dates.when]
    comparable = len({day.year <= SHIFTED_UNTIL for day in days}) == 1
    return comparable and days != sorted(days)


def _days(dates: Sequence[Dates]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in dates:
        for name, when in one.when.items():
            if not stands_for_no_day(when.day):
                found.setdefault(name, str(when))
    return found


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(parts)
