"""Pictures of slices and scores for files and reports. Radiological convention: the patient's right is on the left."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.orientation import Orientation
from LMIALLib.pairs.unread import UNREAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

COLUMNS = ("baseline", "follow-up", "difference", "uncertainty", "suggestion", "label")
BACKGROUND = "#11151a"
TEXT = "#d7dde4"
SUGGESTION = "#38c6d9"
LABEL = "#ffb000"


@dataclass(frozen=True)
class SliceView:
    """What is shown of one slice, all (rows, columns) in storage order.

    Args:
        caption: stands left of the row.
        baseline, follow_up, difference: float, scaled intensities.
        mask: bool, the brain region.
        uncertainty: float or None when nothing was ranked.
        suggestion: bool or None when nothing was predicted.
        label: uint8 of the label schema, 255 = not read; None is shown as not read.
    """

    caption: str
    baseline: np.ndarray
    follow_up: np.ndarray
    difference: np.ndarray
    mask: np.ndarray
    uncertainty: np.ndarray | None = None
    suggestion: np.ndarray | None = None
    label: np.ndarray | None = None


def montage(
    views: Sequence[SliceView],
    *,
    orientation: Orientation,
    spacing: tuple[float, float],
    columns: Sequence[str] = COLUMNS,
    legend: bool = True,
) -> Figure:
    """One row a slice; ``spacing`` is millimetres between rows and between columns of a stored slice.

    ``columns`` are some of `COLUMNS`, or "suggestion and label" for both in one picture.
    """
    from matplotlib.figure import Figure

    box = _shown_box(views)
    spacing = spacing[::-1] if orientation.transpose else spacing
    shape = orientation.apply(views[0].baseline[box]).shape
    aspect = spacing[0] / spacing[1]
    width = 2.0
    height = width * shape[0] * aspect / shape[1]
    figure = Figure(figsize=(width * len(columns) + 0.9, height * len(views) + 0.75), facecolor=BACKGROUND, dpi=110)
    grid = figure.subplots(len(views), len(columns), squeeze=False)
    total_width, total_height = figure.get_size_inches()
    figure.subplots_adjust(
        left=0.85 / total_width,
        right=1 - 0.05 / total_width,
        bottom=0.42 / total_height,
        top=1 - 0.28 / total_height,
        wspace=0.03,
        hspace=0.03,
    )
    window = _window(views)
    top_uncertainty = max((float(v.uncertainty[box].max()) for v in views if v.uncertainty is not None), default=1.0)
    for row, view in zip(grid, views, strict=True):
        for axes, name in zip(row, columns, strict=True):
            _panel(axes, name, view, box, orientation, window, top_uncertainty, aspect)
        row[0].set_ylabel(view.caption, color=TEXT, fontsize=8, rotation=0, ha="right", va="center", labelpad=12)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, color=TEXT, fontsize=9, pad=4)
    _letters(grid[0][0], orientation.letters)
    if legend:
        _legend(figure, window, top_uncertainty)
    return figure


def score_strip(scores: Sequence[tuple[str, np.ndarray]], marked: Sequence[tuple[int, str]], *, title: str) -> Figure:
    """Every slice's score, one line of bars a ranking; ``marked`` slices (0-based, short text) carry a triangle."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.35 * len(scores) + 0.5), facecolor=BACKGROUND, dpi=110)
    rows = figure.subplots(len(scores), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, values) in zip(rows, scores, strict=True):
        finite = np.where(np.isfinite(values), values, 0.0)
        axes.bar(np.arange(len(values)) + 1, finite, width=0.85, color="#6c7f93")
        top = float(finite.max()) or 1.0
        for number, text in marked:
            axes.bar(number + 1, finite[number], width=0.85, color=LABEL)
            axes.annotate(text, (number + 1, finite[number] + 0.03 * top), color=LABEL, fontsize=7, ha="center")
        axes.set_ylim(0, 1.22 * top)
        axes.set_ylabel(name, color=TEXT, fontsize=8)
        quiet(axes)
    rows[-1].set_xlabel("slice", color=TEXT, fontsize=8)
    rows[0].set_title(title, color=TEXT, fontsize=9, loc="left")
    figure.tight_layout(pad=0.6)
    return figure


def curve_picture(true: Sequence[tuple[int, float]], expected: Sequence[tuple[int, float, float, float]]) -> Figure:
    """The Dice of a delivered label over answers: ``true`` (answers, Dice), ``expected`` (answers, Dice, low, high)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), facecolor=BACKGROUND, dpi=110)
    axes = figure.subplots()
    if expected:
        answers, middle, low, high = (list(one) for one in zip(*expected, strict=True))
        axes.fill_between(answers, low, high, color="#38c6d9", alpha=0.22, linewidth=0, label="expected, 90 %")
        axes.plot(answers, middle, color="#38c6d9", linewidth=1, linestyle="--", label="expected")
    if true:
        axes.plot(*zip(*true, strict=True), color=LABEL, linewidth=2, marker="o", markersize=4, label="true")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("slices read", color=TEXT, fontsize=8)
    axes.set_ylabel("Dice of the delivered label", color=TEXT, fontsize=8)
    quiet(axes)
    legend = axes.legend(loc="lower right", fontsize=8, facecolor=BACKGROUND, edgecolor="#2a333d")
    for text in legend.get_texts():
        text.set_color(TEXT)
    figure.tight_layout(pad=0.6)
    return figure


def save_png(figure: Figure, out: Path) -> None:
    """Write a figure whole. Raises WrongUse for a name that is no PNG's, BadInput where the folder does not exist."""
    from LMIALLib.files import written_whole

    out = Path(out)
    if out.suffix.lower() != ".png":
        raise WrongUse(f"{out}: the picture is a PNG file.", "Give it a name that ends in .png.")
    if not out.parent.is_dir():
        raise BadInput(f"{out}: the folder {out.parent} does not exist.")
    with written_whole(out) as temporary:
        figure.savefig(temporary, facecolor=figure.get_facecolor(), format="png")


