"""How a session chooses slices and learns."""

from __future__ import annotations

from dataclasses import dataclass

from LMIALLib.queries.strategies import DEFAULT_STRATEGY

BY_DIFFERENCE = "foreground-random-difference"
"""The strategy that looks at the difference of the scans alone, and at no network."""


@dataclass(frozen=True)
class LoopSettings:
    """How a session chooses slices and learns; written into every ranking and model that it shaped.

    Args:
        strategy: registered name of the query strategy.
        seed: of rankings and training.
        random_share: share of queries drawn at random, shown without suggestion, that feed curve and stop advice.
        spacing_mm: least distance between two queries of one batch in one case.
        batch: queries that are chosen together.
        train: whether saving starts training in the background.
        device: "auto" or a torch device.
        order: names of the cases whose patients are finished first, in this order; all others follow as they came.

    Example:
        >>> LoopSettings(strategy="entropy", seed=7).batch
        6
    """

    strategy: str = DEFAULT_STRATEGY
    seed: int = 0
    random_share: float = 1 / 6
    spacing_mm: float = 12.0
    batch: int = 6
    train: bool = True
    device: str = "auto"
    order: tuple[str, ...] = ()
