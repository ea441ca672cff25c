"""What other installed packages bring through entry points: strategies, layouts, networks and more. Floor 0.

An entry point has the name of what it brings, and loads that, or a function without arguments that returns it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from LMIALLib.errors import WrongUse

T = TypeVar("T")


@dataclass(frozen=True)
class Group(Generic[T]):
    """The entry points of one group.

    Args:
        name: of the group, as a package names it in its ``pyproject.toml``.
        word: what one thing of it is called in a sentence.
        kind: its class; it has a ``name``.
    """

    name: str
    word: str
    kind: type[T]

    def by_name(self) -> dict[str, list[EntryPoint]]:
        """What is installed, by name, nothing loaded yet; two packages may bring one name."""
        found: dict[str, list[EntryPoint]] = {}
        for entry in sorted(entry_points(group=self.name), key=lambda entry: (entry.name, entry.value)):
            if entry.value not in [other.value for other in found.setdefault(entry.name, [])]:
                found[entry.name].append(entry)
        return found

    def load(self, entries: list[EntryPoint], *, taken: Collection[str]) -> T:
        """What is behind the entry points of one name.

        Args:
            entries: one or more of the same name.
            taken: names that are ours.

        Raises WrongUse naming it and its package where the name is ours, where two packages bring it, or where what is
        loaded fails or is none of that name.
        """
        entry = entries[0]
        what = f"The {self.word} {entry.name!r} of {_package(entry)}"
        repair = f"Repair or uninstall that package; every other {self.word} can be used."
        if entry.name in taken:
            raise WrongUse(f"{what} has the name of one of LMIAL's own.", "Rename it there or uninstall that package.")
        if len(entries) > 1:
            raise WrongUse(f"{what} is also brought by {_package(entries[1])}.", "Uninstall one of them.")
        try:
            loaded = entry.load()
            loaded = loaded() if callable(loaded) and not isinstance(loaded, self.kind) else loaded
        except Exception as error:
            raise WrongUse(f"{what} cannot be loaded: {type(error).__name__}: {error}.", repair) from error
        if not isinstance(loaded, self.kind):
            expected = f"expected a {self.kind.__name__} or a function that returns one"
            raise WrongUse(f"{what} is {type(loaded).__name__}; {expected}.", repair)
        if (named := getattr(loaded, "name", None)) != entry.name:
            raise WrongUse(f"{what} calls itself {named!r}; its entry point must have the same name.", repair)
        return loaded

    def all(self, *, taken: Collection[str]) -> dict[str, T]:
        """Everything of the group, loaded. Raises WrongUse for the first that cannot be used."""
        return {name: self.load(entries, taken=taken) for name, entries in self.by_name().items()}


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist is not None else entry.value
