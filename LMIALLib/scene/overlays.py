"""What the network thinks, over the images: the uncertainty that was ranked, and the suggestion as a thin outline."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.volumes import add_colours, add_volume, keep_out_of_files, show_coloured, voxels_changed, voxels_of

UNCERTAINTY = (
    (0.23, 0.32, 0.55, 1.0),
    (0.17, 0.45, 0.56, 1.0),
    (0.13, 0.57, 0.55, 1.0),
    (0.16, 0.69, 0.50, 1.0),
    (0.37, 0.79, 0.38, 1.0),
    (0.68, 0.86, 0.19, 1.0),
    (0.99, 0.91, 0.15, 1.0),
)
"""The upper part of viridis, whose brightness rises evenly for every kind of colour vision."""
LEAST = 0.15
"""Share of the largest uncertainty below which the image is left clear."""
SUGGESTION = (1.00, 0.42, 0.83)
"""Pink: no colour of viridis, nor of the label's amber."""


class Overlays:
    """The uncertainty volume and the suggestion's segmentation of a case.

    They are predictions: Slicer never writes them, beside the label least of all.

    Args:
        scene: a vtkMRMLScene.
        grid: the pair's grid; axis: array axis of its slices.
    """

    def __init__(self, scene: Any, grid: Grid, axis: int, case: str) -> None:
        from LMIALLib.scene.segments import add_segmentation

        self._axis = axis
        self.top = 0.0
        self.uncertainty = add_volume(scene, np.zeros(grid.shape, dtype=np.float32), grid, "uncertainty", case)
        self._values = voxels_of(self.uncertainty)
        self._colours = add_colours(scene, "uncertainty colours", UNCERTAINTY, case)
        show_coloured(self.uncertainty, self._colours, 0.0, 1.0)
        self.suggestion, self._suggested = add_segmentation(
            scene, grid, "suggestion", [(1, "suggestion", SUGGESTION)], case, inner=True
        )
        for node in (self.uncertainty, self._colours):
            keep_out_of_files(node)
        display = self.suggestion.GetDisplayNode()
        display.SetVisibility2DFill(False)
        display.SetSliceIntersectionThickness(1)
        display.SetVisibility(False)

    def show(self, probability: np.ndarray, uncertainty: np.ndarray, hidden: Collection[int]) -> None:
        """Take over maps (k, j, i), the very ones that were ranked; slices in ``hidden`` stay empty.

        The colours reach from LEAST of it to ``top``, the largest uncertainty of the case.
        """
        from LMIALLib.scene.segments import changed

        self._values[...] = uncertainty
        self._suggested[...] = probability >= 0.5
        for number in hidden:
            np.moveaxis(self._values, self._axis, 0)[number] = 0
            np.moveaxis(self._suggested, self._axis, 0)[number] = 0
        self.top = float(np.max(uncertainty, initial=0.0))
        display, top = self.uncertainty.GetDisplayNode(), max(self.top, 1e-6)
        display.SetWindowLevelMinMax(LEAST * top, top)
        display.SetThreshold(LEAST * top, 2 * top)
        display.SetApplyThreshold(True)
        voxels_changed(self.uncertainty)
        changed(self.suggestion)

    def outline(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take ``before`` out of the suggestion and put ``after`` in, both bool (k, j, i)."""
        from LMIALLib.scene.segments import changed

        self._suggested[before] = 0
        self._suggested[after] = 1
        changed(self.suggestion)

    def clear(self) -> None:
        """Show nothing: there is no map."""
        self.show(np.zeros_like(self._values), np.zeros_like(self._values), ())
