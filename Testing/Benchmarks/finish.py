"""How soon a patient is finished: slices and minutes to a delivered Dice of 0.80, 0.90 and 0.95, by order and learning.

    python Testing/Benchmarks/finish.py [--out bench/finish] [--pair FOLDER] [--pairs NAME ...] [--quick]

The delivered label has read slices as the truth has them and all others as the model suggests; Dice over the whole
grid. Real pairs (open-ms patient01, patient12; LMIAL_DATA, by default ../shared/data) are predicted with weights that
never saw the patient, synthetic ones lie on backgrounds that the bundled weights never saw (`finish_pairs`); --pair
takes a folder with baseline.nii.gz, follow_up.nii.gz and truth.nii.gz. A level counts as reached where the delivered
Dice stays there to the end of the run. Minutes: 30 s a patient, 8 s a slice, 0.4 s a mm of corrected outline.

Orders are run without learning and with the per-patient head. "random" is one row: its curve is the mean over 20 seeds
(5 with the head), its crossings the medians. Afterwards the estimate of the delivered Dice is held against the truth
after 3 to 15 answers. Writes OUT/finish.json (the rows), OUT/estimates.json, OUT/finish.png and OUT/estimates.png; a
run that was broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import finish_estimates
import numpy as np
from finish_pairs import KINDS, REAL, FinishPair, own_pair, real_pair, synthetic_pair
from finish_simulation import ORDERS, Reading, Step, Subject, next_of, run

from LMIALLib.adaptation.answers import nothing_here
from LMIALLib.adaptation.head import HeadSettings, adapted, fit
from LMIALLib.datasets.open_ms_patient import open_ms_root
from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.laboratory.delivered import LEVELS, crossing, middle

SEEDS = {"none": 20, "head": 5}
SYNTHETIC = tuple(f"{kind}-{seed}" for kind, seed in zip(KINDS, (2, 2, 1, 2, 2, 1, 1), strict=True))
QUICK_ORDERS = ("default", "old-default", "oracle")
QUICK_ANSWERS = 4


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench/finish"))
    parser.add_argument("--pair", type=Path, help="a folder with one's own pair")
    parser.add_argument("--pairs", nargs="+", help="names, as patient01 or niivue-2; all others are left out")
    parser.add_argument("--orders", nargs="+", default=ORDERS, choices=ORDERS)
    parser.add_argument("--estimates", type=int, default=42, help="synthetic pairs that the estimate is judged on")
    parser.add_argument("--quick", action="store_true", help="three orders, four answers, no estimates: a trial")
    arguments = parser.parse_args()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        rows = list(all_rows(arguments))
        (arguments.out / "finish.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        print(table(rows))
        print(falls(rows))
        curves(rows, arguments.out / "finish.png")
        if arguments.pair is None and not arguments.quick and arguments.estimates:
            finish_estimates.judge(data_folder(), arguments.estimates, arguments.out)
            print(others(data_folder(), arguments.pairs or (*REAL, *SYNTHETIC)))
    except LMIALError as error:
        sys.exit(str(error))


def others(data: Path, names: Iterable[str]) -> str:
    """What a noisy reader loses, and what ten answers "nothing here" do to pairs without any change."""
    lines = ["| pair | exact reader, Dice after 5 / 10 / 15 | noisy reader | loss after 10 |", "|---|---|---|---|"]
    for name in names:
        subject = Subject.of(named_pair(data, name))
        curves = []
        for reader in ("exact", "noisy"):
            steps = list(run(subject, next_of("default"), HeadSettings(), most=15, reader=reader))
            curves.append([steps[min(n, len(steps) - 1)].dice for n in (5, 10, 15)])
        exact, noisy = (" / ".join(f"{value:.3f}" for value in curve) for curve in curves)
        lines.append(f"| {name} | {exact} | {noisy} | {curves[0][1] - curves[1][1]:+.3f} |")
    lines += ["", "| pair without change | suggested voxels before | after 10 answers |", "|---|---|---|"]
    for kind in KINDS:
        pair = synthetic_pair(data, kind, 1, changed=False)
        subject, following = Subject.of(pair), next_of("default")
        maps = adapted(subject.features, None)
        reading = Reading(maps, np.zeros(len(pair.truth)))
        for _ in range(10):
            reading.answers.append(nothing_here(following(subject, reading), pair.truth.shape[1:]))
            reading.maps = adapted(subject.features, fit(subject.features, reading.answers))
        before, after = (int((one.probability >= 0.5).sum()) for one in (maps, reading.maps))
        lines.append(f"| {pair.name} | {before} | {after} |")
    return "\n".join(lines)


def data_folder() -> Path:
    """The folder of the shared data. Raises BadInput where there is none."""
    root = open_ms_root()
    if root is None:
        raise BadInput("no scans were found.", "Set LMIAL_DATA to the folder that holds open_ms.")
    return root.parent


def pairs_of(arguments: argparse.Namespace) -> Iterator[FinishPair]:
    """The pairs to read, one at a time. Raises BadInput where one is unknown or cannot be read."""
    if arguments.pair is not None:
        yield own_pair(arguments.pair)
        return
    data = data_folder()
    for name in arguments.pairs or (*REAL, *SYNTHETIC):
        yield named_pair(data, name)


def named_pair(data: Path, name: str) -> FinishPair:
    """A real patient, or a synthetic pair by its kind and seed. Raises BadInput for another name."""
    if name in REAL:
        return real_pair(data / "open_ms", name)
    kind, _, seed = name.rpartition("-")
    if kind not in KINDS or not seed.isdigit():
        raise BadInput(f"there is no pair {name!r}; write one of {', '.join(REAL)}, or a kind and a seed: niivue-2.")
    return synthetic_pair(data, kind, int(seed))


def all_rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every row, those of an earlier run of the same settings as they are."""
    settings = HeadSettings()
    orders = QUICK_ORDERS if arguments.quick else arguments.orders
    kept = arguments.out / "rows.jsonl"
    recipes = {learning: recipe_of(used, arguments.quick) for learning, used in (("none", None), ("head", settings))}
    done = {} if arguments.pair is not None else earlier(kept, recipes)
    for pair in pairs_of(arguments):
        subject: Subject | None = None
        for order in orders:
            for learning in ("none", "head"):
                key = (pair.name, order, learning)
                if key not in done:
                    subject = subject or Subject.of(pair)
                    done[key] = row_of(subject, order, learning, settings, arguments.quick)
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([recipes[learning], done[key]]) + "\n")
                    print(json.dumps({name: value for name, value in done[key].items() if name != "dice"}), flush=True)
                yield done[key]


