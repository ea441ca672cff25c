"""How soon a patient is finished: slices and minutes to a delivered Dice of 0.80, 0.90 and 0.95, by order and learning.

    python Testing/Benchmarks/finish.py [--out bench/finish] [--pair FOLDER] [--pairs NAME ...] [--quick]

The delivered label has read slices as the truth has them and all others as the model suggests; Dice over the whole
grid. Real pairs (open-ms patient01, patient12; LMIAL_DATA, by default ../shared/data) are predicted with weights that
never saw the patient, synthetic ones lie on backgrounds that the bundled weights never saw (`finish_pairs`); --pair
takes a folder with baseline.nii.gz, follow_up.nii.gz and truth.nii.gz. A level counts as reached where the delivered
Dice stays there to the end of the run. Minutes: 30 s a patient, 8 s a slice, 0.4 s a mm of corrected outline.

Orders are run without learning and with the per-patient head. "random" is one row: its curve is the mean over 20 seeds
(5 with the head), its crossings the medians. Six pairs are also run with the network fine-tuned after 5, 10 and 20
answers, without and with the head (`finish_finetuning`). Afterwards the estimate of the delivered Dice is held against
the truth after 3 to 15 answers (`finish_estimates`), a noisy reader against its own full reading (`finish_readers`).
Writes OUT/finish.json (the rows), OUT/estimates.json, OUT/readers.json, OUT/finish.png and OUT/estimates.png. A run
that was broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import finish_estimates
import finish_finetuning
import finish_readers
import numpy as np
from finish_finetuning import Finetuning
from finish_pairs import FinishPair, data_folder, named_pair, names_of, own_pair
from finish_simulation import ORDERS, Step, Subject, next_of, run

from LMIALLib.adaptation.head import HeadSettings
from LMIALLib.errors import LMIALError
from LMIALLib.laboratory.delivered import LEVELS, crossing, middle

LEARNING = ("none", "head", "finetune", "both")
WORDS = {"none": "no learning", "head": "head", "finetune": "fine-tuned network", "both": "head on fine-tuned network"}
WITH_HEAD, WITH_FINETUNING = ("head", "both"), ("finetune", "both")
SEEDS = {"none": 20, "head": 5, "finetune": 1, "both": 1}
QUICK_ORDERS = ("default", "old-default", "oracle")
QUICK_ANSWERS = 4


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench/finish"))
    parser.add_argument("--pair", type=Path, help="a folder with one's own pair")
    parser.add_argument("--pairs", nargs="+", help="names, as patient01 or niivue-2; all others are left out")
    parser.add_argument("--orders", nargs="+", default=ORDERS, choices=ORDERS)
    parser.add_argument("--learning", nargs="+", choices=LEARNING, help="all others are left out")
    parser.add_argument("--kept", action="store_true", help="write what earlier runs left, and make no row")
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
        if arguments.pair is None and not (arguments.quick or arguments.kept) and arguments.estimates:
            finish_estimates.judge(data_folder(), arguments.estimates, arguments.out)
            finish_readers.judge(data_folder(), arguments.pairs or names_of(), arguments.out)
    except LMIALError as error:
        sys.exit(str(error))


def pairs_of(arguments: argparse.Namespace) -> Iterator[FinishPair]:
    """The pairs to read, one at a time. Raises BadInput where one is unknown or cannot be read."""
    if arguments.pair is not None:
        yield own_pair(arguments.pair)
        return
    data = data_folder()
    for name in arguments.pairs or names_of():
        yield named_pair(data, name)


def all_rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every row, those of an earlier run of the same settings as they are."""
    kept = arguments.out / "rows.jsonl"
    recipes = {learning: recipe_of(learning, arguments.quick) for learning in LEARNING}
    done = {} if arguments.pair is not None else earlier(kept, recipes)
    if arguments.kept:
        yield from sorted(done.values(), key=place)
        return
    for pair in pairs_of(arguments):
        subject: Subject | None = None
        for order in QUICK_ORDERS if arguments.quick else arguments.orders:
            for learning in learning_of(arguments, pair, order):
                key = (pair.name, order, learning)
                if key not in done:
                    subject = subject or Subject.of(pair)
                    done[key] = row_of(subject, order, learning, arguments.quick)
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([recipes[learning], done[key]]) + "\n")
                    print(json.dumps({name: value for name, value in done[key].items() if name != "dice"}), flush=True)
                yield done[key]


def place(row: dict[str, Any]) -> tuple[int, ...]:
    """Where a row stands in the table."""
    among = (("pair", names_of()), ("order", ORDERS), ("learning", LEARNING))
    return tuple(values.index(row[field]) if row[field] in values else len(values) for field, values in among)


def learning_of(arguments: argparse.Namespace, pair: FinishPair, order: str) -> list[str]:
    """What learns, row by row. Fine-tuning takes minutes: six pairs in two orders, and one's own where it is asked."""
    tuned = arguments.learning is not None if pair.kind == "own" else pair.name in finish_finetuning.PAIRS
    tuned = tuned and order in finish_finetuning.ORDERS and not arguments.quick
    return [one for one in arguments.learning or LEARNING if tuned or one not in WITH_FINETUNING]


def recipe_of(learning: str, quick: bool) -> str:
    """What a row depends on beside pair, order and learning."""
    tuning = [finish_finetuning.recipe()] if learning in WITH_FINETUNING else []
    return json.dumps([asdict(HeadSettings()) if learning in WITH_HEAD else None, quick, *tuning])


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


def row_of(subject: Subject, order: str, learning: str, quick: bool) -> dict[str, Any]:
    """One row: the crossings, minutes and curve of an order; with fine-tuning also where a new network was adopted."""
    most = {"most": QUICK_ANSWERS} if quick else {}
    seeds = range((1 if quick else SEEDS[learning]) if order == "random" else 1)
    used = HeadSettings() if learning in WITH_HEAD else None
    training = Finetuning(subject.pair) if learning in WITH_FINETUNING else None
    runs = [list(run(subject, next_of(order, seed), used, training=training, **most)) for seed in seeds]
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
    if training is not None:
        row["adopted_after"] = training.adopted
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
    if not found:
        return "No pair was read in the default order with the head."
    shown = f"median pair {np.median(found):.3f}, worst {max(found):.3f}"
    return f"Largest fall after an answer, default order with the head: {shown}."


SHOWN = (
    ("default", "head", "C0-"),
    ("default", "both", "C1-."),
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
                    axis.plot(row["dice"], style, label=f"{order}, {WORDS[learning]}")
        axis.set(title=name, xlabel="slices read", ylabel="delivered Dice", ylim=(0.4, 1.0))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
