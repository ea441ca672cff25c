"""Write the tables of ``Docs/companions.md`` anew: ``python Docs/make_companions.py FOLDER``.

FOLDER is what ``Testing/Benchmarks/companions.sh`` left behind. What is not there is named as missing.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from LMIALLib.evaluation.laboratory.curves import area_under_budget
from LMIALLib.evaluation.laboratory.result_tables import Table, bounds, number, signed
from LMIALLib.evaluation.laboratory.settings import FULL
from LMIALLib.evaluation.laboratory.statistics import compared
from LMIALLib.evaluation.laboratory.summary import Summary, summarise

DOCUMENT = Path(__file__).resolve().parent / "companions.md"
GROUPS = {
    "SCRATCH": ("none", "pseudo", "mean-teacher", "mae"),
    "PHANTOM": ("phantom-none", "phantom-pseudo", "phantom-mean-teacher"),
    "FAR": ("far-scratch", "far-mae", "far-phantom"),
}
"""Marker in the document to its simulations, the one that the others are compared with first."""


def main(folder: Path) -> None:
    """Write each group's table between its markers."""
    prose = DOCUMENT.read_text(encoding="utf-8")
    for word, names in GROUPS.items():
        before, rest = prose.split(f"<!-- {word} begin -->\n", maxsplit=1)
        after = rest.split(f"<!-- {word} end -->", maxsplit=1)[1]
        prose = f"{before}<!-- {word} begin -->\n{_table(folder, names)}<!-- {word} end -->{after}"
    DOCUMENT.write_text(prose, encoding="utf-8")


def _table(folder: Path, names: Sequence[str]) -> str:
    """A row for each simulation and strategy: Dice at each budget, the area, the area against the first one's."""
    found = {name: summarise(folder / name) for name in names if (folder / name / "rounds.csv").is_file()}
    missing = "".join(f"\n*`{name}` was not run to its end.*\n" for name in names if name not in found)
    if names[0] not in found:
        return missing
    head, rows = [], []
    for strategy in sorted(one.strategy for one in found[names[0]].strategies):
        areas = {name: _areas(summary, strategy) for name, summary in found.items()}
        for name, summary in found.items():
            one = summary.strategy(strategy)
            if one is None:
                continue
            against = compared(name, names[0], areas)
            shares = [f"{100 * share:.0f} %" for share in one.dice.fraction]
            head = ["run", "strategy", *shares, "area", f"against {names[0]}", "95 % interval", "seeds", "s a training"]
            told = ["-"] * 2 if name == names[0] else [signed(against.effect.mean), bounds(against.effect, plus=True)]
            figures = [number(value) for value in one.dice.mean]
            seconds = f"{_seconds(folder / name, strategy):.0f}"
            rows.append((name, strategy, *figures, number(one.area.mean), *told, str(one.area.seeds), seconds))
    return Table(tuple(head), tuple(rows)).markdown() + missing


def _areas(summary: Summary, strategy: str) -> dict[int, float]:
    """Seed to area under the budget curve of lesion Dice on the judged brains."""
    one = summary.strategy(strategy)
    runs = one.runs if one is not None else ()
    return {run.seed: area_under_budget(run.column("fraction"), run.column("dice_fixed")) for run in runs}


def _seconds(folder: Path, strategy: str) -> float:
    """Median seconds of a training."""
    with open(folder / "timing.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["strategy"] == strategy != FULL and row["round"] != "0"]
    return float(np.median([float(row["train_seconds"]) for row in rows]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("One folder is needed: python Docs/make_companions.py FOLDER")
    main(Path(sys.argv[1]))
    print("Written: Docs/companions.md")