def recipe_of(settings: HeadSettings | None, quick: bool) -> str:
    """What a row depends on beside pair, order and learning."""
    return json.dumps([None if settings is None else asdict(settings), quick])


def earlier(kept: Path, recipes: dict[str, str]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Rows of an earlier run with the same recipes; a line that was broken off is left out."""
    found = {}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else ():
        try:
            made_with, row = json.loads(line)
        except ValueError:
            continue
        if made_with == recipes[row["learning"]]:
            found[row["pair"], row["order"], row["learning"]] = row
    return found


def row_of(subject: Subject, order: str, learning: str, settings: HeadSettings, quick: bool) -> dict[str, Any]:
    """One row: the crossings, minutes and curve of an order with or without learning."""
    most = {"most": QUICK_ANSWERS} if quick else {}
    seeds = range((1 if quick else SEEDS[learning]) if order == "random" else 1)
    used = settings if learning == "head" else None
    runs = [list(run(subject, next_of(order, seed), used, **most)) for seed in seeds]
    row: dict[str, Any] = {"pair": subject.pair.name, "order": order, "learning": learning}
    for level in LEVELS:
        row[f"slices_to_{round(100 * level)}"] = middle(crossing([s.dice for s in steps], level) for steps in runs)
    for level in LEVELS:
        row[f"minutes_to_{round(100 * level)}"] = middle(minutes(steps, level) for steps in runs)
    # a run that ended early stays where it ended
    columns = zip_longest(*([s.dice for s in steps] for steps in runs))
    last = [steps[-1].dice for steps in runs]
    curve = [np.mean([end if value is None else value for value, end in zip(c, last, strict=True)]) for c in columns]
    row["dice"] = [round(float(value), 4) for value in curve]
    return row


def minutes(steps: list[Step], level: float) -> float | None:
    """Minutes until the level is reached for good."""
    after = crossing([step.dice for step in steps], level)
    return None if after is None else round(steps[after].seconds / 60.0, 2)


def table(rows: list[dict[str, Any]]) -> str:
    """All rows as a Markdown table."""
    lines = [
        "| pair | order | learning | slices to 0.80 / 0.90 / 0.95 | minutes "
        "| Dice after 0 / 3 / 5 / 8 / 10 | largest fall |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        slices, times = (
            " / ".join("-" if row[f"{kind}_to_{p}"] is None else f"{row[f'{kind}_to_{p}']:g}" for p in (80, 90, 95))
            for kind in ("slices", "minutes")
        )
        dice = row["dice"]
        shown = " / ".join(f"{dice[min(n, len(dice) - 1)]:.3f}" for n in (0, 3, 5, 8, 10))
        lines.append(
            f"| {row['pair']} | {row['order']} | {row['learning']} | {slices} | {times} | {shown} | {fall(row):.3f} |"
        )
    return "\n".join(lines)


def fall(row: dict[str, Any]) -> float:
    """The largest loss of delivered Dice by one answer."""
    return max([0.0, *(-np.diff(row["dice"])).tolist()])


def falls(rows: list[dict[str, Any]]) -> str:
    """Largest fall of the default order with the head: median and worst over pairs."""
    found = [fall(row) for row in rows if row["order"] == "default" and row["learning"] == "head"]
    shown = f"median pair {np.median(found):.3f}, worst {max(found):.3f}"
    return f"Largest fall after an answer, default order with the head: {shown}."


SHOWN = (
    ("default", "head", "C0-"),
    ("equidistant", "head", "C2-"),
    ("old-default", "none", "C3--"),
    ("oracle", "none", "k:"),
)


def curves(rows: list[dict[str, Any]], path: Path) -> None:
    """The delivered Dice over slices read, a plot a pair."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["pair"] for row in rows))
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4 * columns, 3 * lines), squeeze=False, sharey=True)
    for axis, name in zip_longest(axes.ravel(), names):
        if name is None:
            axis.set_visible(False)
            continue
        for order, learning, style in SHOWN:
            for row in rows:
                if (row["pair"], row["order"], row["learning"]) == (name, order, learning):
                    axis.plot(row["dice"], style, label=f"{order}, {'head' if learning == 'head' else 'no learning'}")
        axis.set(title=name, xlabel="slices read", ylabel="delivered Dice", ylim=(0.4, 1.0))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
