"""The map of a core-set as a figure: every slice a point in its subject's colour, chosen ones numbered in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.pipeline.map_2d import Embedded

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from LMIALLib.queries.query import Query

BACKGROUND, PANEL, TEXT, CHOSEN, AT_RANDOM = "#11151a", "#161b22", "#d7dde4", "#ffb000", "#d7dde4"
COLOURS = ("#4f9bff", "#e377c2", "#7fc97f", "#9d8df1", "#ef5f5f", "#38c6d9", "#c7e05a", "#d0a060", "#f0a3a3", "#5fd3b0")
SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star-triangle-down", "hexagon")
"""The next symbol comes when all colours have been used."""
NAMED = 30
"""Subjects up to which each has its line in the legend."""
NUMBERED = 150
"""Chosen slices up to which each mark carries its number."""


def map_figure(  # one call of plotly for each kind of mark
    cases: Sequence[Embedded], places: np.ndarray, queries: Sequence[Query], counts: Mapping[str, int]
) -> Figure:
    """The figure. Custom data of a point: rank (0 where it was not chosen), words for who points at it.

    Args:
        cases: all cases.
        places: float (N, 2), of all their slices in order.
        queries: what was chosen.
        counts: slices of each case.
    """
    from plotly.graph_objects import Figure

    rank = {(query.case, query.slice): query for query in queries}
    rows = [(case, int(number)) for case in cases for number in case.slices]
    words = [
        f"{case.case}, slice {number + 1} of {counts[case.case]}<br>subject {case.subject}" for case, number in rows
    ]
    subjects = sorted({case.subject for case in cases})
    figure = Figure()
    for place, subject in enumerate(subjects):
        mine = [
            index
            for index, (case, number) in enumerate(rows)
            if case.subject == subject and (case.case, number) not in rank and number not in case.answered
        ]
        _points(
            figure,
            places[mine],
            [words[index] for index in mine],
            name=subject,
            legendgroup=subject,
            showlegend=len(subjects) <= NAMED,
            marker=_dot(place),
        )
    read = [index for index, (case, number) in enumerate(rows) if number in case.answered]
    if read:
        colours = [_colour(subjects.index(rows[index][0].subject)) for index in read]
        marker = {"symbol": "circle-x-open", "size": 10, "color": colours, "line": {"width": 1.5}}
        labels = [f"{words[index]}<br>annotated before" for index in read]
        _points(figure, places[read], labels, name="annotated before", marker=marker)
    for drawn, name, symbol, edge in (
        ("strategy", "chosen", "circle", CHOSEN),
        ("random", "at random", "diamond", AT_RANDOM),
    ):
        mine = [i for i, (case, number) in enumerate(rows) if _drawn(rank, case, number) == drawn]
        if not mine:
            continue
        asked = [rank[rows[index][0].case, rows[index][1]] for index in mine]
        numbers = len(queries) <= NUMBERED
        _points(
            figure,
            places[mine],
            [f"{words[index]}<br>{query.rank}: {query.reason}" for index, query in zip(mine, asked, strict=True)],
            ranks=[query.rank for query in asked],
            name=name,
            text=[str(query.rank) for query in asked] if numbers else None,
            mode="markers+text" if numbers else "markers",
            textposition="top center",
            textfont={"color": edge, "size": 12},
            marker={
                "symbol": symbol,
                "size": 13,
                "color": [_colour(subjects.index(rows[index][0].subject)) for index in mine],
                "line": {"width": 2.5, "color": edge},
            },
        )
    _styled(figure)
    return figure


def _styled(figure: Figure) -> None:
    """Colours, margins and legend of the page."""
    axis = {"showticklabels": False, "zeroline": False, "gridcolor": "#222a33", "title": None}
    figure.update_layout(
        template="plotly_dark",
        height=680,
        paper_bgcolor=BACKGROUND,
        plot_bgcolor=PANEL,
        font={"color": TEXT, "size": 13},
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis=axis,
        yaxis=axis,
        legend={"itemsizing": "constant", "orientation": "h", "y": -0.02},
        hovermode="closest",
        hoverlabel={"bgcolor": BACKGROUND, "bordercolor": CHOSEN, "font": {"color": TEXT}, "align": "left"},
    )


def _points(
    figure: Figure, places: np.ndarray, words: Sequence[str], *, ranks: Sequence[int] | None = None, **look: Any
) -> None:
    figure.add_scatter(
        x=places[:, 0],
        y=places[:, 1],
        customdata=list(zip(ranks or [0] * len(words), words, strict=True)),
        hovertemplate="%{customdata[1]}<extra></extra>",
        **{"mode": "markers", **look},
    )


def _drawn(rank: Mapping[tuple[str, int], Query], case: Embedded, number: int) -> str:
    query = rank.get((case.case, number))
    return query.drawn if query else ""


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _dot(place: int) -> dict[str, Any]:
    symbol = SYMBOLS[place // len(COLOURS) % len(SYMBOLS)]
    return {"size": 7, "opacity": 0.75, "color": _colour(place), "symbol": symbol}
