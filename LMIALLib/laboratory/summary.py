"""What a simulation shows of its strategies: areas, ranks, the gap closed, labels needed, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.laboratory.comparisons import comparisons_of, dice_by_round
from LMIALLib.laboratory.curves import (
    LEAST_GAP,
    Efficiency,
    area_under_budget,
    first_reaching,
    value_at,
)
from LMIALLib.laboratory.foreground import first_common_round, foreground_of
from LMIALLib.laboratory.read_tables import Run, complete_runs, read_config, read_rounds
from LMIALLib.laboratory.settings import FULL, PLANNED
from LMIALLib.laboratory.statistics import (
    SEEDS_FOR_P,
    Comparison,
    Interval,
    interval,
    mean_ranks,
    penalty_matrix,
)

WORTH_SAYING = 0.05
"""Share of a brain without truth from which on a note says so."""
OF_DICE = (90, 95, 100)
"""Per cent of the fully annotated Dice for which the labels needed are reported."""
OF_GAP = (95, 100)
"""The same, in per cent of the gap between no labels and full annotation."""


@dataclass(frozen=True)
class Curve:
    """One column of the table by round: means over seeds with 95 % intervals.

    Args:
        fraction: (rounds,) mean over seeds, labelled slices of those that may be queried.
        values: one interval a round.
    """

    fraction: np.ndarray
    values: tuple[Interval, ...]

    @property
    def mean(self) -> np.ndarray:
        """(rounds,) float."""
        return np.array([value.mean for value in self.values])

    @property
    def low(self) -> np.ndarray:
        """(rounds,) lower bounds, NaN with one seed."""
        return np.array([value.low for value in self.values])

    @property
    def high(self) -> np.ndarray:
        """(rounds,) upper bounds, NaN with one seed."""
        return np.array([value.high for value in self.values])

    def at(self, fraction: float) -> Interval:
        """Straight lines between rounds, of mean and bounds; NaN beyond the last round."""
        seeds = min((value.seeds for value in self.values), default=0)
        mean, low, high = (value_at(self.fraction, part, fraction) for part in (self.mean, self.low, self.high))
        return Interval(mean, low, high, seeds)


@dataclass(frozen=True)
class StrategySummary:
    """One strategy over its seeds.

    Args:
        strategy: its name.
        runs: its complete runs.
        area: under the budget curve of ``dice_fixed``, a mean Dice.
        rank: mean rank by area over the seeds that all strategies have; 1 is best.
        dice: curve of ``dice_fixed``.
        gap_closed: curve of the share of the gap between no labels and full annotation that is closed; 1 is all.
        dice_needed: per cent of the fully annotated Dice to the fraction of labels at which the mean curve reaches it;
            None where it does not.
        gap_needed: the same for per cent of the gap.
        foreground: foreground efficiency.
    """

    strategy: str
    runs: tuple[Run, ...]
    area: Interval
    rank: float
    dice: Curve
    gap_closed: Curve
    dice_needed: Mapping[int, float | None]
    gap_needed: Mapping[int, float | None]
    foreground: Efficiency

    def curve(self, column: str) -> Curve:
        """Any column of the table by round."""
        return mean_curve(self.runs, column)


@dataclass(frozen=True)
class Summary:
    """A simulation's outcome.

    Args:
        strategies: the highest area first; the fully annotated reference is not among them.
        full_runs: of the fully annotated reference.
        full, start: Dice of that reference and without labels, over seeds.
        comparisons: areas of each pair of strategies, the planned one first.
        penalty: (strategies, strategies) of `statistics.penalty_matrix`, in their order.
        notes: what the reader of the figures must know, sentences.
        config: of the simulation.
    """

    strategies: tuple[StrategySummary, ...]
    full_runs: tuple[Run, ...]
    full: Interval
    start: Interval
    comparisons: tuple[Comparison, ...]
    penalty: np.ndarray
    notes: tuple[str, ...]
    config: Mapping[str, Any]

    @property
    def gap(self) -> float:
        """Dice of full annotation minus Dice without labels; NaN without a reference."""
        return self.full.mean - self.start.mean

    @property
    def informative(self) -> bool:
        """Whether full annotation is worth 0.05 Dice or more; without a reference that is not known, and False."""
        return bool(self.gap >= LEAST_GAP)

    @property
    def seeds(self) -> int:
        """The fewest complete runs that any strategy has."""
        return min((len(found.runs) for found in self.strategies), default=0)

    @property
    def planned(self) -> Comparison | None:
        """The comparison named beforehand, where both its strategies were run."""
        return next((found for found in self.comparisons if found.planned), None)

    def strategy(self, name: str) -> StrategySummary | None:
        """One strategy; None where it has no complete run."""
        return next((found for found in self.strategies if found.strategy == name), None)

    def against(self, first: str, second: str) -> Comparison | None:
        """``first`` compared with ``second``, whichever way round it is kept; None where one of them was not run."""
        for found in self.comparisons:
            if (found.first, found.second) == (first, second):
                return found
            if (found.first, found.second) == (second, first):
                effect = found.effect
                turned = Interval(-effect.mean, -effect.high, -effect.low, effect.seeds)
                return replace(found, first=first, second=second, effect=turned)
        return None


def summarise(folder: Path) -> Summary:
    """Read rounds.csv and config.json of a simulation, finished or interrupted.

    Compared are the rounds up to the last one that at least half of the runs reached; a run that lacks one of them, or
    whose ``dice_fixed`` is undefined in one, is left out and named in ``notes``. Intervals are Student's t over seeds.

    Raises BadInput where the table is missing, holds no finished round or cannot be read.
    """
    config = read_config(folder)
    runs = read_rounds(folder)
    full_runs = tuple(run for run in runs if run.strategy == FULL)
    full = interval([run.column("dice_fixed")[-1] for run in full_runs])
    complete, notes = complete_runs([run for run in runs if run.strategy != FULL])
    start = _start(complete)
    begin = first_common_round(config)
    before = _start(complete, begin).mean if begin is not None else float("nan")
    by_strategy: dict[str, list[Run]] = {}
    for run in complete:
        by_strategy.setdefault(run.strategy, []).append(run)
    areas = {
        name: {run.seed: area_under_budget(run.column("fraction"), run.column("dice_fixed")) for run in of_strategy}
        for name, of_strategy in by_strategy.items()
    }
    ranks = mean_ranks(areas)
    made = [
        _strategy_summary(name, of_strategy, areas[name], ranks[name], full.mean, start.mean, (begin, before))
        for name, of_strategy in by_strategy.items()
    ]
    made.sort(key=lambda found: -found.area.mean if np.isfinite(found.area.mean) else 0.0)
    names = [found.strategy for found in made]
    named = config.get("planned") or PLANNED
    summary = Summary(
        strategies=tuple(made),
        full_runs=full_runs,
        full=full,
        start=start,
        comparisons=comparisons_of(names, areas, (str(named[0]), str(named[1]))),
        penalty=penalty_matrix(dice_by_round(complete), names),
        notes=(),
        config=config,
    )
    return replace(summary, notes=(*notes, *_cautions(summary)))


def mean_curve(runs: Sequence[Run], column: str) -> Curve:
    """A column of runs that have the same rounds, by round."""
    if not runs:
        return Curve(np.empty(0), ())
    fraction = np.mean([run.column("fraction") for run in runs], axis=0)
    table = np.array([run.column(column) for run in runs])
    return Curve(fraction, tuple(interval(values) for values in table.T))


def _strategy_summary(
    name: str,
    runs: Sequence[Run],
    areas: Mapping[int, float],
    rank: float,
    full: float,
    start: float,
    common: tuple[int | None, float],
) -> StrategySummary:
    dice = mean_curve(runs, "dice_fixed")
    gap = full - start if full - start >= LEAST_GAP else float("nan")
    shares = tuple(
        Interval((v.mean - start) / gap, (v.low - start) / gap, (v.high - start) / gap, v.seeds) for v in dice.values
    )
    gap_closed = Curve(dice.fraction, shares)
    return StrategySummary(
        strategy=name,
        runs=tuple(runs),
        area=interval(list(areas.values())),
        rank=rank,
        dice=dice,
        gap_closed=gap_closed,
        dice_needed={share: first_reaching(dice.fraction, dice.mean, full * share / 100) for share in OF_DICE},
        gap_needed={share: first_reaching(dice.fraction, gap_closed.mean, share / 100) for share in OF_GAP},
        foreground=foreground_of(runs, *common, full),
    )


def _start(runs: Sequence[Run], number: int = 0) -> Interval:
    """Dice in a round, by default that without labels: each seed's mean over strategies, then over seeds."""
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, []).append(run.at(number, "dice_fixed"))
    return interval([float(np.mean(values)) for values in by_seed.values()])


