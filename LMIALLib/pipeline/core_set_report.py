"""The page of a core-set, one HTML file that needs nothing else: the map of all slices, and what was chosen."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from LMIALLib.errors import WrongUse
from LMIALLib.pipeline.map_2d import Embedded, coordinates
from LMIALLib.pipeline.map_figure import map_figure
from LMIALLib.pipeline.thumbnails import Thumbnails
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from LMIALLib.pipeline.core_set_choice import CoreSet
    from LMIALLib.queries.query import Query
    from LMIALLib.study.store import Study

PICTURED = 300
"""Chosen slices whose thumbnails are on the page, so that it stays small enough to open."""
STYLE = """
body{margin:0;background:#11151a;color:#d7dde4;font:15px/1.5 system-ui,sans-serif}
main{max-width:1500px;margin:0 auto;padding:24px 20px 40px}h1{font-size:26px;margin:0 0 4px}
p.lead{color:#9fb0c0;margin:0 0 10px}.note{border-left:3px solid #38c6d9;padding:2px 12px;color:#b9c6d2;margin:10px 0}
.both{display:grid;grid-template-columns:minmax(0,1fr) 500px;gap:20px;align-items:start}
.map{position:sticky;top:12px}.cards{max-height:calc(100vh - 40px);overflow-y:auto;padding-right:6px}
.card{display:grid;grid-template-columns:34px auto 1fr;gap:10px;padding:8px;border-radius:8px;margin-bottom:6px;
background:#161b22;border:1px solid transparent;cursor:pointer}.card.here,.card:hover{border-color:#ffb000}
.card b{color:#ffb000;font-size:17px}.card.lot b{color:#9fb0c0}.pictures{display:flex;gap:4px}
.pictures img{height:124px;border-radius:4px;display:block}.words{font-size:12.5px;line-height:1.4;color:#b9c6d2;
overflow-wrap:anywhere}.words strong{color:#fff;font-size:13.5px;display:block}
h2{font-size:17px;margin:0 0 8px;color:#fff}
p.small{color:#9fb0c0;font-size:13px;margin:6px 0}
@media(max-width:1050px){.both{grid-template-columns:1fr}.map{position:static}.cards{max-height:none}}
"""
SCRIPT = """
const plot=document.querySelector('.js-plotly-plot'),cards=[...document.querySelectorAll('.card')];
const show=card=>{cards.forEach(one=>one.classList.toggle('here',one===card));};
plot.on('plotly_click',event=>{const rank=event.points[0].customdata[0];
const card=document.getElementById('rank-'+rank);if(card){show(card);card.scrollIntoView({block:'nearest'});}});
const places={};plot.data.forEach((trace,curve)=>(trace.customdata||[]).forEach((rank,point)=>{
if(rank[0])places[rank[0]]={curveNumber:curve,pointNumber:point};}));
cards.forEach(card=>{const place=places[card.id.slice(5)];
card.addEventListener('mouseenter',()=>{show(card);if(place)Plotly.Fx.hover(plot,[place]);});});
"""


def plotly_library() -> str:
    """The JavaScript that draws the map. Raises WrongUse where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise WrongUse("The map of a core-set needs plotly.", "Install it: pip install 'lmial[teachers]'") from error
    return str(get_plotlyjs())


def core_set_page(study: Study, found: CoreSet, embedded: Sequence[Embedded], *, seed: int) -> str:
    """The page: the map beside the chosen slices in order. Raises WrongUse where plotly is missing."""
    library = plotly_library()
    places, how = coordinates(embedded, found.distance, seed)
    counts = {case.name: case.n_slices for case in study.cases.all()}
    figure = map_figure(embedded, places, found.queries, counts)
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False})
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in found.notes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>LMIAL core-set</title>'
        f"<style>{STYLE}</style><script>{library}</script><main>{_heading(study, found, seed)}{notes}"
        f'<div class="both"><section class="map"><h2>All slices that hold brain</h2>{drawn}'
        f'<p class="small">{html.escape(how)}; slices that lie together look alike to the encoder. Click a numbered '
        "mark to see its slice, point at a slice to find its mark.</p></section><section><h2>The chosen slices, in "
        f'order</h2><p class="small">Follow-up, and what differs from the baseline (blue darker, orange brighter now). '
        f'The patient\'s right is on the left.</p><div class="cards">{_cards(study, found.queries, counts)}</div>'
        f"</section></div></main><script>{SCRIPT}</script></html>"
    )


def _heading(study: Study, found: CoreSet, seed: int) -> str:
    at_random = sum(query.drawn == "random" for query in found.queries)
    reached = len({study.cases.get(query.case).subject for query in found.queries})
    there = len({case.subject for case in study.cases.all()})
    encoder = {"bundled": "features of the model in use", "mae": "a masked autoencoder trained on this study"}
    parts = [
        f"{len(found.queries)} of {found.slices} slices ({100 * len(found.queries) / found.slices:.1f} %)",
        f"of {reached} of {there} subjects",
        f"at most {found.most_a_subject} chosen of a subject",
        f"k-center in {found.distance} distance, {encoder.get(found.embedding, 'DINOv2')}",
        "slices with signs of change first",
        f"{at_random} chosen at random, to measure progress fairly",
        f"suggestions: {found.teacher or 'the model in use'}",
        f"seed {seed}",
        f"LMIAL {__version__}",
        "research use only",
    ]
    name = html.escape(study.folder.name)
    return f'<h1>The core-set of {name}</h1><p class="lead">{html.escape(" · ".join(parts))}</p>'


def _cards(study: Study, queries: Sequence[Query], counts: Mapping[str, int]) -> str:
    pictured = queries[:PICTURED]
    pictures: dict[tuple[str, int], str] = {}
    for case in dict.fromkeys(query.case for query in pictured):  # one pair in memory at a time
        thumbnails = Thumbnails(study.cases.load_pair(case))
        for query in pictured:
            if query.case == case:
                pictures[case, query.slice] = (
                    f'<img alt="follow-up" src="{thumbnails.follow_up(query.slice)}">'
                    f'<img alt="difference" src="{thumbnails.difference(query.slice)}">'
                )
    cards = []
    for query in pictured:
        chosen = query.drawn == "strategy"
        cards.append(
            f'<div class="card{"" if chosen else " lot"}" id="rank-{query.rank}"><b>{query.rank}</b>'
            f'<div class="pictures">{pictures[query.case, query.slice]}</div>'
            f'<div class="words"><strong>{html.escape(query.case)}, slice {query.slice + 1} of {counts[query.case]}'
            f"</strong>{html.escape(query.reason)}</div></div>"
        )
    more = len(queries) - len(pictured)
    return "".join(cards) + (f'<p class="small">and {more} more, as the queue shows them</p>' if more else "")
