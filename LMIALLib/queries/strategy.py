"""What a strategy is: a measure, an aggregation and a choice under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from LMIALLib.queries.aggregations import Aggregation
from LMIALLib.queries.choices import Choice
from LMIALLib.queries.measures import Measure
from LMIALLib.queries.noise import Noise

FORMULAS = 2
"""Version of the formulas behind the names, stored with every ranking; raised whenever what a name means changes.

2 (2026-11-28): see "Names whose formulas changed" in Docs/strategies.md. Rankings without this number are of version 1.
"""


Purpose = Literal["finish", "train"]
"""What a ranking is for: one patient after the other until each is finished, or slices of all patients from which the
network learns most."""


@dataclass(frozen=True)
class Strategy:
    """How the next slices are found.

    Args:
        name: as in `STRATEGIES`.
        measure: makes the map; also where the choice ignores scores, because the reader is shown a map all the same.
        aggregation: makes one number a slice.
        choice: makes the order.
        summary: one sentence for a person.
        source: where the formula comes from.
        formula: what makes the score or the choice, in symbols.
        several: what the several predictions of a slice are of, where a measure needs any: stochastic passes, members
            of a committee (the last models), or views (augmented inputs).
        noise: how the aggregated scores are perturbed.
        purpose: "finish": it ranks the maps of the per-patient head, case by case, and keeps no distance between
            queries; "train": it ranks the network's own maps over all cases.
    """

    name: str
    measure: Measure
    aggregation: Aggregation
    choice: Choice
    summary: str
    source: str
    formula: str = ""
    several: Literal["", "passes", "members", "views"] = ""
    noise: Noise | None = None
    purpose: Purpose = "train"

    @property
    def needs(self) -> frozenset[str]:
        """What the prediction must bring beyond the mean.

        One of "passes", "members" and "views" at most, and any of "features", "gradients", "expected-dice",
        "loss-prediction", "discriminator", "seconds".
        """
        measures = self.measure.needs.union(*(measure.needs for measure, _ in self.choice.also))
        if self.several:
            measures = measures - {"passes"} | {self.several}
        return measures | self.aggregation.needs | self.choice.needs

    def to_dict(self) -> dict[str, Any]:
        """The names of its parts, for JSON."""
        return {
            "name": self.name,
            "measure": self.measure.name,
            "aggregation": self.aggregation.name,
            "choice": self.choice.name,
            "several": self.several,
            "noise": self.noise.name if self.noise else "",
            "purpose": self.purpose,
        }
