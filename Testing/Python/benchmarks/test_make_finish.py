"""The tables of Docs/finish.md, from rows made by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]
sys.path.append(str(PROJECT / "Docs"))

import make_finish  # noqa: E402


def row(learning: str, curve: list[float], order: str = "default", pair: str = "patient01") -> dict[str, Any]:
    levels = {f"{kind}_to_{level}": None for kind in ("slices", "minutes") for level in (80, 90, 95)}
    made = {"pair": pair, "order": order, "learning": learning, "dice": curve, **levels, "slices_to_80": 5}
    return made | ({"adopted_after": [5, 20]} if learning in ("finetune", "both") else {})


def test_the_mean_counts_a_run_that_ended_early_as_staying_there() -> None:
    assert make_finish.mean_dice([0.5, 1.0]) == pytest.approx((0.5 + 20) / 21)
    assert make_finish.mean_dice([0.5] * 21 + [1.0] * 20) == pytest.approx(0.5)


def test_fine_tuning_stands_beside_what_it_is_compared_with() -> None:
    rows = [row(learning, [0.5 + 0.1 * n]) for n, learning in enumerate(("none", "head", "finetune", "both"))]
    lines = make_finish.finetuned([*rows, row("head", [0.9], order="oracle")]).splitlines()
    assert len(lines) == 4
    assert lines[2].endswith("| 0.500 | 0.600 | 0.700 | 0.800 | 5, 20 / 5, 20 |")
    assert lines[3].startswith("| **mean of 1** | default |") and "| 0.500 | 0.600 | 0.700 | 0.800 |" in lines[3]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_row_that_is_missing_leaves_its_cell_empty_and_no_mean() -> None:
    lines = make_finish.finetuned([row("finetune", [0.5])]).splitlines()
    assert len(lines) == 3 and lines[2].endswith("|  |  | 0.500 |  | 5, 20 /  |")


def test_the_page_has_every_mark_once() -> None:
    text = (PROJECT / "Docs" / "finish.md").read_text(encoding="utf-8")
    for name in ("SUMMARY", "FINETUNED", "ROWS", "ESTIMATES", "READERS", "UNCHANGED"):
        assert text.count(f"<!-- {name} begin -->") == text.count(f"<!-- {name} end -->") == 1
        assert make_finish.filled(text, name, "new").count("-->\nnew\n<!--") == 1
