"""Segments on one grid, as a segmentation holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.geometry import Grid

MOST_SEGMENTS = 1000


@dataclass(frozen=True)
class NamedSegment:
    """A segment as it is drawn: ``inside`` is bool (k, j, i) on the segmentation's grid."""

    name: str
    inside: np.ndarray


@dataclass(frozen=True)
class Segmentation:
    """Segments on one grid, in the order of the file; they may overlap."""

    segments: tuple[NamedSegment, ...]
    grid: Grid

    def named(self, name: str) -> np.ndarray | None:
        """Where a segment of that name (in any case of its letters) is drawn; None where there is none."""
        found = [one.inside for one in self.segments if one.name.casefold() == name.casefold()]
        return np.any(found, axis=0) if found else None
