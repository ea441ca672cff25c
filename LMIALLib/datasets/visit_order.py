"""Which visit came first: said by the user, else by dates, else by names; never guessed, and always told by what."""

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
        names: earliest first; None where nobody can know, and has to be asked.
        told: one sentence: by what the order was told and what contradicts it, or why it is unknown.
        days: when each visit took place, as "2019-03-01", where that is known and no shifted day.
    """

    names: tuple[str, ...] | None
    told: str
    days: Mapping[str, str]


def order_of_visits(folder: Path, scans: Mapping[str, Path], said: Sequence[str] = ()) -> VisitOrder:
    """The order of a subject's sessions.

    Args:
        folder: of the subject.
        scans: the scan that is taken of each session, by the session's name (ses-...).
        said: names of sessions, with or without "ses-", earliest first, as the user ordered them; it counts where it
            names all sessions of the subject.
    """
    names = tuple(scans)
    dates = dates_of(folder, scans)
    by_dates = [order_of_dates(one, names) for one in dates]
    by_names = order_of_names(names)
    wanted = tuple(name if name.startswith("ses-") else f"ses-{name}" for name in said)
    chosen, by = _chosen(names, wanted, dates, by_dates, by_names)
    doubts = [f"{why}, which orders nothing" for _, why in by_dates if why]
    if chosen is None:
        listed = _listed(names)
        hint = f"say --order {','.join(name.removeprefix('ses-') for name in names)}, the earliest first"
        return VisitOrder(None, f"{_joined([f'which of {listed} came first is told by {by}', *doubts])}; {hint}.", {})
    doubts += _contradictions(chosen, dates, by_dates, by_names)
    return VisitOrder(chosen, f"{_joined([f'{_listed(chosen)} come in this order by {by}', *doubts])}.", _days(dates))


def _chosen(
    names: tuple[str, ...],
    wanted: tuple[str, ...],
    dates: Sequence[Dates],
    by_dates: Sequence[tuple[tuple[str, ...] | None, str]],
    by_names: NameOrder | None,
) -> tuple[tuple[str, ...] | None, str]:
    if set(names) <= set(wanted):
        return tuple(name for name in wanted if name in names), "what --order says"
    for one, (order, _) in zip(dates, by_dates, strict=True):
        if order is not None:
            shifted = any(when.day.year <= SHIFTED_UNTIL for when in one.when.values())
            return order, f"the {'shifted ' if shifted else ''}dates in {one.source}"
    if by_names is None:
        return None, "neither dates nor names"
    against = next((one.source for one in dates if _disagrees(one, by_names.names)), None)
    if against is not None:
        return None, f"their names otherwise than by what dates there are in {against}"
    return by_names.names, by_names.by


def _contradictions(
    chosen: tuple[str, ...],
    dates: Sequence[Dates],
    by_dates: Sequence[tuple[tuple[str, ...] | None, str]],
    by_names: NameOrder | None,
) -> list[str]:
    """What says otherwise than the order that is taken."""
    told = []
    for one, (order, _) in zip(dates, by_dates, strict=True):
        if (order is not None and order != chosen) or (order is None and _disagrees(one, chosen)):
            told.append(f"the dates in {one.source} say otherwise")
    known = [one for one in dates if one.when]
    for first, second in pairwise(known):
        apart = [name for name in chosen if _apart(first.when.get(name), second.when.get(name))]
        if apart:
            told.append(f"{first.source} and {second.source} date {', '.join(apart)} differently")
    if by_names is not None and by_names.names != chosen:
        told.append(f"{by_names.by} say otherwise ({', '.join(by_names.names)})")
    return told


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
