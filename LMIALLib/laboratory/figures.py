"""Figures of the laboratory's report: learning and cost curves, the penalty matrix, the chosen slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import WrongUse
from LMIALLib.evaluation.pictures import BACKGROUND, LABEL, SUGGESTION, TEXT
from LMIALLib.laboratory.choices_made import Picks, share_of_seeds, slices_by_case
from LMIALLib.laboratory.headline import BASELINES
from LMIALLib.laboratory.settings import FULL
from LMIALLib.laboratory.summary import Summary

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MEASURES = {
    "dice_fixed": "Dice on the fixed test set",
    "dice_all": "Dice on all slices of the pool",
    "lesion_f1": "lesion-wise F1 (by cover) on the fixed test set",
    "lesion_f1_matched": "lesion-wise F1 (one to one) on the fixed test set",
}
"""Columns whose learning curves can be looked at."""
COLOURS = ("#e377c2", "#7fc97f", "#9d8df1", "#ef5f5f", "#4f9bff", "#c7e05a", "#f0a3a3", "#5fd3b0", "#d0a060", "#b0b7c0")
FIXED_COLOURS = {"default": LABEL, "foreground-random-prediction": SUGGESTION, "random": "#8b98a5"}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
AT_FIRST = 6
"""Curves that are drawn at once; the others wait in the legend."""


def highlighted(summary: Summary, count: int = AT_FIRST) -> list[str]:
    """The strategies to look at first, by area: those named beforehand, baselines, then the best."""
    names = [found.strategy for found in summary.strategies]
    first = [*(summary.planned.first, summary.planned.second)] if summary.planned else []
    wanted = dict.fromkeys(name for name in (*first, "default", *BASELINES, *names) if name in names)
    chosen = list(wanted)[:count]
    return [name for name in names if name in chosen]


def learning_curves(summary: Summary) -> Figure:
    """Means over seeds by fraction of labels, with 95 % bands; buttons change the measure."""
    figure = _figure(height=560)
    measures = [name for name in MEASURES if any(np.isfinite(s.curve(name).mean).any() for s in summary.strategies)]
    seen = highlighted(summary)
    drawn: dict[str, list[Any]] = {name: [] for name in measures}
    for place, found in enumerate(summary.strategies):
        colour, shown = _colour(found.strategy, place), found.strategy in seen or "legendonly"
        curves = {name: found.curve(name) for name in measures}
        x = 100 * found.dice.fraction
        for name, curve in curves.items():
            drawn[name] += [np.concatenate((curve.high, curve.low[::-1])), curve.mean]
        band, middle = drawn[measures[0]][-2:]
        group = {"legendgroup": found.strategy, "visible": shown}
        figure.add_scatter(
            x=np.concatenate((x, x[::-1])),
            y=band,
            mode="lines",
            fill="toself",
            fillcolor=_faint(colour),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            **group,
        )
        figure.add_scatter(
            x=x, y=middle, name=found.strategy, line=_line(found.strategy, place), mode="lines+markers", **group
        )
    end = 100 * max((float(found.dice.fraction[-1]) for found in summary.strategies), default=1.0)
    for name in measures:
        level = _full(summary, name)
        drawn[name].append(np.array([level, level]))
    figure.add_scatter(
        x=[0, end],
        y=drawn[measures[0]][-1],
        name=FULL,
        mode="lines",
        line={"color": "#ffffff", "dash": "dot", "width": 1},
    )
    figure.update_layout(
        xaxis={"title": "slices annotated, % of those that may be queried"},
        yaxis={"title": MEASURES[measures[0]], "range": [-0.02, _top(drawn)]},
        updatemenus=[_buttons(measures, drawn)],
    )
    return figure


def cost_curves(summary: Summary) -> Figure:
    """Dice on the fixed test set by estimated minutes of reading.

    Bands, of two strategies only because they overlap: one constant of the reading time 50 % smaller or larger.
    """
    figure = _figure(height=520)
    seen, banded = highlighted(summary), highlighted(summary, 2)
    for place, found in enumerate(summary.strategies):
        colour = _colour(found.strategy, place)
        group = {"legendgroup": found.strategy, "visible": found.strategy in seen or "legendonly"}
        dice = found.dice.mean
        if found.strategy in banded:
            low, high = (found.curve(name).mean for name in ("minutes_low", "minutes_high"))
            figure.add_scatter(
                x=np.concatenate((low, high[::-1])),
                y=np.concatenate((dice, dice[::-1])),
                mode="lines",
                fill="toself",
                fillcolor=_faint(colour),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                **group,
            )
        minutes = found.curve("minutes").mean
        figure.add_scatter(
            x=minutes, y=dice, name=found.strategy, line=_line(found.strategy, place), mode="lines+markers", **group
        )
    figure.update_layout(xaxis={"title": "estimated minutes of reading"}, yaxis={"title": MEASURES["dice_fixed"]})
    return figure


def penalty_map(summary: Summary) -> Figure:
    """The pairwise penalty matrix; the last column is the mean of a row, the last row that of a column."""
    names = [found.strategy for found in summary.strategies]
    others = max(len(names) - 1, 1)
    matrix = summary.penalty
    table = np.full((len(names) + 1, len(names) + 1), np.nan)
    table[:-1, :-1] = np.where(np.eye(len(names), dtype=bool), np.nan, matrix)
    table[:-1, -1], table[-1, :-1] = matrix.sum(axis=1) / others, matrix.sum(axis=0) / others
    figure = _figure(height=160 + _row_height(len(names)) * (len(names) + 1))
    few = len(names) <= 15
    figure.add_heatmap(
        z=table,
        x=[*names, "it beats others"],
        y=[*names, "it is beaten"],
        zmin=0,
        zmax=1,
        colorscale="Viridis",
        colorbar={"title": "of rounds", "tickformat": ".0%"},
        texttemplate="%{z:.0%}" if few else None,
        hovertemplate="%{y} beats %{x}<br>in %{z:.0%} of the rounds<extra></extra>",
        hoverongaps=False,
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(tickangle=-40, automargin=True, side="bottom")
    return figure


def strip_of_slices(summary: Summary, picks: Picks, case: str) -> Figure:
    """One case of a study: the share of seeds that chose each slice by the last round, under its true change."""
    names = [found.strategy for found in summary.strategies]
    shares = share_of_seeds(picks, names, case)
    return _under_truth(
        names,
        list(range(shares.shape[1])),
        shares,
        picks.changed.get(case),
        titles=("slice, 0-based", "of seeds"),
        hover="slice %{x}, %{y}<br>chosen with %{z:.0%} of the seeds<extra></extra>",
        percent=True,
    )


def counts_by_case(summary: Summary, picks: Picks) -> Figure:
    """A cohort: slices chosen of each case by the last round, mean over seeds; above, its slices with change."""
    names = [found.strategy for found in summary.strategies]
    known = all(case in picks.changed for case in picks.cases)
    changed = np.array([(picks.changed[case] > 0).sum() for case in picks.cases]) if known else None
    return _under_truth(
        names,
        picks.cases,
        slices_by_case(picks, names),
        changed,
        titles=("case of the pool", "slices"),
        hover="%{x}, %{y}<br>%{z:.1f} slices chosen<extra></extra>",
        percent=False,
    )


def _under_truth(
    names: Sequence[str],
    places: Sequence[Any],
    table: np.ndarray,
    truth: np.ndarray | None,
    *,
    titles: tuple[str, str],
    hover: str,
    percent: bool,
) -> Figure:
    """Bars of the truth above a map of (strategies, places)."""
    from plotly.subplots import make_subplots

    body = 60 + _row_height(len(names)) * len(names)
    height = body + 210
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[110 / (110 + body), body / (110 + body)]
    )
    _styled(figure, height)
    if truth is not None:
        figure.add_bar(x=list(places), y=truth, marker={"color": LABEL}, showlegend=False, row=1, col=1)
    figure.add_heatmap(
        z=table,
        x=list(places),
        y=list(names),
        zmin=0,
        zmax=1 if percent else max(float(table.max(initial=0)), 1.0),
        colorscale="Viridis",
        colorbar={"title": titles[1], "tickformat": ".0%" if percent else None, "len": 0.7, "y": 0.35},
        hovertemplate=hover,
        row=2,
        col=1,
    )
    figure.update_yaxes(autorange="reversed", automargin=True, row=2, col=1)
    figure.update_xaxes(title=titles[0], automargin=True, row=2, col=1)
    return figure


def plotly_library() -> str:
    """The JavaScript that draws the figures. Raises WrongUse where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise WrongUse("The report's figures need plotly.", "Install it: pip install 'lmial[laboratory]'") from error
    return str(get_plotlyjs())


