"""What the worker answers at once, beside the request that runs: frozen dataclasses, checked when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from LMIALLib.json_data import Natural

ORDERS: dict[str, type[Order]] = {}
"""By the name that each is sent under."""


class Order:
    """Something that the worker answers at once, beside the request that runs."""

    do: ClassVar[str]

    def __init_subclass__(cls, *, do: str) -> None:
        cls.do = do
        ORDERS[do] = cls


@dataclass(frozen=True)
class Cancel(Order, do="cancel"):
    """Give up the request of this id, whether it runs or waits."""

    job: Natural


@dataclass(frozen=True)
class Status(Order, do="status"):
    """Report what runs; answered by `events.Stand`."""


@dataclass(frozen=True)
class Stop(Order, do="stop"):
    """End: the other side is about to close."""
