"""The first slices that each strategy chose, as pictures: both visits with the outline of the true change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.evaluation.pictures import BACKGROUND, LABEL, TEXT
from LMIALLib.laboratory.read_tables import Chosen, read_case

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARRAYS = ("baseline", "follow_up", "mask", "truth")


def first_picks(folder: Path, queries: Mapping[str, Sequence[Chosen]]) -> Figure | None:
    """One row a strategy, for each of its queries baseline and follow-up side by side; amber is true change.

    Slices are shown as they are stored, one grey scale for both visits of a slice.

    Args:
        folder: of the simulation, with its ``cases/``.
        queries: strategy to its first queries.

    Returns None where no case is on disk.
    """
    from matplotlib.figure import Figure

    cases = {row.case for rows in queries.values() for row in rows}
    found = {case: arrays for case in sorted(cases) if (arrays := read_case(folder, case, *ARRAYS)) is not None}
    columns = max((len(rows) for rows in queries.values()), default=0)
    if not found or not columns:
        return None
    width, height = 2.5 * columns + 2.2, 1.5 * len(queries) + 0.3
    figure = Figure(figsize=(width, height), facecolor=BACKGROUND, dpi=90)
    grid = figure.subplots(len(queries), columns, squeeze=False)
    figure.subplots_adjust(left=2.15 / width, right=0.998, top=1 - 0.25 / height, bottom=0.01, wspace=0.04, hspace=0.2)
    for axes_row, (strategy, rows) in zip(grid, queries.items(), strict=True):
        for axes, row in zip(axes_row, rows, strict=False):
            if row.case in found:
                _panel(axes, found[row.case], row, _side_mm(folder, row.case))
        for axes in axes_row:
            axes.set_facecolor(BACKGROUND)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
        axes_row[0].set_ylabel(_broken(strategy), color=TEXT, fontsize=10, rotation=0, ha="right", va="center")
    return figure


def _panel(axes: Axes, arrays: Sequence[np.ndarray], row: Chosen, side_mm: tuple[float, float]) -> None:
    """Baseline and follow-up of one slice in one image, cut to the brain of the whole case."""
    baseline, follow_up, mask, truth = arrays
    seen = mask.max(axis=0)
    rows, columns = np.flatnonzero(seen.max(axis=1)), np.flatnonzero(seen.max(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else np.s_[:, :]
    visits = [stack[row.slice][box].astype(np.float32) for stack in (baseline, follow_up)]
    brain = mask[row.slice][box]
    values = np.concatenate([visit[brain] for visit in visits]) if brain.any() else np.array([0.0, 1.0])
    low, high = np.percentile(values, [0.5, 99.7])
    aspect = side_mm[0] / side_mm[1]
    axes.imshow(np.hstack(visits), cmap="gray", vmin=low, vmax=max(high, low + 1e-3), aspect=aspect)
    change = truth[row.slice][box]
    if change.any():
        axes.contour(np.hstack((change, change)).astype(float), levels=[0.5], colors=[LABEL], linewidths=0.9)
    axes.set_title(f"{row.case}, slice {row.slice}", color=TEXT, fontsize=8, pad=2)


def _side_mm(folder: Path, case: str) -> tuple[float, float]:
    """Distance of rows and of columns; equal where the file does not give them."""
    found = read_case(folder, case, "voxel_mm")
    return (float(found[0][1]), float(found[0][2])) if found else (1.0, 1.0)


def _broken(name: str) -> str:
    """A long name on two lines."""
    words = name.split("-")
    if len(name) <= 20 or len(words) < 2:
        return name
    half = (len(words) + 1) // 2
    return "-".join(words[:half]) + "-\n" + "-".join(words[half:])
