"""Strategies by their names: ours, and those that installed packages bring.

To add one, compose it in `registry` (one that finishes a patient: `registry_finish`), and write ``Docs/strategies.md``
anew; or in a package of your own, and name it as an entry point of the group ``lmial.strategies``.
"""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType

from LMIALLib.errors import WrongUse
from LMIALLib.installed import Group
from LMIALLib.queries.registry import STRATEGIES
from LMIALLib.queries.strategy import Strategy

__all__ = [
    "DEFAULT_OF", "DEFAULT_STRATEGY", "DEFAULT_TO_TRAIN", "STRATEGIES", "Strategy", "known_strategies", "strategy"
]  # fmt: skip

DEFAULT_STRATEGY = "expected-gain"
"""The strategy where none is named: it finishes one patient after the other."""
DEFAULT_TO_TRAIN = "difference-entropy-normalised"
"""What is ranked by where the purpose is to train the network."""
DEFAULT_OF = MappingProxyType({"finish": DEFAULT_STRATEGY, "train": DEFAULT_TO_TRAIN})
"""The strategy of each purpose where none is named."""

INSTALLED = Group("lmial.strategies", "strategy", Strategy)
"""What installed packages bring."""

DEFAULT = "default"
"""The name that means `DEFAULT_STRATEGY`, whichever that is."""


def strategy(name: str) -> Strategy:
    """The strategy of that name, ours or an installed one; "default" is LMIAL's own choice.

    Raises WrongUse where there is none, listing the names, where an installed one cannot be used, and where an
    installed one has the name of ours, so that no name quietly changes its meaning.
    """
    installed = INSTALLED.by_name()
    wanted = DEFAULT_STRATEGY if name == DEFAULT else name
    if name in installed or wanted in installed:
        return INSTALLED.load(installed[name if name in installed else wanted], taken={DEFAULT, *STRATEGIES})
    if wanted in STRATEGIES:
        return STRATEGIES[wanted]
    names = [DEFAULT, *STRATEGIES, *installed]
    near = get_close_matches(name, names, n=3)
    closest = f"Did you mean {' or '.join(near)}? " if near else ""
    raise WrongUse(f"There is no strategy {name!r}.", f"{closest}Use one of {', '.join(names)}.")


def known_strategies() -> tuple[dict[str, Strategy], list[str]]:
    """Every strategy that can be used, by its name, and one sentence for each installed one that cannot."""
    known, problems = dict(STRATEGIES), []
    for name, entries in INSTALLED.by_name().items():
        try:
            known[name] = INSTALLED.load(entries, taken={DEFAULT, *STRATEGIES})
        except WrongUse as error:
            problems.append(str(error))
    return known, problems
