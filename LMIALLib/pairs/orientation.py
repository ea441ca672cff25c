"""How a stored slice is turned for display. Radiological convention: the patient's right is on the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.geometry import Grid


@dataclass(frozen=True)
class Orientation:
    """How a stored slice is turned for display, and the letters at its left, right, top and bottom edge."""

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    letters: tuple[str, str, str, str]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The slice as it is displayed."""
        turned = array.T if self.transpose else array
        turned = turned[::-1] if self.flip_rows else turned
        return turned[:, ::-1] if self.flip_columns else turned


def orientation(grid: Grid, axis: int) -> Orientation:
    """Turn slices along array axis ``axis`` so that left-right, then anterior-posterior runs along the columns.

    Rows run from anterior (axial) or superior (coronal, sagittal) downwards, columns from the patient's right (or from
    anterior, sagittal). LPS: +x left, +y posterior, +z superior.
    """
    matrix = np.array(grid.direction).reshape(3, 3)
    rows, columns = (2 - array_axis for array_axis in range(3) if array_axis != axis)
    leading = {index: int(np.argmax(np.abs(matrix[:, index]))) for index in (rows, columns)}
    if leading[rows] == leading[columns]:
        leading[columns] = int(np.argsort(np.abs(matrix[:, columns]))[-2])
    transpose = leading[rows] < leading[columns]
    down, across = (columns, rows) if transpose else (rows, columns)
    flip_down = (matrix[leading[down], down] > 0) == (leading[down] == 2)
    flip_across = bool(matrix[leading[across], across] < 0)
    letters = {0: ("R", "L"), 1: ("A", "P"), 2: ("S", "I")}
    return Orientation(transpose, bool(flip_down), flip_across, (*letters[leading[across]], *letters[leading[down]]))
