"""Strategies that other installed packages bring, through entry points of the group ``lmial.strategies``.

The entry point has the strategy's name and loads a `Strategy`, or a function without arguments that returns one.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from LMIALLib.errors import WrongUse
from LMIALLib.queries.strategy import Strategy

GROUP = "lmial.strategies"


def entry_points_by_name() -> dict[str, list[EntryPoint]]:
    """What is installed, by name, nothing loaded yet; two packages may bring one name."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        if entry.value not in [other.value for other in found.setdefault(entry.name, [])]:
            found[entry.name].append(entry)
    return found


def load(entries: list[EntryPoint], *, taken: Collection[str]) -> Strategy:
    """The strategy behind the entry points of one name.

    Args:
        entries: one or more of the same name.
        taken: names that are ours.

    Raises WrongUse naming the strategy and its package where the name is ours, where two packages bring it, or where
    what it loads fails or is no `Strategy` of that name.
    """
    entry = entries[0]
    what = f"The strategy {entry.name!r} of {_package(entry)}"
    if entry.name in taken:
        raise WrongUse(f"{what} has the name of one of LMIAL's own.", "Rename it there or uninstall that package.")
    if len(entries) > 1:
        raise WrongUse(f"{what} is also brought by {_package(entries[1])}.", "Uninstall one of them.")
    try:
        loaded = entry.load()
        loaded = loaded() if callable(loaded) else loaded
    except Exception as error:
        raise WrongUse(f"{what} cannot be loaded: {type(error).__name__}: {error}.", _REPAIR) from error
    if not isinstance(loaded, Strategy):
        raise WrongUse(
            f"{what} is {type(loaded).__name__}; expected a Strategy or a function that returns one.", _REPAIR
        )
    if loaded.name != entry.name:
        raise WrongUse(f"{what} calls itself {loaded.name!r}; its entry point must have the same name.", _REPAIR)
    return loaded


_REPAIR = "Repair or uninstall that package; all other strategies can be used."


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist is not None else entry.value
