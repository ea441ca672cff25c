"""What the strategies chose: by slice in a study, by subject in a cohort, and how much of it held change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LMIALLib.laboratory.read_tables import Chosen, read_case
from LMIALLib.laboratory.report_tables import Table, number, percent
from LMIALLib.laboratory.settings import FULL

POOL = "pool"
"""The part of chosen.csv that is shown: a cohort's training pool, or all slices of a study."""


@dataclass(frozen=True)
class Picks:
    """The slices of the pool that were chosen.

    Args:
        rows: of chosen.csv, part "pool" only.
        changed: case to voxels of true change of each slice, (slices,) int; cases whose file is missing are absent.
        study: whether it is one study, judged by slice, and no cohort.
    """

    rows: tuple[Chosen, ...]
    changed: Mapping[str, np.ndarray]
    study: bool

    @property
    def cases(self) -> list[str]:
        """Names of the cases with a chosen slice, sorted."""
        return sorted({row.case for row in self.rows})

    def seeds(self, strategy: str) -> list[int]:
        """Seeds with which a strategy chose any slice, rising."""
        return sorted({row.seed for row in self.rows if row.strategy == strategy})


def picks_of(folder: Path, chosen: Sequence[Chosen], *, study: bool = False) -> Picks:
    """Picks of a simulation without the reference's, with what is known of the truth of their cases.

    Rows of folds say that it is a study, whatever ``study`` says.
    """
    rows = tuple(row for row in chosen if row.part == POOL and row.strategy != FULL)
    changed = {}
    for case in {row.case for row in rows}:
        found = read_case(folder, case, "truth")
        if found is not None:
            changed[case] = np.asarray(found[0].sum(axis=(1, 2)), dtype=int)
    return Picks(rows, changed, study or any(row.part.startswith("fold") for row in chosen))


def share_of_seeds(picks: Picks, strategies: Sequence[str], case: str) -> np.ndarray:
    """Share of a strategy's seeds that chose a slice by the last round, (strategies, slices) in [0, 1]."""
    chosen = [row.slice for row in picks.rows if row.case == case]
    slices = len(picks.changed[case]) if case in picks.changed else max(chosen, default=-1) + 1
    shares = np.zeros((len(strategies), slices))
    for place, strategy in enumerate(strategies):
        for row in picks.rows:
            if row.strategy == strategy and row.case == case:
                shares[place, row.slice] += 1
        shares[place] /= max(len(picks.seeds(strategy)), 1)
    return shares


def slices_by_case(picks: Picks, strategies: Sequence[str]) -> np.ndarray:
    """Slices chosen of each case by the last round, a mean over seeds, (strategies, cases)."""
    cases = {case: place for place, case in enumerate(picks.cases)}
    counts = np.zeros((len(strategies), len(cases)))
    for place, strategy in enumerate(strategies):
        for row in picks.rows:
            if row.strategy == strategy:
                counts[place, cases[row.case]] += 1
        counts[place] /= max(len(picks.seeds(strategy)), 1)
    return counts


def picks_table(picks: Picks, strategies: Sequence[str]) -> Table:
    """What each strategy chose, means over seeds: slices, subjects, share of slices that hold change."""
    rows = []
    for strategy in strategies:
        chosen = [row for row in picks.rows if row.strategy == strategy]
        seeds = picks.seeds(strategy)
        known = [picks.changed[row.case][row.slice] > 0 for row in chosen if row.case in picks.changed]
        cases = [len({row.case for row in chosen if row.seed == seed}) for seed in seeds]
        rows.append(
            (
                strategy,
                number(len(chosen) / len(seeds), 0) if seeds else "–",
                number(float(np.mean(cases)), 1) if seeds else "–",
                percent(float(np.mean(known))) if known else "–",
            )
        )
    everywhere = np.concatenate(list(picks.changed.values())) if picks.changed else np.empty(0)
    rows.append(("(all slices of these cases)", str(everywhere.size), str(len(picks.changed)), _share(everywhere > 0)))
    return Table(("strategy", "slices chosen", "cases", "of these hold change"), tuple(rows))


def first_queries(picks: Picks, strategies: Sequence[str], count: int) -> dict[str, list[Chosen]]:
    """The first slices that each strategy chose itself, with the lowest seed that all have.

    Rounds in which every strategy got the same slices were chosen at random before the first query and are left out.
    """
    asking = [name for name in strategies if picks.seeds(name)]
    shared = set.intersection(*(set(picks.seeds(name)) for name in asking)) if asking else set()
    if not shared:
        return {}
    seed = min(shared)
    of_seed = {
        name: sorted(
            (row for row in picks.rows if row.strategy == name and row.seed == seed),
            key=lambda row: (row.round, row.order),
        )
        for name in asking
    }
    random_rounds = set()
    for round_number in sorted({row.round for rows in of_seed.values() for row in rows}):
        sets = {frozenset((r.case, r.slice) for r in rows if r.round == round_number) for rows in of_seed.values()}
        if len(asking) < 2 or len(sets) > 1:
            break
        random_rounds.add(round_number)
    return {name: [row for row in rows if row.round not in random_rounds][:count] for name, rows in of_seed.items()}


def _share(marked: np.ndarray) -> str:
    return percent(float(marked.mean())) if marked.size else "–"
