"""Strategies compared pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from LMIALLib.laboratory.read_tables import Run
from LMIALLib.laboratory.statistics import (
    Comparison,
    compared,
    holm,
)


def dice_by_round(runs: Sequence[Run]) -> list[dict[str, dict[int, float]]]:
    rounds: list[dict[str, dict[int, float]]] = [{} for _ in (runs[0].rounds if runs else ())]
    for run in runs:
        for k, value in enumerate(run.column("dice_fixed")):
            rounds[k].setdefault(run.strategy, {})[run.seed] = float(value)
    return rounds


def comparisons_of(
    names: Sequence[str], areas: Mapping[str, Mapping[int, float]], planned: tuple[str, str]
) -> tuple[Comparison, ...]:
    """The planned comparison as it is, every other pair with Holm's correction."""
    first = [compared(*planned, areas, planned=True)] if set(planned) <= set(names) else []
    rest = [compared(a, b, areas) for a, b in combinations(names, 2) if not first or {a, b} != set(planned)]
    tested = [k for k, found in enumerate(rest) if found.p is not None]
    for k, p in zip(tested, holm([rest[k].p or 0.0 for k in tested]), strict=True):
        rest[k] = replace(rest[k], p_holm=p)
    return (*first, *rest)
