"""A case as the study knows it, and how it is read from a row."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.json_data import Natural, parse_json
from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.names import checked_file_name, checked_person

SELECT = """
SELECT c.name, c.subject, c.covered, c.created, s.split, p.number, p.axis, p.grid, p.digest
FROM cases c JOIN subjects s ON s.name = c.subject
JOIN pairs p ON p.case_name = c.name AND p.number = (SELECT max(number) FROM pairs WHERE case_name = c.name)
"""
"""Rows that `case_of` takes; a WHERE or ORDER BY may follow."""


@dataclass(frozen=True)
class Case:
    """A pair with its name and subject.

    Args:
        name, subject: names as given; the subject is a pseudonym.
        pair_number: the newest ``pair-<n>`` of the case.
        grid: the pair's grid; axis: array axis (k, j, i) along which slices are counted.
        digest: of the pair, see ``Pair.digest``.
        split: "train" or "validation", for good.
        covered: values of the label schema that the truth of this case covers.
        created: UTC time.
    """

    name: str
    subject: str
    pair_number: int
    grid: Grid
    axis: int
    digest: str
    split: str
    covered: tuple[int, ...]
    created: str

    @property
    def n_slices(self) -> int:
        """Number of slices along the slice axis."""
        return self.grid.shape[self.axis]

    @property
    def slice_shape(self) -> tuple[int, int]:
        """Rows and columns of one slice: the two remaining array axes, in array order."""
        rows, columns = (length for axis, length in enumerate(self.grid.shape) if axis != self.axis)
        return rows, columns

    @property
    def slice_spacing(self) -> float:
        """Millimetres between neighbouring slices."""
        return self.grid.spacing[2 - self.axis]

    def check_slice(self, number: int) -> None:
        """Raise BadInput where the case has no slice with this number."""
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < self.n_slices:
            raise BadInput(f"{self.name} has no slice {number}; its slices are 0 to {self.n_slices - 1}.")


def case_of(row: sqlite3.Row) -> Case:
    """A case of a database that may come from elsewhere: its name becomes the name of folders and files."""
    name = checked_file_name(row["name"], "case name")
    return Case(
        name=name,
        subject=checked_person(row["subject"], "subject"),
        pair_number=row["number"],
        grid=_grid_of(row["grid"], name),
        axis=row["axis"],
        digest=row["digest"],
        split=row["split"],
        covered=_covered_of(row["covered"], name),
        created=row["created"],
    )


@lru_cache(maxsize=1024)  # a case is looked up at every save and every redraw
def _grid_of(text: str, case: str) -> Grid:
    where = f"the case {case}: its grid"
    return Grid.from_dict(parse_json(text, dict[str, Any], where), where)


@lru_cache(maxsize=1024)
def _covered_of(text: str, case: str) -> tuple[int, ...]:
    return parse_json(text, tuple[Natural, ...], f"the case {case}: the classes that its truth covers")
