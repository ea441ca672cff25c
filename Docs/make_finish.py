"""Write the tables and pictures of Docs/finish.md from what `make finish` left in bench/finish.

python Docs/make_finish.py [OUT]
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "Testing" / "Benchmarks"))

import finish  # noqa: E402
import finish_estimates  # noqa: E402
import finish_readers  # noqa: E402
import numpy as np  # noqa: E402

COLUMNS = (
    ("old-default", "none", "old default, no learning"),
    ("expected-error", "none", "expected error, no learning"),
    ("oracle", "none", "oracle, no learning"),
    ("equidistant", "head", "equidistant, head"),
    ("default", "head", "default, head"),
    ("oracle", "head", "oracle, head"),
)


def levels(row: dict[str, Any] | None, kind: str) -> str:
    """Slices or minutes to the three levels."""
    if row is None:
        return ""
    return " / ".join("-" if row[f"{kind}_to_{p}"] is None else f"{row[f'{kind}_to_{p}']:g}" for p in (80, 90, 95))


def summary(rows: list[dict[str, Any]]) -> str:
    """Slices of the orders that matter most, a line a pair, and minutes of two."""
    found = {(row["pair"], row["order"], row["learning"]): row for row in rows}
    heads = [words for _, _, words in COLUMNS] + ["minutes, old default", "minutes, default with head"]
    lines = [f"| pair | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 1)]
    for pair in dict.fromkeys(row["pair"] for row in rows):
        cells = [levels(found.get((pair, order, learning)), "slices") for order, learning, _ in COLUMNS]
        cells += [
            levels(found.get((pair, *which)), "minutes") for which in (("old-default", "none"), ("default", "head"))
        ]
        lines.append(f"| {pair} | {' | '.join(cells)} |")
    return "\n".join(lines)


FIRST_SLICES = 21
"""Dice after 0 to 20 answers."""


def finetuned(rows: list[dict[str, Any]]) -> str:
    """The pairs and orders that were also run with fine-tuning, a line each, and the means of their curves."""
    found = {(row["pair"], row["order"], row["learning"]): row for row in rows}
    kinds = [finish.WORDS[learning] for learning in finish.LEARNING]
    heads = [*(f"{kind}: slices" for kind in kinds), *(f"{kind}: mean Dice" for kind in kinds)]
    lines = [
        f"| pair | order | {' | '.join(heads)} | new network after: fine-tuned / both |",
        "|" + "---|" * (len(heads) + 3),
    ]
    means = []
    for pair, order in dict.fromkeys((row["pair"], row["order"]) for row in rows if "adopted_after" in row):
        of_pair = [found.get((pair, order, learning)) for learning in finish.LEARNING]
        shown = [None if row is None else mean_dice(row["dice"]) for row in of_pair]
        means.append((order, shown))
        adopted = (
            "" if row is None else ", ".join(map(str, row["adopted_after"])) or "none"
            for row in of_pair[len(of_pair) // 2 :]
        )
        cells = [*(levels(row, "slices") for row in of_pair), *map(decimals, shown), " / ".join(adopted)]
        lines.append(f"| {pair} | {order} | {' | '.join(cells)} |")
    for order in dict.fromkeys(order for order, _ in means):
        whole = [shown for of_order, shown in means if of_order == order and None not in shown]
        if whole:
            cells = [*[""] * len(kinds), *map(decimals, np.mean(np.array(whole, float), axis=0)), ""]
            lines.append(f"| **mean of {len(whole)}** | {order} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_dice(curve: list[float]) -> float:
    """Mean delivered Dice after 0 to 20 answers; a run that ended early stays where it ended."""
    return float(np.mean((curve + [curve[-1]] * FIRST_SLICES)[:FIRST_SLICES]))


def decimals(value: float | None) -> str:
    """Three decimals; empty for None."""
    return "" if value is None else f"{value:.3f}"


def filled(text: str, name: str, content: str) -> str:
    """The text with what stands between the marks ``name`` replaced. Raises ValueError where there are none."""
    marks = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the page has no marks {name}")
    return pattern.sub(lambda _: f"{marks[0]}\n{content}\n{marks[1]}", text)


def main() -> None:
    """Write the page anew."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "bench" / "finish"
    page = PROJECT / "Docs" / "finish.md"
    text = page.read_text(encoding="utf-8")
    rows = json.loads((out / "finish.json").read_text(encoding="utf-8"))
    text = filled(text, "SUMMARY", f"{summary(rows)}\n\n{finish.falls(rows)}")
    text = filled(text, "ROWS", finish.table(rows))
    text = filled(text, "FINETUNED", finetuned(rows))
    finish.curves(rows, PROJECT / "Docs" / "pictures" / "finish.png")
    if (out / "estimates.json").is_file():
        groups = finish_estimates.grouped(json.loads((out / "estimates.json").read_text(encoding="utf-8")))
        text = filled(text, "ESTIMATES", finish_estimates.table(groups))
        finish_estimates.picture(groups, PROJECT / "Docs" / "pictures" / "estimates.png")
    if (out / "readers.json").is_file():
        readers = json.loads((out / "readers.json").read_text(encoding="utf-8"))
        text = filled(text, "READERS", finish_readers.readers_table(readers["readers"]))
        text = filled(text, "UNCHANGED", finish_readers.unchanged_table(readers["unchanged"]))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
