"""The laboratory's report: one HTML file that needs nothing else, from what a simulation left on disk."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from LMIALLib.evaluation.report import STYLE
from LMIALLib.files import written_whole
from LMIALLib.laboratory import figures
from LMIALLib.laboratory.choices_made import Picks, first_queries, picks_of, picks_table
from LMIALLib.laboratory.first_picks import first_picks
from LMIALLib.laboratory.headline import headline
from LMIALLib.laboratory.read_tables import read_chosen
from LMIALLib.laboratory.report_tables import (
    Table,
    comparison_table,
    delivered_table,
    gap_table,
    labels_table,
    leading,
    minutes_table,
    pair_table,
    screening_table,
)
from LMIALLib.laboratory.statistics import SEEDS_FOR_P
from LMIALLib.laboratory.summary import LEAST_GAP, Summary, summarise
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from plotly.graph_objects import Figure

MORE_STYLE = """
main{max-width:1240px}.wide{overflow:auto;max-height:620px;margin-bottom:14px}th{position:sticky;top:0;background:#11151a}
h2{margin-top:44px}
p.headline{font-size:18px;line-height:1.5;color:#fff;margin:8px 0}td{white-space:nowrap}
tr:hover td{background:#161b22}pre{background:#161b22;padding:14px;overflow-x:auto;font-size:12px}
p.small{color:#9fb0c0;font-size:14px}details summary{cursor:pointer;color:#9fb0c0}
"""
PICTURED = 10
"""Strategies whose first queries are shown."""
QUERIES = 4
"""Queries shown of each."""
STRIPS = 6
"""Cases of a study whose strip of slices is shown."""


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a simulation, finished or interrupted, and return its path.

    Raises BadInput where rounds.csv is missing, empty or broken; WrongUse where plotly is not installed.
    """
    folder = Path(folder)
    library, summary = figures.plotly_library(), summarise(folder)
    picks = picks_of(folder, read_chosen(folder), study=summary.config.get("kind") == "study")
    parts = [_heading(summary)]
    if summary.strategies:
        parts += [
            _curves(summary),
            _ranking(summary),
            _gap(summary),
            _comparisons(summary),
            _cost(summary),
            _delivered(summary),
            _asked_for(summary, picks),
            _pictures(folder, summary, picks),
        ]
    parts += [_judging(summary, picks.study), _config(summary)]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>LMIAL laboratory</title>'
        f"<style>{STYLE}{MORE_STYLE}</style><script>{library}</script><main>{''.join(parts)}</main></html>"
    )
    out = folder / "report.html"
    with written_whole(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def _heading(summary: Summary) -> str:
    where, kind = summary.config.get("source"), summary.config.get("kind", "simulation")
    counts = sorted({len(found.runs) for found in summary.strategies} or {0})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    what = f"{kind} {where}" if where and where != kind else kind
    headlines = "".join(f'<p class="headline">{html.escape(sentence)}</p>' for sentence in headline(summary))
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in summary.notes)
    return (
        "<h1>Query strategies compared</h1>"
        f'<p class="lead">{html.escape(what)} · {len(summary.strategies)} strategies, {seeds} seeds · '
        f"LMIAL {__version__} · research use only</p>{headlines}{notes}"
    )


def _curves(summary: Summary) -> str:
    return (
        "<h2>Learning curves</h2>"
        f"<p>Means over seeds. Bands are 95 % intervals of the mean (Student's t over seeds), "
        "so few seeds make them wide. Click a name in the legend to show or hide a strategy, double-click to see it "
        f"alone. White: full annotation.</p>{_drawn(figures.learning_curves(summary))}"
    )


def _ranking(summary: Summary) -> str:
    return (
        "<h2>Ranking</h2><p>Area: under the curve of Dice on the fixed test set over the fraction of labels, divided "
        "by the range of that fraction, so it reads as a mean Dice; interval over seeds. Mean rank: 1 is best in "
        f"every seed. Gap closed: of the Dice between no labels ({summary.start.mean:.3f}) and full annotation "
        f"({summary.full.mean:.3f}).</p>{_wide(screening_table(summary))}"
    )


def _gap(summary: Summary) -> str:
    words = (
        "<h2>What it takes to reach full annotation</h2><p>The fraction of slices at which the mean curve reaches "
        "a share of the fully annotated Dice, or of the gap, straight lines between rounds. Foreground efficiency is b "
        "of Dice(x) = c - a exp(-b (x - x0)), x the per cent of foreground voxels annotated, from "
        "the last round on that all strategies share: higher needs less foreground.</p>"
    )
    page = words + _wide(labels_table(summary))
    if summary.informative:
        page += f"<h2>The gap closed at each budget</h2><p>With 95 % intervals.</p>{_wide(gap_table(summary))}"
    return page


def _comparisons(summary: Summary) -> str:
    lead = leading(summary).strategy
    baseline = next((name for name in figures.BASELINES if summary.strategy(name) and name != lead), None)
    correction = (
        f"p of the others is Holm's, over all {len(summary.comparisons)} pairs but the one named beforehand."
        if summary.seeds >= SEEDS_FOR_P
        else f"No p value is given with fewer than {SEEDS_FOR_P} seeds."
    )
    page = (
        "<h2>Paired comparisons</h2><p>Differences in area on the same seeds, with 95 % intervals that are not "
        "corrected. An interval that contains 0 is a tie. "
        f"{correction} Seeds are repeats of one experiment, not patients.</p>"
    )
    if len(summary.strategies) > 1:
        page += _wide(comparison_table(summary, lead))
        if baseline is not None:
            page += _wide(comparison_table(summary, baseline))
        page += (
            "<h2>Pairwise penalty matrix</h2><p>In how many of the rounds the strategy of the row beats that of the "
            "column: the mean difference in Dice over the same seeds is positive and its 95 % interval (paired, "
            "uncorrected) lies above 0. Rounds before the first query do not count. "
            f"</p>{_drawn(figures.penalty_map(summary))}"
        )
    return page


def _cost(summary: Summary) -> str:
    constants = summary.config.get("constants", {})
    known = {"seconds_a_slice", "seconds_a_boundary_mm", "seconds_a_case_switch"} <= set(constants)
    model = (
        f"{constants['seconds_a_slice']:g} s a slice, {constants['seconds_a_boundary_mm']:g} s a millimetre of "
        f"boundary drawn, {constants['seconds_a_case_switch']:g} s for another case"
        if known
        else "a slice, a millimetre of boundary drawn and another case have a fixed time each"
    )
    return (
        f"<h2>Cost</h2><p>Estimated reading time, nobody was timed: {model}. Brackets, and the bands of two "
        "strategies: the constant that weighs most, 50 % smaller and larger.</p>"
        f"{_drawn(figures.cost_curves(summary))}{_wide(minutes_table(summary))}"
    )


def _delivered(summary: Summary) -> str:
    table = delivered_table(summary)
    if table is None:
        return ""
    learning = summary.config.get("settings", {}).get("learning") or "finetune"
    return (
        "<h2>The delivered label</h2><p>Read slices as they were read, all others as suggested; Dice over the "
        "whole grid, all cases of the pool together, so it holds answers too. A level counts from the round on after "
        "which the Dice stays there; medians over seeds. Minutes: the reader corrects the suggestion. What learns from "
        f"the answers: {html.escape(str(learning))}.</p>{_wide(table)}"
    )


def _asked_for(summary: Summary, picks: Picks) -> str:
    if not picks.rows:
        return ""
    names = [found.strategy for found in summary.strategies]
    page = "<h2>Chosen slices</h2>"
    if picks.study:
        page += "<p>Share of seeds with which a slice was chosen by the last round; amber: true change, voxels.</p>"
        for case in picks.cases[:STRIPS]:
            page += f"<p><b>{html.escape(case)}</b></p>{_drawn(figures.strip_of_slices(summary, picks, case))}"
        page += _wide(pair_table(summary))
        page += (
            '<p class="small">Same-slice gain: Dice on what nobody annotated, minus that of the first model on the '
            "same slices. Which slices are left differs by strategy, so strategies are compared on dice_fixed.</p>"
        )
    else:
        page += (
            "<p>Slices chosen of each case by the last round, means over seeds; amber above: slices with change.</p>"
        )
        page += _drawn(figures.counts_by_case(summary, picks))
    return page + _wide(picks_table(picks, names))


def _pictures(folder: Path, summary: Summary, picks: Picks) -> str:
    shown = first_queries(picks, figures.highlighted(summary, PICTURED), QUERIES)
    picture = first_picks(folder, shown)
    if picture is None:
        return ""
    seed = min(row.seed for rows in shown.values() for row in rows)
    return (
        f"<h2>First queries</h2><p>The first {QUERIES} slices that a strategy chose itself, seed {seed}: baseline "
        "left, follow-up right, as they are stored; amber: true change.</p>"
        f'<img alt="first queries of each strategy" src="data:image/webp;base64,{_webp(picture)}">'
    )


def _judging(summary: Summary, study: bool) -> str:
    test = (
        "One study: contiguous blocks of slices are alternately pool and test, with a guard slice between them, then "
        "swapped; dice_fixed pools the test blocks of both folds. The set of slices nobody annotated differs by "
        "strategy, so strategies are compared on dice_fixed only."
        if study
        else "A cohort: dice_fixed is measured on test subjects that are never queried, the same for all strategies."
    )
    sentences = [
        test,
        "Dice is the lesion's, voxels pooled over the test set. The two-class mean that LMI-AL's code prints is a "
        "column of rounds.csv of its own and is not comparable.",
        "Cases without change add their false positives to pooled figures and take no part in HD95.",
        "The fully annotated reference is trained on the same pool with the same start, recipe, steps and model "
        f"selection; its Dice is the mean over {summary.full.seeds} seeds. A gap under {LEAST_GAP:g} shows nothing.",
        "Intervals are Student's t over seeds. They show how far a repeat with other seeds may differ on these very "
        "cases, nothing of other patients.",
        "A two-dimensional network on slices of volumes, queried by whole slices: no other unit of query is judged.",
    ]
    return "<h2>How it was judged</h2><ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in sentences) + "</ul>"


def _config(summary: Summary) -> str:
    text = html.escape(json.dumps(dict(summary.config), indent=1))
    return f"<h2>Exact configuration</h2><details><summary>config.json</summary><pre>{text}</pre></details>"


def _drawn(figure: Figure) -> str:
    """A figure without the library, which the page holds once."""
    found: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False}
    )
    return found


def _wide(table: Table) -> str:
    return f'<div class="wide">{table.html()}</div>'


def _webp(picture: Picture) -> str:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="webp", facecolor=picture.get_facecolor(), pil_kwargs={"quality": 80})
    return base64.b64encode(buffer.getvalue()).decode()