def _cautions(summary: Summary) -> list[str]:
    """What the figures cannot show."""
    found = []
    if not summary.full.seeds:
        found.append("There is no fully annotated reference, so no share of the gap and no labels needed are given.")
    elif not summary.informative and summary.strategies:
        found.append(
            f"Full annotation is worth {summary.gap:.3f} Dice more than none, under {LEAST_GAP:g}: this setting shows "
            "nothing about strategies, and no share of the gap is given."
        )
    most = max((len(strategy.runs) for strategy in summary.strategies), default=0)
    if 0 < summary.full.seeds < most:
        found.append(f"The fully annotated reference has {summary.full.seeds} of {most} seeds so far.")
    if any(not np.isfinite(strategy.rank) for strategy in summary.strategies):
        found.append("There are no ranks: no seed has a whole run of every strategy.")
    others = len(summary.strategies) - 1
    if 1 < summary.seeds < SEEDS_FOR_P and others:
        found.append(
            f"A screening: {summary.seeds} seeds allow no test, so no p value is given; no interval is corrected."
        )
        if others > 20:
            found.append(f"Were all strategies equal, about {others / 40:.0f} of {others} would seem better by chance.")
    for case in summary.config.get("cases", ()):
        share = case.get("unknown_share", 0) if isinstance(case, dict) else 0
        if isinstance(share, float) and share >= WORTH_SAYING:
            found.append(f"The truth of {case.get('name')} leaves {share:.0%} of its brain unknown, and not judged.")
    if summary.seeds == 1:
        found.append(
            "Some strategy has one complete seed only: differences from it can be chance, and no interval is given."
        )
    return found
