"""What a simulation left on disk, as arrays: rounds.csv, chosen.csv, config.json and the cases."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.json_data import read_json

NEEDED = ("strategy", "seed", "round", "fraction", "dice_fixed")


@dataclass(frozen=True)
class Run:
    """One strategy with one seed.

    Args:
        strategy, seed: whose it is.
        rounds: (n,) int, rising; those that are in the table.
        columns: every numeric column of the table, (n,) float64, NaN where its field is empty.
    """

    strategy: str
    seed: int
    rounds: np.ndarray
    columns: dict[str, np.ndarray]

    def column(self, name: str) -> np.ndarray:
        """(n,) float64; all NaN for a column that the table lacks."""
        return self.columns.get(name, np.full(len(self.rounds), np.nan))

    def at(self, number: int, name: str) -> float:
        """The value of one round; NaN where the table has no such round."""
        found = np.flatnonzero(self.rounds == number)
        return float(self.column(name)[found[0]]) if found.size else float("nan")


@dataclass(frozen=True)
class Chosen:
    """One slice that was queried: row of chosen.csv. Slices are 0-based, orders and rounds as the table has them."""

    strategy: str
    seed: int
    part: str
    round: int
    order: int
    case: str
    slice: int


def read_rounds(folder: Path) -> list[Run]:
    """The runs of rounds.csv, strategies in the order of the table, seeds rising.

    Raises BadInput where the file is missing, empty, lacks a column or holds what is no number.
    """
    path = Path(folder) / "rounds.csv"
    rows = list(_rows(path, NEEDED))
    if not rows:
        raise BadInput(f"{path}: no round is finished yet.", "Go on with it.", Step(Do.SIMULATE_RESUME))
    found: dict[str, dict[int, dict[int, dict[str, float]]]] = {}
    for line, row in rows:
        try:
            values = {name: float(text) if text else float("nan") for name, text in row.items() if name != "strategy"}
            seed, number = int(row["seed"]), int(row["round"])
        except ValueError as error:
            raise BadInput(f"{path}, line {line}: {error}; a table of rounds holds numbers.") from error
        found.setdefault(row["strategy"], {}).setdefault(seed, {})[number] = values
    runs = []
    for strategy, of_seed in found.items():
        for seed, of_round in sorted(of_seed.items()):
            numbers = sorted(of_round)
            names = [name for name in of_round[numbers[0]] if name not in ("seed", "round")]
            columns = {name: np.array([of_round[number][name] for number in numbers]) for name in names}
            runs.append(Run(strategy, seed, np.array(numbers), columns))
    return runs


def complete_runs(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Runs cut to the rounds that are compared, without those that lack one, and a sentence for each thing left out."""
    if not runs:
        return [], ["No strategy has a finished round."]
    reached = sorted((int(run.rounds[-1]) for run in runs), reverse=True)
    last = reached[(len(reached) - 1) // 2]
    wanted = np.arange(last + 1)
    complete, notes = [], []
    if last < reached[0]:
        notes.append(f"Interrupted: some runs reached round {reached[0]}; compared are the rounds up to {last}.")
    for run in runs:
        kept = np.isin(run.rounds, wanted)
        cut = Run(run.strategy, run.seed, run.rounds[kept], {name: v[kept] for name, v in run.columns.items()})
        undefined = cut.rounds[~np.isfinite(cut.column("dice_fixed")) | ~np.isfinite(cut.column("fraction"))]
        if not np.array_equal(cut.rounds, wanted):
            lacking = sorted(set(wanted.tolist()) - set(cut.rounds.tolist()))
            notes.append(f"{run.strategy}, seed {run.seed}, lacks round {lacking[0]} and is left out.")
        elif undefined.size:
            notes.append(f"{run.strategy}, seed {run.seed}, has no Dice in round {undefined[0]} and is left out.")
        else:
            complete.append(cut)
    return complete, notes


def read_chosen(folder: Path) -> list[Chosen]:
    """The rows of chosen.csv; none where the file is missing. Raises BadInput where it is broken."""
    path = Path(folder) / "chosen.csv"
    if not path.is_file():
        return []
    found = []
    for line, row in _rows(path, ("strategy", "seed", "part", "round", "order", "case", "slice")):
        try:
            numbers = [int(row[name]) for name in ("seed", "round", "order", "slice")]
        except ValueError as error:
            raise BadInput(f"{path}, line {line}: {error}; a table of chosen slices holds whole numbers.") from error
        seed, number, order, place = numbers
        found.append(Chosen(row["strategy"], seed, row["part"], number, order, row["case"], place))
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """What config.json holds; nothing where it is missing. Raises BadInput where it is no JSON object."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return {}
    return read_json(path, dict[str, Any])


def read_case(folder: Path, case: str, *names: str) -> list[np.ndarray] | None:
    """Arrays of cases/<case>.npz (baseline, follow_up, mask, truth: stacks); None where file or array is missing."""
    path = Path(folder) / "cases" / f"{case}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return [stored[name] for name in names] if set(names) <= set(stored.files) else None


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and fields of a table. A last line that was cut short by a kill is left out."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream)
            names = table.fieldnames or []
            if missing := [name for name in needed if name not in names]:
                raise BadInput(f"{path}: the column {missing[0]} is missing.")
            for row in table:
                if None in row.values() or None in row:
                    continue
                yield table.line_num, row
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}.") from error
