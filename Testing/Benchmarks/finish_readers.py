"""What a noisy reader loses beside an exact one, and what answers "nothing here" do to pairs without any change.

A reader of the laboratory is asked what it marks on every slice of a pair: its *full reading*. Then the pair is read in
the default order with the head, and after each answer the delivered label is held against that full reading: how near
is a label that took ten slices to the one that this reader would have made of them all? The full reading of the exact
reader is the truth. The noisy reader's own repeat is the Dice between two of its full readings. What is random in a
full reading no suggestion can foresee: so the delivered label is also made with the truth on all unread slices, which
is about the best that anything could suggest there. All figures of the noisy reader are means over `SEEDS` full
readings. Called by `finish.py`; alone:

    python Testing/Benchmarks/finish_readers.py OUT [--pairs NAME ...]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from finish_pairs import KINDS, FinishPair, data_folder, named_pair, names_of, synthetic_pair
from finish_simulation import Planes, Reading, Subject, maps_after, next_of, read_by, run

from LMIALLib.adaptation.answers import nothing_here
from LMIALLib.adaptation.head import HeadSettings

AFTER = (5, 10, 15)
SEEDS = (0, 1, 2)
KEYS = ("exact", "noisy", "best", "repeat", "full_truth")
"""Figures of a row that a mean is taken of."""
NOTHING = 10
"""Answers "nothing here" on a pair without change."""


def judge(data: Path, names: Sequence[str], out: Path) -> None:
    """Read all pairs, print the figures, and write readers.json; pairs that were read before are looked up."""
    kept = Kept(out / "readers.jsonl", json.dumps([asdict(HeadSettings()), AFTER, SEEDS, NOTHING, KEYS]))
    found = {
        "readers": [kept.row(name, lambda name=name: reader_row(named_pair(data, name))) for name in names],
        "unchanged": [
            kept.row(f"{kind} unchanged", lambda kind=kind: unchanged_row(synthetic_pair(data, kind, 1, changed=False)))
            for kind in KINDS
        ],
    }
    (out / "readers.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(readers_table(found["readers"]), unchanged_table(found["unchanged"]), sep="\n\n")


class Kept:
    """Rows that are kept line by line, so that a run that was broken off goes on."""

    def __init__(self, path: Path, recipe: str) -> None:
        """``recipe``: what the rows depend on; lines with another one are left out."""
        self.path, self.recipe = path, recipe
        self.rows: dict[str, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                name, made_with, row = json.loads(line)
            except ValueError:
                continue
            if made_with == recipe:
                self.rows[name] = row

    def row(self, name: str, made: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A row, made if it is not kept."""
        if name not in self.rows:
            self.rows[name] = made()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, self.recipe, self.rows[name]]) + "\n")
            print(json.dumps(self.rows[name]), flush=True)
        return self.rows[name]


def reader_row(pair: FinishPair) -> dict[str, Any]:
    """Agreement with the reader's own full reading after `AFTER` answers, exact and noisy, and the noisy one's repeat.

    ``best`` is the noisy reader's agreement where the truth stands on all slices that were not read, ``full_truth`` the
    Dice between its full reading and the truth.
    """
    subject = Subject.of(pair)
    full = [read_by(pair, "noisy", seed) for seed in SEEDS]
    noisy = [curves(subject, reading) for reading in full]
    return {
        "pair": pair.name,
        "exact": curves(subject, pair.truth)[0],
        "noisy": np.mean([own for own, _ in noisy], axis=0).tolist(),
        "noisy_runs": [own for own, _ in noisy],
        "best": np.mean([best for _, best in noisy], axis=0).tolist(),
        "repeat": float(np.mean([dice_of(first, second) for first, second in combinations(full, 2)])),
        "full_truth": float(np.mean([dice_of(reading, pair.truth) for reading in full])),
    }


def curves(subject: Subject, full: np.ndarray) -> tuple[list[float], list[float]]:
    """Agreement with a full reading after `AFTER` answers of the default order with the head, and at best.

    Args:
        subject: the pair.
        full: bool (slices, rows, columns), what the reader marks.

    A run ends where every slice is read.
    """
    following, asked = next_of("default"), list[int]()

    def noted(of: Subject, reading: Reading) -> int:
        asked.append(following(of, reading))
        return asked[-1]

    reads = replace(subject, pair=replace(subject.pair, truth=full))
    steps = list(run(reads, noted, HeadSettings(), most=AFTER[-1], enough=math.inf))
    best = []
    for count in AFTER:
        label = subject.pair.truth.copy()
        label[asked[:count]] = full[asked[:count]]
        best.append(dice_of(label, full))
    return [steps[min(count, len(steps) - 1)].dice for count in AFTER], best


def dice_of(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two labels, bool of one shape; 1 where both are empty."""
    size = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / size if size else 1.0


def unchanged_row(pair: FinishPair) -> dict[str, Any]:
    """Voxels that are suggested on a pair without change, before and after ten answers "nothing here"."""
    subject, following, settings = Subject.of(pair), next_of("default"), HeadSettings()
    maps = maps_after(subject, (), settings)
    reading = Reading(maps, Planes.of(maps, pair.truth))
    for _ in range(NOTHING):
        reading.answers.append(nothing_here(following(subject, reading), pair.truth.shape[1:]))
        reading.maps = maps_after(subject, reading.answers, settings)
    before, after = (int((one.probability >= 0.5).sum()) for one in (maps, reading.maps))
    return {"pair": pair.name, "before": before, "after": after}


def readers_table(rows: Sequence[dict[str, Any]]) -> str:
    """Both readers as a Markdown table, with the mean over pairs."""
    after = " / ".join(map(str, AFTER))
    lines = [
        f"| pair | exact reader after {after} | noisy reader after {after} | loss after {after} "
        "| noisy reader, truth on unread slices | noisy reader's repeat | its full reading against the truth |",
        "|---|---|---|---|---|---|---|",
    ]
    mean = {key: np.mean([row[key] for row in rows], axis=0) for key in KEYS}
    for row in (*rows, {"pair": "**mean**", **mean}):
        exact, noisy, best = (np.array(row[key]) for key in ("exact", "noisy", "best"))
        loss = " / ".join(f"{value:+.3f}" for value in exact - noisy)
        exact, noisy, best = (" / ".join(f"{value:.3f}" for value in one) for one in (exact, noisy, best))
        figures = [exact, noisy, loss, best, *(f"{row[key]:.3f}" for key in ("repeat", "full_truth"))]
        lines.append(f"| {row['pair']} | {' | '.join(figures)} |")
    return "\n".join(lines)


def unchanged_table(rows: Sequence[dict[str, Any]]) -> str:
    """Pairs without change as a Markdown table."""
    lines = [f"| pair without change | suggested voxels before | after {NOTHING} answers |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row['pair']} | {row['before']} | {row['after']} |" for row in rows)])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", nargs="+", help="names, as patient01 or niivue-2; all others are left out")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    judge(data_folder(), arguments.pairs or names_of(), arguments.out)


if __name__ == "__main__":
    main()
