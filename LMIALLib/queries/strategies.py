"""Strategies: a measure, an aggregation and a choice under one name."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from LMIALLib.errors import WrongUse
from LMIALLib.queries import aggregations, choices
from LMIALLib.queries.aggregations import Aggregation
from LMIALLib.queries.choices import Choice
from LMIALLib.queries.measures import MEASURES, Measure


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
    """

    name: str
    measure: Measure
    aggregation: Aggregation
    choice: Choice
    summary: str
    source: str

    @property
    def needs(self) -> frozenset[str]:
        """What the prediction must bring beyond the mean: "passes", "features"."""
        return self.measure.needs | self.choice.needs

    def to_dict(self) -> dict[str, Any]:
        """The names of its parts, for JSON."""
        return {
            "name": self.name,
            "measure": self.measure.name,
            "aggregation": self.aggregation.name,
            "choice": self.choice.name,
        }


_SETTLES = "Settles, Active Learning Literature Survey, 2009"
_LMI_AL = "LMI-AL, arXiv 2511.18007"

STRATEGIES = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Strategy(
                "random",
                MEASURES["entropy"],
                aggregations.mean_in_brain,
                choices.random,
                "Slices drawn by lot, each with the same chance.",
                "uniform draw without replacement",
            ),
            Strategy(
                "least-confidence",
                MEASURES["least-confidence"],
                aggregations.total,
                choices.highest_first,
                "Slices with the most pixels of which the network is least confident.",
                _SETTLES,
            ),
            Strategy(
                "margin",
                MEASURES["margin"],
                aggregations.total,
                choices.highest_first,
                "Slices with the most pixels that lie between change and no change.",
                _SETTLES,
            ),
            Strategy(
                "entropy",
                MEASURES["entropy"],
                aggregations.total,
                choices.highest_first,
                "Slices whose pixels are most uncertain altogether.",
                _SETTLES,
            ),
            Strategy(
                "difference-entropy",
                MEASURES["entropy"],
                aggregations.weighted_total,
                choices.highest_first,
                "Slices that are uncertain where the two scans differ, added up.",
                _LMI_AL,
            ),
            Strategy(
                "difference-entropy-normalised",
                MEASURES["entropy"],
                aggregations.weighted_mean,
                choices.highest_first,
                "Slices that are uncertain where the two scans differ, whatever the amount of difference.",
                _LMI_AL + ", normalised by the sum of weights",
            ),
            Strategy(
                "bald",
                MEASURES["mutual-information"],
                aggregations.total,
                choices.highest_first,
                "Slices on which stochastic passes of the network disagree most.",
                "Houlsby et al., arXiv 1112.5745; Gal et al., arXiv 1703.02910",
            ),
            Strategy(
                "core-set",
                MEASURES["entropy"],
                aggregations.mean_in_brain,
                choices.k_center,
                "Slices least like anything labelled or already in the queue.",
                "Sener and Savarese, arXiv 1708.00489",
            ),
        )
    }
)
"""Every strategy by its name; cannot be changed, so that no name quietly changes its meaning."""

DEFAULT_STRATEGY = "difference-entropy"


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises WrongUse listing the names where there is none."""
    if name not in STRATEGIES:
        raise WrongUse(f"There is no strategy {name!r}.", f"Use one of {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]
