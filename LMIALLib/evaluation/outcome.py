"""What one run of the loop found: filled by the demo, read by its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from LMIALLib.loop.patient import Estimate
from LMIALLib.queries.query import Query, Ranking


@dataclass(frozen=True)
class CurvePoint:
    """The delivered label after some answers.

    Args:
        answers: how many slices were read.
        dice: its true Dice, over the whole grid.
        expected: what was expected of it then, or None.
    """

    answers: int
    dice: float
    expected: Estimate | None


@dataclass
class Outcome:
    """What the demo found, for the report. ``dice_before`` and ``dice_after`` are on the slices that nobody read, of
    the bundled network alone and of what was learnt of the patient."""

    folder: Path
    study: Path
    origin: str
    registration: str
    n_slices: int
    answered: list[Query] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    dice_before: float | None = None
    dice_after: float | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    looked_at: int = 0
    adopted: bool | None = None
    reasons: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)
