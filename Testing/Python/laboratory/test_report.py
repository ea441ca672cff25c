"""The report: whole, self-contained, and written from whatever a simulation left."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_simulation import SPEEDS, made_up_rows, write_chosen, write_rows

from LMIALLib.errors import WrongUse
from LMIALLib.laboratory.choices_made import (
    first_queries,
    picks_of,
    picks_table,
    share_of_seeds,
    slices_by_case,
)
from LMIALLib.laboratory.read_tables import Chosen, read_chosen


@pytest.fixture(scope="module")
def report() -> object:
    pytest.importorskip("plotly", reason="the extra [laboratory] is not installed")
    from LMIALLib.laboratory import report

    return report


def written(report: object, folder: Path) -> str:
    return str(report.write_report(folder).read_text(encoding="utf-8"))  # type: ignore[attr-defined]


def test_the_report_of_a_cohort_is_whole_and_needs_nothing_else(report: object, simulation: Path) -> None:
    page = written(report, simulation)
    for title in (
        *("Learning curves", "Ranking", "What it takes", "The gap closed", "Paired comparisons", "penalty matrix"),
        *("Cost", "Chosen slices", "First queries", "How it was judged", "Exact configuration"),
    ):
        assert title in page
    assert page.count("plotly.js v") == 1, "the library stands in the page once"
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="?https?:', page)
    assert len(page) < 6_000_000
    assert "default is better" in page and "subject01" in page and "data:image/webp" in page
    assert page.count('class="plotly-graph-div"') == 4


def test_the_report_of_a_study_shows_its_strip(report: object, tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "study", made_up_rows(seeds=2))
    write_chosen(folder, SPEEDS, seeds=2, study=True)
    page = written(report, folder)
    assert "Share of seeds with which a slice was chosen" in page and "same-slice gain at 5 %" in page
    assert "dice_fixed pools the test blocks of both folds" in page


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_report_of_little_is_written_all_the_same(report: object, tmp_path: Path, seeds: int) -> None:
    rows = [r for r in made_up_rows({"a<b>": 20.0}, seeds=seeds) if r["strategy"] != "full"]
    page = written(report, write_rows(tmp_path, rows))
    assert "no fully annotated reference" in page and "First queries" not in page
    assert '<b>"' not in page and "a&lt;b&gt;" in page


def test_the_report_of_nothing_but_the_reference(report: object, tmp_path: Path) -> None:
    rows = [r for r in made_up_rows(seeds=1) if r["strategy"] == "full"]
    assert "nothing to compare" in written(report, write_rows(tmp_path, rows))


def test_rewriting_replaces_and_leaves_nothing_beside(report: object, simulation: Path) -> None:
    before = sorted(path.name for path in simulation.iterdir())
    first, second = written(report, simulation), written(report, simulation)
    assert sorted(path.name for path in simulation.iterdir()) == sorted([*before, "report.html"])
    assert len(first) == len(second)


def test_without_plotly_the_user_is_told(report: object, simulation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(WrongUse, match=r"lmial\[laboratory\]"):
        written(report, simulation)
    assert not (simulation / "report.html").exists()


def picks() -> list[Chosen]:
    """Round 1 at random, the same for both; then a chooses 5 and 6, b for 7 of another case; two seeds of a."""
    rows = [Chosen(name, seed, "pool", 1, 1, "x", 0) for name, seed in (("a", 0), ("a", 1), ("b", 0))]
    rows += [Chosen("a", 0, "pool", 2, 2, "x", 5), Chosen("a", 0, "pool", 2, 3, "x", 6)]
    rows += [Chosen("a", 1, "pool", 2, 2, "x", 5), Chosen("b", 0, "pool", 2, 2, "y", 7)]
    return [*rows, Chosen("a", 0, "fold0", 1, 1, "x", 9), Chosen("full", 0, "pool", 0, 1, "z", 0)]


def test_what_was_asked_for_by_hand(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    truth = np.zeros((10, 4, 4), dtype=bool)
    truth[5, 1, 1:3] = True
    np.savez(tmp_path / "cases" / "x.npz", truth=truth)
    found = picks_of(tmp_path, picks())
    assert found.study and found.cases == ["x", "y"] and found.changed["x"][5] == 2
    shares = share_of_seeds(found, ["a", "b"], "x")
    assert shares.shape == (2, 10) and shares[0, [0, 5, 6, 9]].tolist() == [1.0, 1.0, 0.5, 0.0] and shares[1, 0] == 1.0
    assert slices_by_case(found, ["a", "b"]).tolist() == [[2.5, 0.0], [1.0, 1.0]]
    rows = picks_table(found, ["a", "b", "c"]).rows
    assert rows[0] == ("a", "2", "1.0", "40 %") and rows[1][-1] == "0 %" and rows[2][1:] == ("–", "–", "–")
    first = first_queries(found, ["a", "b", "c"], 4)
    assert {name: [row.slice for row in asked] for name, asked in first.items()} == {"a": [5, 6], "b": [7]}


def test_no_table_of_chosen_slices_is_no_fault(tmp_path: Path) -> None:
    assert read_chosen(tmp_path) == [] and first_queries(picks_of(tmp_path, []), ["a"], 3) == {}
