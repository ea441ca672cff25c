"""Summaries of made-up simulations: what is known by hand, what is missing, what is degenerate."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from made_up_simulation import SPEEDS, made_up_rows, write_rows

from LMIALLib.errors import BadInput
from LMIALLib.laboratory import report_tables as result_tables
from LMIALLib.laboratory.headline import headline
from LMIALLib.laboratory.summary import summarise


def row(strategy: str, seed: int, number: int, fraction: float, dice: float) -> dict[str, object]:
    return {"strategy": strategy, "seed": seed, "round": number, "fraction": fraction, "dice_fixed": dice}


def two_seeds() -> list[dict[str, object]]:
    """Full 0.6 and 0.8, start 0.2: the gap is 0.5. Strategy a: mean 0.2, 0.5, 0.7; b: 0.2, 0.3, 0.4."""
    rows = [row("full", 0, 0, 1.0, 0.6), row("full", 1, 0, 1.0, 0.8)]
    for strategy, curves in (("b", ([0.1, 0.2, 0.4], [0.3, 0.4, 0.4])), ("a", ([0.1, 0.4, 0.6], [0.3, 0.6, 0.8]))):
        for seed, values in enumerate(curves):
            rows += [row(strategy, seed, k, 0.1 * k, value) for k, value in enumerate(values)]
    return rows


def test_a_summary_by_hand(tmp_path: Path) -> None:
    summary = summarise(write_rows(tmp_path, two_seeds()))
    a, b = summary.strategies
    assert (a.strategy, b.strategy) == ("a", "b"), "the highest area comes first"
    assert summary.full.mean == pytest.approx(0.7) and summary.start.mean == pytest.approx(0.2)
    assert summary.gap == pytest.approx(0.5) and summary.informative
    assert a.area.mean == pytest.approx(((0.1 + 0.4) / 4 + (0.4 + 0.6) / 4 + (0.3 + 0.6) / 4 + (0.6 + 0.8) / 4) / 2)
    assert a.gap_closed.mean == pytest.approx([0.0, 0.6, 1.0]) and b.gap_closed.mean == pytest.approx([0.0, 0.2, 0.4])
    assert a.gap_closed.at(0.05).mean == pytest.approx(0.3) and math.isnan(a.gap_closed.at(0.5).mean)
    assert a.dice_needed[90] == pytest.approx(0.1 + 0.1 * 0.13 / 0.2) and a.dice_needed[100] == pytest.approx(0.2)
    assert a.gap_needed[95] == pytest.approx(0.1 + 0.1 * 0.35 / 0.4) and b.gap_needed[95] is None
    assert (a.rank, b.rank) == (1.0, 2.0)
    compared = summary.against("b", "a")
    assert compared is not None and compared.effect.mean == pytest.approx(b.area.mean - a.area.mean)
    assert compared.effect.low < compared.effect.high and compared.p is None
    assert summary.planned is None and math.isnan(a.foreground.value) and a.foreground.reason


def test_an_interrupted_simulation_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = made_up_rows(seeds=3, rounds=10)
    rows = [r for r in rows if not (r["strategy"] == "entropy" and r["seed"] == 1 and int(str(r["round"])) > 3)]
    rows = [r for r in rows if not (r["strategy"] == "random" and r["seed"] == 2 and r["round"] == 5)]
    rows = [r for r in rows if not (r["strategy"] == "full" and r["seed"] == 0)]
    summary = summarise(write_rows(tmp_path, rows))
    assert {s.strategy: len(s.runs) for s in summary.strategies} == {
        **dict.fromkeys(SPEEDS, 3),
        "entropy": 2,
        "random": 2,
    }
    told = " ".join(summary.notes)
    assert "entropy, seed 1, lacks round 4" in told and "random, seed 2, lacks round 5" in told
    assert "2 of 3 seeds" in told
    assert all(len(s.dice.mean) == 11 for s in summary.strategies) and all(s.rank > 0 for s in summary.strategies)


def test_where_most_runs_are_at_an_early_round_that_round_counts(tmp_path: Path) -> None:
    rows = [r for r in made_up_rows(seeds=2) if int(str(r["round"])) <= (10 if r["strategy"] == "default" else 4)]
    summary = summarise(write_rows(tmp_path, rows))
    assert len(summary.strategies) == len(SPEEDS) and len(summary.strategies[0].dice.mean) == 5
    assert summary.notes[0].startswith("Interrupted") and "up to 4" in summary.notes[0]


def test_a_small_gap_says_nothing(tmp_path: Path) -> None:
    summary = summarise(write_rows(tmp_path, made_up_rows(start=0.69, full=0.72, noise=0.001)))
    assert not summary.informative and not np.isfinite(summary.strategies[0].gap_closed.mean).any()
    sentences = headline(summary)
    assert len(sentences) == 1 and "shows nothing" in sentences[0]
    assert "under 0.05" in " ".join(summary.notes)


def test_without_a_reference_nothing_is_told_of_the_gap(tmp_path: Path) -> None:
    rows = [r for r in made_up_rows() if r["strategy"] != "full"]
    summary = summarise(write_rows(tmp_path, rows))
    assert math.isnan(summary.gap) and not summary.informative
    assert summary.strategies[0].dice_needed == {90: None, 95: None, 100: None}
    assert "no fully annotated reference" in " ".join(summary.notes)
    assert set(result_tables.labels_table(summary).rows[0][1:6]) == {"–"}
    assert "highest area" in headline(summary)[0]


def test_one_seed_and_one_strategy(tmp_path: Path) -> None:
    summary = summarise(write_rows(tmp_path, made_up_rows({"entropy": 20.0}, seeds=1)))
    (only,) = summary.strategies
    assert only.rank == 1.0 and math.isnan(only.area.low) and not summary.comparisons
    assert "one complete seed" in " ".join(summary.notes) and "No random baseline" in headline(summary)[-1]
    two = summarise(write_rows(tmp_path / "two", made_up_rows({"entropy": 20.0, "random": 10.0}, seeds=1)))
    assert "One seed" in headline(two)[-1]
    rows = [r for r in made_up_rows() if r["strategy"] != "core-set" or r["seed"] == 0]
    told = headline(summarise(write_rows(tmp_path / "three", rows)))[-1]
    assert "2 of 3 strategies" in told and "0 tied" in told, "what is unknown is no tie"


def test_constant_curves_and_a_single_round(tmp_path: Path) -> None:
    flat = [row(name, seed, k, 0.1 * k, 0.3) for name in ("a", "b") for seed in range(9) for k in range(3)]
    summary = summarise(write_rows(tmp_path, [*flat, row("full", 0, 0, 1.0, 0.7)]))
    assert summary.strategies[0].area.mean == pytest.approx(0.3) and summary.strategies[0].rank == 1.5
    assert summary.comparisons[0].verdict == "a tie" and not summary.penalty.any()
    start = summarise(write_rows(tmp_path / "start", [r for r in flat if r["round"] == 0]))
    assert math.isnan(start.strategies[0].area.mean) and start.comparisons[0].verdict == "unknown"


def test_only_the_reference_is_finished(tmp_path: Path) -> None:
    summary = summarise(write_rows(tmp_path, [row("full", 0, 0, 1.0, 0.7)]))
    assert not summary.strategies and "nothing to compare" in headline(summary)[0]


def test_planned_stands_uncorrected_and_the_rest_is_corrected(tmp_path: Path) -> None:
    folder = write_rows(tmp_path, made_up_rows(seeds=12))
    summary = summarise(folder)
    planned = summary.planned
    assert planned is not None and planned.p is not None and planned.p_holm is None
    assert (planned.first, planned.second) == ("default", "foreground-random-prediction")
    rest = [found for found in summary.comparisons if not found.planned]
    assert len(rest) == 14 and all(found.p_holm is not None and found.p_holm >= (found.p or 0) for found in rest)
    (folder / "config.json").write_text(json.dumps({"planned": ["entropy", "random"]}), encoding="utf-8")
    named = summarise(folder).planned
    assert named is not None and (named.first, named.second) == ("entropy", "random")


def test_the_headline_says_what_won_and_when_nothing_did(tmp_path: Path) -> None:
    won = headline(summarise(write_rows(tmp_path / "won", made_up_rows(seeds=12))))
    assert "default is better" in won[1] and "2 of 4 strategies beat foreground-aware random" in won[2]
    assert "12 seeds" in won[1] and "Holm" in won[2]
    speeds = dict.fromkeys(SPEEDS, 20.0)
    tied = headline(summarise(write_rows(tmp_path / "tied", made_up_rows(speeds, seeds=12))))
    assert "a tie, because the interval contains 0" in tied[1]
    assert tied[2].startswith("No strategy beats foreground-aware random") and "4 tied" in tied[2]


def test_tables_for_the_documentation(tmp_path: Path) -> None:
    summary = summarise(write_rows(tmp_path, made_up_rows(seeds=12)))
    text = result_tables.screening_table(summary).markdown()
    lines = text.splitlines()
    assert (
        len(lines) == 2 + len(SPEEDS)
        and lines[0].startswith("| strategy | area |")
        and "gap closed at 20 %" in lines[0]
    )
    assert lines[1].startswith("| --- | ---: |") and all(line.count("|") == lines[0].count("|") for line in lines)
    confirmed = result_tables.confirmation_table(summary)
    assert (
        confirmed.rows[0][0] == "foreground-random-prediction (named beforehand)" and confirmed.rows[0][-1] == "better"
    )
    pair = result_tables.pair_table(summary)
    assert len(pair.head) == 9 and pair.rows[0][5].startswith("+")
    minutes = result_tables.minutes_table(summary).rows[0][1]
    assert " to " in minutes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "rounds.csv"),
        ("strategy,seed,round,fraction\n", "dice_fixed is missing"),
        ("strategy,seed,round,fraction,dice_fixed\n", "no round is finished"),
        ("strategy,seed,round,fraction,dice_fixed\na,0,0,0,much\n", "line 2"),
        ("strategy,seed,round,fraction,dice_fixed\na,0,,0,0.1\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "rounds.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=sentence):
        summarise(tmp_path)


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    text = "strategy,seed,round,fraction,dice_fixed\na,0,0,0,0.1\na,0,1,0.1,0.3\na,0,2"
    (tmp_path / "rounds.csv").write_text(text, encoding="utf-8")
    assert len(summarise(tmp_path).strategies[0].dice.mean) == 2


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path, made_up_rows(seeds=1))
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match=r"config\.json"):
        summarise(tmp_path)


def test_foreground_efficiency_from_scratch_begins_with_the_first_draw(tmp_path: Path) -> None:
    # Round 0 has a Dice of 0 without labels, round 1 is a draw that both strategies share: 20 % of the foreground, Dice
    # 0.4. From there on 0.6 - 0.2 exp(-b (x - 20)) with b = 0.1 for one strategy and 0.01 for the other.
    # From round 1 the fit finds these b. From round 0 it has to go from 0 to 0.4 within 20 % (b = ln 3 / 20 = 0.055),
    # which draws both there: 0.063 and 0.039, although one needs ten times the foreground of the other.
    rows: list[dict[str, object]] = []
    for strategy, b in (("quick", 0.1), ("slow", 0.01)):
        for seed in (0, 1):
            for number, x in enumerate((0.0, 20.0, 30.0, 40.0, 50.0)):
                dice = 0.6 - 0.2 * math.exp(-b * (x - 20)) if number else 0.0
                rows.append(
                    {"strategy": strategy, "seed": seed, "round": number, "labelled": 10 * number, "fraction": x / 100}
                    | {"dice_fixed": dice, "foreground_fraction": x / 100}
                )
    rows += [
        {"strategy": "full", "seed": seed, "round": 0, "labelled": 99, "fraction": 1.0, "dice_fixed": 0.6}
        for seed in (0, 1)
    ]
    folder = write_rows(tmp_path, rows)

    def efficiencies(**settings: object) -> list[float]:
        (folder / "config.json").write_text(json.dumps({"asked": {"settings": settings}}), encoding="utf-8")
        summary = summarise(folder)
        return [summary.strategy(name).foreground.value for name in ("quick", "slow")]  # type: ignore[union-attr]

    assert efficiencies(start="scratch", initial=None) == pytest.approx([0.1, 0.01], abs=1e-4)
    assert efficiencies(start="bundled") == pytest.approx([0.0632, 0.0388], abs=1e-4)  # as it was for scratch, too
    assert all(math.isnan(b) for b in efficiencies(start="scratch", initial=0))
