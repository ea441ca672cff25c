"""What both faces show of the query at hand, and of those that wait. Slices are counted from 1 here, as readers do."""

from __future__ import annotations

from typing import Any

import numpy as np

from LMIALLib.loop.presented import Presented
from LMIALLib.queries.query import Query
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.answer import KINDS


def query_of(workspace: Workspace) -> dict[str, Any]:
    here = workspace.session.current
    crossing = workspace.presenting.crossing.case if workspace.presenting.crossing else ""
    if here is None:
        return {"slice": 0, "of": 0, "crossing": crossing, "reason": "", "drawn": "", "answered": "", "details": []}
    answer = workspace.screen.answers.get(here.slice)
    query = here.query
    return {
        "slice": here.slice + 1,
        "of": workspace.session.study.cases.get(here.case).n_slices,
        "rank": query.rank if query else 0,
        "score": figure(query.score) if query and query.drawn == "strategy" else "",
        "drawn": query.drawn if query else "reader",
        "reason": query.reason if query else "Your own choice.",
        "details": _details(query) + _learnt_from(here),
        "answered": f"read: {KINDS[answer.answer].word}" if answer else "",
        "draft": here.slice in workspace.screen.drafts,
        "crossing": crossing,
        "asking": workspace.screen.asking,
    }


def _details(query: Query | None) -> list[list[str]]:
    """The ranker's own terms; a random query keeps them back, because its answer must not be led."""
    if query is None or query.drawn == "random":
        return []
    return [[name.replace("_", " "), figure(value)] for name, value in query.terms.items()]


def _learnt_from(here: Presented) -> list[list[str]]:
    """Whose answers stand behind the suggestion of a slice: nothing where it may not be known yet."""
    if here.ranking is None or (here.query is not None and here.query.drawn == "random"):
        return []
    slices = here.ranking.learnt_from(here.case)
    return [["learnt from slices", ", ".join(str(number + 1) for number in slices)]] if slices else []


def figure(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "-"


def queued(workspace: Workspace, query: Query) -> dict[str, Any]:
    here = workspace.session.current
    return {
        "rank": query.rank,
        "case": query.case,
        "slice": query.slice + 1,
        "reason": query.reason,
        "lot": query.drawn == "random",
        "score": figure(query.score) if query.drawn == "strategy" else "",
        "here": here is not None and (here.case, here.slice) == (query.case, query.slice),
        "other": workspace.open is not None and query.case != workspace.open.case,
    }