def _buttons(measures: Sequence[str], drawn: dict[str, list[Any]]) -> dict[str, Any]:
    """One button a measure, left above the axes."""
    return {
        "type": "buttons",
        "direction": "right",
        "x": 0,
        "xanchor": "left",
        "y": 1.14,
        "bgcolor": "#8b98a5",
        "bordercolor": BACKGROUND,
        "font": {"color": BACKGROUND},
        "buttons": [
            {
                "label": MEASURES[name],
                "method": "update",
                "args": [{"y": drawn[name]}, {"yaxis.title.text": MEASURES[name]}],
            }
            for name in measures
        ],
    }


def _top(drawn: dict[str, list[Any]]) -> float:
    """Upper end of the axis: means alone decide it, because the bands of two seeds reach far beyond any Dice."""
    means = np.concatenate([curve for curves in drawn.values() for curve in [*curves[1::2], curves[-1]]])
    return min(1.15 * float(np.nanmax(means)), 1.0) + 0.02


def _full(summary: Summary, column: str) -> float:
    """The fully annotated reference's mean of a measure; NaN without one."""
    values = [run.column(column)[-1] for run in summary.full_runs]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _figure(height: int) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure()
    _styled(figure, height)
    return figure


def _styled(figure: Figure, height: int) -> None:
    """The page's colours."""
    figure.update_layout(
        template="plotly_dark",
        height=height,
        paper_bgcolor=BACKGROUND,
        plot_bgcolor="#161b22",
        font={"color": TEXT, "size": 13},
        margin={"l": 70, "r": 20, "t": 60, "b": 60},
        legend={"itemsizing": "constant"},
        hoverlabel={"namelength": -1},
    )


def _colour(strategy: str, place: int) -> str:
    return FIXED_COLOURS.get(strategy, COLOURS[place % len(COLOURS)])


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"


def _line(strategy: str, place: int) -> dict[str, Any]:
    """Strategies that share a colour differ in their dashes."""
    dash = "solid" if strategy in FIXED_COLOURS else DASHES[place // len(COLOURS) % len(DASHES)]
    return {"color": _colour(strategy, place), "width": 2, "dash": dash}


def _row_height(count: int) -> int:
    return 26 if count <= 15 else 18