def png_bytes(figure: Figure) -> bytes:
    """A figure as PNG, for a self-contained page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, facecolor=figure.get_facecolor(), format="png")
    return buffer.getvalue()


def _shown_box(views: Sequence[SliceView]) -> tuple[slice, slice]:
    """The smallest box around every row's brain region, with a margin of 6 pixels."""
    union = np.any([view.mask for view in views], axis=0)
    if not union.any():
        return slice(None), slice(None)
    rows, columns = np.nonzero(union.any(axis=1))[0], np.nonzero(union.any(axis=0))[0]
    return slice(max(rows[0] - 6, 0), rows[-1] + 7), slice(max(columns[0] - 6, 0), columns[-1] + 7)


def _window(views: Sequence[SliceView]) -> tuple[float, float]:
    """Lower and upper grey value, the same for both visits: robust percentiles of both inside the brain."""
    values = np.concatenate([np.concatenate([v.baseline[v.mask], v.follow_up[v.mask]]) for v in views])
    if values.size == 0:
        return -1.0, 1.0
    low, high = np.percentile(values, [0.5, 99.7])
    return float(low), float(max(high, low + 1e-3))


def _panel(
    axes: Axes,
    name: str,
    view: SliceView,
    box: tuple[slice, slice],
    turn: Orientation,
    window: tuple[float, float],
    top_uncertainty: float,
    aspect: float,
) -> None:
    grey: dict[str, Any] = {"cmap": "gray", "vmin": window[0], "vmax": window[1], "aspect": aspect}
    base = turn.apply((view.baseline if name == "baseline" else view.follow_up)[box])
    if name == "difference":
        reach = 0.6 * (window[1] - window[0])
        axes.imshow(
            turn.apply(view.difference[box]), cmap=_difference_colours(), vmin=-reach, vmax=reach, aspect=aspect
        )
    else:
        axes.imshow(base, interpolation="bilinear", **grey)
    if name == "uncertainty" and view.uncertainty is not None:
        shown = turn.apply(view.uncertainty[box])
        share = np.clip(shown / max(top_uncertainty, 1e-9), 0, 1)
        axes.imshow(shown, cmap="viridis", vmin=0, vmax=top_uncertainty, alpha=np.sqrt(share) * 0.9, aspect=aspect)
    if "suggestion" in name and view.suggestion is not None:
        _outline(axes, turn.apply(view.suggestion[box]), SUGGESTION, 0.9)
    if "label" in name:
        _label(axes, view, box, turn, aspect)
    axes.set_facecolor(BACKGROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _difference_colours() -> Colormap:
    """Blue (darker now) over the page's dark to orange (brighter now): no change is no light."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("difference", ["#9ad0ff", "#2f7fd6", "#14191f", "#d9601a", "#ffc48f"])


def _label(axes: Axes, view: SliceView, box: tuple[slice, slice], turn: Orientation, aspect: float) -> None:
    from matplotlib.colors import to_rgb

    text = "not read"
    if view.label is not None and not (view.label == UNREAD).all():
        marked = turn.apply((view.label[box] > 0) & (view.label[box] != UNREAD))
        text = "" if marked.any() else "nothing here"
        tint = np.dstack([np.full(marked.shape, part) for part in to_rgb(LABEL)] + [marked * 0.28])
        axes.imshow(tint, aspect=aspect)
        _outline(axes, marked, LABEL, 1.4)
    axes.text(0.5, 0.03, text, color=TEXT, fontsize=7, ha="center", transform=axes.transAxes)


def _outline(axes: Axes, marked: np.ndarray, colour: str, width: float) -> None:
    if marked.any() and not marked.all():
        axes.contour(marked.astype(float), levels=[0.5], colors=[colour], linewidths=width)


def _letters(axes: Axes, letters: tuple[str, str, str, str]) -> None:
    places = ((0.02, 0.5, "left"), (0.98, 0.5, "right"), (0.5, 0.96, "center"), (0.5, 0.04, "center"))
    for (x, y, ha), letter in zip(places, letters, strict=True):
        axes.text(x, y, letter, color=TEXT, fontsize=7, ha=ha, va="center", transform=axes.transAxes)


def _legend(figure: Figure, window: tuple[float, float], top_uncertainty: float) -> None:
    reach = 0.6 * (window[1] - window[0])
    text = (
        f"difference: blue darker, orange brighter, to ±{reach:.1f} SD   ·   uncertainty: to {top_uncertainty:.2g}"
        "   ·   cyan: the network's suggestion   ·   amber: read by a person   ·   research use only"
    )
    figure.text(0.5, 0.14 / figure.get_size_inches()[1], text, color="#8b98a5", fontsize=7, ha="center")


def quiet(axes: Axes) -> None:
    """Axes of a plot on the page's dark background, with two thin spines."""
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(colors=TEXT, labelsize=7)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color("#3a4653")
