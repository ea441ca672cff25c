"""From a study to pictures: what a reader, a report or the README sees of some slices of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.evaluation.pictures import SliceView, montage
from LMIALLib.pairs.orientation import orientation
from LMIALLib.study.targets import label_volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from LMIALLib.study.store import Study


def case_views(
    study: Study, case: str, slices: Sequence[int], *, notes: Mapping[int, str] | None = None
) -> list[SliceView]:
    """The slices of a case as they were ranked last: the maps that its readers saw, current labels of any reader."""
    pair = study.cases.load_pair(case)
    stored = study.rankings.latest()
    mean = uncertainty = None
    ranks: dict[int, str] = {}
    hidden: set[int] = set()
    without_suggestion: frozenset[int] = frozenset()
    if stored is not None:
        mean = _stack(study.maps.probability(stored, case), pair.axis)
        uncertainty = _stack(study.maps.doubt(stored, case), pair.axis)
        queries = stored.whole.queries
        read = study.answers.current(case)
        without_suggestion = stored.without_suggestion(case)
        hidden = {q.slice for q in queries if q.case == case and q.drawn == "random" and q.slice not in read}
        ranks = {
            q.slice: f"rank {q.rank}" + ("\nrandom" if q.drawn == "random" else "") for q in queries if q.case == case
        }
    labels = _stack(label_volume(study, case)[0], pair.axis)
    assert labels is not None
    views = []
    for number in slices:
        note = (notes or {}).get(number, ranks.get(number, ""))
        if number in hidden:  # chosen at random: the answer must not be led
            note += "\nmaps hidden\nuntil read"
        visible = number not in hidden and number not in without_suggestion
        views.append(
            SliceView(
                caption=f"slice {number}\n(0-{pair.n_slices - 1})" + (f"\n{note}" if note else ""),
                baseline=pair.stack(pair.baseline)[number],
                follow_up=pair.stack(pair.follow_up)[number],
                difference=pair.stack(pair.difference)[number],
                mask=pair.stack(pair.mask)[number],
                uncertainty=uncertainty[number] if uncertainty is not None and visible else None,
                suggestion=mean[number] >= 0.5 if mean is not None and visible else None,
                label=labels[number],
            )
        )
    return views


def case_montage(study: Study, case: str, slices: Sequence[int], *, notes: Mapping[int, str] | None = None) -> Figure:
    """`montage` of `case_views`, turned to radiological convention."""
    pair = study.cases.load_pair(case)
    return montage(
        case_views(study, case, slices, notes=notes),
        orientation=orientation(pair.grid, pair.axis),
        spacing=pair.in_plane_spacing,
    )


def _stack(volume: np.ndarray | None, axis: int) -> np.ndarray | None:
    return None if volume is None else np.moveaxis(volume, axis, 0)
