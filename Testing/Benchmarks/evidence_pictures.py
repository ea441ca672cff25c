"""Pictures for the model card: reliability, risk over coverage, and the slices on which a prediction is most wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.evaluation.pictures import (
    BACKGROUND,
    LABEL,
    SUGGESTION,
    TEXT,
    SliceView,
    montage,
    quiet,
)
from LMIALLib.files import written_whole
from LMIALLib.pairs.orientation import orientation
from LMIALLib.pairs.pair import Pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAILURES = 3
CURVES = {
    "default": ("default strategy", SUGGESTION, "-"),
    "entropy": ("entropy", "#7bd88f", "-"),
    "area": ("predicted area", LABEL, "--"),
    "difference": ("summed difference", "#c792ea", "--"),
    "oracle": ("oracle", "#8b98a5", ":"),
}
"""Word, colour and line of each risk curve that is drawn."""


def reliability_and_risk(cases: Mapping[str, dict[str, Any]]) -> Figure:
    """One row a case, from ``case_figures``: share of change over probability, and risk over coverage."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.3 * len(cases)), facecolor=BACKGROUND, dpi=100)
    rows = figure.subplots(len(cases), 2, squeeze=False)
    for (left, right), (name, found) in zip(rows, cases.items(), strict=True):
        _reliability(left, name, found)
        _risk(right, found["ranking"])
        for axes in (left, right):
            quiet(axes)
            axes.xaxis.label.set_color(TEXT)
            axes.yaxis.label.set_color(TEXT)
            axes.title.set_color(TEXT)
    figure.tight_layout()
    return figure


def failures(pair: Pair, probability: np.ndarray, truth: np.ndarray, count: int = FAILURES) -> Figure:
    """The slices with the most wrong voxels inside the brain region, the worst first.

    Args:
        pair: both scans.
        probability: float stack (slices, rows, columns).
        truth: bool stack.
    """
    brain = pair.stack(pair.mask)
    predicted = (probability >= 0.5) & brain
    wrong = ((predicted != truth) & brain).sum(axis=(1, 2))
    worst = np.argsort(-wrong, kind="stable")[:count]
    views = [
        SliceView(
            caption=f"slice {k}\n(0-{pair.n_slices - 1})\n{wrong[k]} wrong",
            baseline=pair.stack(pair.baseline)[k],
            follow_up=pair.stack(pair.follow_up)[k],
            difference=pair.stack(pair.difference)[k],
            mask=brain[k],
            suggestion=predicted[k],
            label=truth[k].astype(np.uint8),
        )
        for k in worst
    ]
    return montage(
        views,
        orientation=orientation(pair.grid, pair.axis),
        spacing=pair.in_plane_spacing,
        columns=("baseline", "follow-up", "difference", "suggestion and label"),
        legend=False,
    )


def save_small_png(figure: Figure, out: Path, most_bytes: int = 150_000) -> None:
    """Write a figure as PNG of 64 colours, with as many pixels as ``most_bytes`` hold, at least 40 dots an inch."""
    from PIL import Image

    for dpi in range(110, 39, -5):
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, facecolor=figure.get_facecolor(), format="png", dpi=dpi)
        Image.open(drawn).convert("RGB").quantize(64).save(small, format="png", optimize=True)
        if small.tell() <= most_bytes:
            break
    with written_whole(Path(out)) as temporary:
        temporary.write_bytes(small.getvalue())


def _reliability(axes: Axes, name: str, found: dict[str, Any]) -> None:
    table = {key: np.array(found["reliability"][key], dtype=float) for key in ("count", "expected", "seen")}
    axes.plot([0, 1], [0, 1], color="#3a4653", linewidth=1)
    axes.plot(table["expected"], table["seen"], color=SUGGESTION, marker="o", markersize=4, linewidth=1.2)
    for count, x, y in zip(table["count"], table["expected"], table["seen"], strict=True):
        if count:
            axes.annotate(f"{count:.0f}", (x, y), (3, -9), textcoords="offset points", color="#8b98a5", fontsize=6)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability (voxels beside each point)", ylabel="share that changed")
    axes.set_title(f"{name}: expected calibration error {found['calibration_error']:.3f}", fontsize=9)


def _risk(axes: Axes, ranking: dict[str, Any]) -> None:
    for name, (word, colour, line) in CURVES.items():
        risk = np.array(ranking["risk"][name])
        coverage = np.arange(1, len(risk) + 1) / max(len(risk), 1)
        text = f"{word}: {ranking['risk_area'][name]:.1f}"
        axes.plot(coverage, risk, color=colour, linestyle=line, linewidth=1.4, label=text)
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="share of slices kept", ylabel="wrong voxels a kept slice")
    axes.set_title("highest score read first (area under curve)", fontsize=9)
    axes.legend(facecolor=BACKGROUND, edgecolor="#3a4653", labelcolor=TEXT, fontsize=7)
