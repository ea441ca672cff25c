"""What one run of the loop found: filled by the demo, read by its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from LMIALLib.queries.query import Query, Ranking


@dataclass
class Outcome:
    """What the demo found, for the report. Dice values are on the slices nobody annotated, of both models alike."""

    folder: Path
    study: Path
    origin: str
    registration: str
    n_slices: int
    answered: list[Query] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    dice_before: float | None = None
    dice_after: float | None = None
    all_before: float | None = None
    all_after: float | None = None
    adopted: bool | None = None
    reasons: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)
