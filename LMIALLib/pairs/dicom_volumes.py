"""Which volumes the slices of one DICOM series make: echoes, b-values and points in time share a series and its places.

Slices of different planes are separated first. Then, where several lie at one place, identical copies are left out, and
the others are separated by what their headers say is different (``dicom_slice.KINDS``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from LMIALLib.pairs.dicom_slice import COLUMNS, KINDS, ORIENTATION, POSITION, ROWS, SPACING, Slice, Value
from LMIALLib.pairs.geometry import MAX_VOXELS
from LMIALLib.pairs.headers import MIN_VOXELS_PER_AXIS, MOST_MOVED_MM
from LMIALLib.pairs.itk import read_dicom_slice

SAME_PLACE_MM = 0.01
_INTERLEAVED = ("echo time", "echo", "b-value", "temporal position")
"""These separate volumes even where no two slices lie at one place; the others may change within one volume."""
_UNITS = dict.fromkeys(("echo time", "trigger time", "inversion time"), " ms") | {"flip angle": " degrees"}
_SAME_NUMBER = 1e-5
"""Relative difference of two echo times, say, that are one number written twice."""

Differences = tuple[tuple[str, Value | None], ...]


@dataclass(frozen=True)
class Stack:
    """Slices that make one volume, if they lie evenly.

    Args:
        slices: in no order.
        differs: what separates this volume from the others of its series, as ("echo time", 95.0).
        copies: how many files were left out because another one holds the same.
    """

    slices: tuple[Slice, ...]
    differs: Differences = ()
    copies: int = 0

    @property
    def words(self) -> str:
        """What separates it, for a person: "echo time 95 ms"; empty where the series holds nothing else."""
        return ", ".join(f"{name} {_shown(value)}{_UNITS.get(name, '')}".strip() for name, value in self.differs)


def stacks_of(folder: Path, slices: Sequence[Slice]) -> list[Stack]:
    """The volumes that the slices of one series make, in the order of what separates them.

    Raises BadInput where slices at one place have to be compared and cannot be read.
    """
    planes = _planes(slices)
    if max(map(len, planes)) < MIN_VOXELS_PER_AXIS:
        planes = [list(slices)]  # none is a volume: reading them as one reports what the slices differ in
    found = []
    for plane in planes:
        kept = _without_copies(folder, plane)
        known: Differences = (("plane", _plane_words(plane[0])),) if len(planes) > 1 else ()
        found += [Stack(tuple(part), differs, len(plane) - len(kept)) for part, differs in _separated(kept, known)]
    return found


def edges_of(one: Slice) -> np.ndarray | None:
    """(2, 3) in mm: from the first pixel to the last one along a row, and along a column; None where unknown."""
    turn, step = one.numbers(ORIENTATION, 6), one.numbers(SPACING, 2)
    rows, columns = one.numbers(ROWS, 1), one.numbers(COLUMNS, 1)
    if turn is None or step is None or rows is None or columns is None:
        return None
    return np.array([turn[:3] * step[1] * (columns[0] - 1), turn[3:] * step[0] * (rows[0] - 1)])


def farthest_pixel_mm(first: np.ndarray, second: np.ndarray) -> float:
    """The largest distance (mm) of a pixel's two places, by two ``edges_of`` that share the first pixel."""
    away = first - second
    return float(max(np.linalg.norm(away[0]), np.linalg.norm(away[1]), np.linalg.norm(away[0] + away[1])))


def _planes(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices of one size whose planes are parallel, up to the way that a pixel may move."""
    alike: dict[tuple[Value | None, ...], list[Slice]] = {}
    for one in slices:
        alike.setdefault(tuple(one.values.get(tag) for tag in (ROWS, COLUMNS, ORIENTATION, SPACING)), []).append(one)
    planes: list[list[Slice]] = []
    for group in alike.values():
        edges = edges_of(group[0])
        for plane in planes:
            there = edges_of(plane[0])
            same = group[0].values.get(ROWS) == plane[0].values.get(ROWS)
            same &= group[0].values.get(COLUMNS) == plane[0].values.get(COLUMNS)
            if same and edges is not None and there is not None and farthest_pixel_mm(edges, there) <= MOST_MOVED_MM:
                plane += group
                break
        else:
            planes.append(list(group))
    return planes


def _without_copies(folder: Path, slices: list[Slice]) -> list[Slice]:
    """The slices without those whose place, kind and picture another one has, too."""
    alike: dict[tuple[object, ...], list[Slice]] = {}
    for one in slices:
        kinds = tuple(one.kind(name) for name in KINDS)
        alike.setdefault((one.values.get(POSITION), one.values.get(ORIENTATION), one.rescale, kinds), []).append(one)
    kept = []
    for group in alike.values():
        pixels = [number[0] for tag in (ROWS, COLUMNS) if (number := group[0].numbers(tag, 1)) is not None]
        if len(group) == 1 or group[0].numbers(POSITION, 3) is None or np.prod(pixels) * len(group) > MAX_VOXELS:
            kept += group
            continue
        pictures: dict[str, Slice] = {}
        for one in group:
            pictures.setdefault(_digest(folder, one), one)
        kept += pictures.values()
    return kept


def _digest(folder: Path, one: Slice) -> str:
    voxels = read_dicom_slice(folder, one.file)
    return hashlib.sha256(repr(voxels.shape).encode() + np.ascontiguousarray(voxels).data).hexdigest()


def _separated(slices: list[Slice], known: Differences) -> list[tuple[list[Slice], Differences]]:
    """The parts of slices of one plane, with what separates them. What cannot be separated stays together."""
    repeats = _repeats(slices)
    for name in KINDS:
        groups = _grouped(slices, name)
        if len(groups) < 2 or min(len(group) for _, group in groups) < MIN_VOXELS_PER_AXIS:
            continue
        if repeats:
            better = sum(_repeats(group) for _, group in groups) < repeats
        else:
            better = name in _INTERLEAVED and _overlap([group for _, group in groups])
        if better:
            return [part for value, group in groups for part in _separated(group, (*known, (name, value)))]
    return [(slices, known)]


def _heights(slices: Sequence[Slice]) -> np.ndarray:
    """Sorted places (mm) along the first slice's normal, of those slices that say where they lie."""
    turn = slices[0].numbers(ORIENTATION, 6)
    places = [place for one in slices if (place := one.numbers(POSITION, 3)) is not None]
    if turn is None or not places:
        return np.zeros(0)
    return np.sort(np.array(places) @ np.cross(turn[:3], turn[3:]))


def _repeats(slices: Sequence[Slice]) -> int:
    """How many slices lie where another one does."""
    return int(np.count_nonzero(np.diff(_heights(slices)) < SAME_PLACE_MM))


def _overlap(groups: Sequence[Sequence[Slice]]) -> bool:
    """Whether groups lie among one another, rather than one above the other."""
    ranges = sorted((heights[0], heights[-1]) for group in groups if len(heights := _heights(group)))
    return any(after[0] < before[1] for before, after in pairwise(ranges))


def _grouped(slices: Sequence[Slice], name: str) -> list[tuple[Value | None, list[Slice]]]:
    """Slices by what they say of one kind; numbers that differ by rounding alone are one."""
    groups: list[tuple[Value | None, list[Slice]]] = []
    for value, one in sorted(((one.kind(name), one) for one in slices), key=lambda pair: _in_order(pair[0])):
        before = groups[-1][0] if groups else ()
        same = value == before
        if isinstance(value, float) and isinstance(before, float):
            same = value - before <= _SAME_NUMBER * abs(value)
        if groups and same:
            groups[-1][1].append(one)
        else:
            groups.append((value, [one]))
    return groups


def _in_order(value: Value | None) -> tuple[bool, bool, float, str]:
    number = value if isinstance(value, float) else 0.0
    return value is not None, not isinstance(value, float), number, str(value)


def _plane_words(one: Slice) -> str:
    turn, step = one.numbers(ORIENTATION, 6), one.numbers(SPACING, 2)
    normal = np.zeros(3) if turn is None else np.abs(np.cross(turn[:3], turn[3:]))
    name = ("sagittal", "coronal", "axial")[int(np.argmax(normal))] if normal.any() else "unknown"
    pixels = "" if step is None else f" of {step[1]:.3g} x {step[0]:.3g} mm"
    return f"{name} with {one.text(COLUMNS)} x {one.text(ROWS)} pixels{pixels}"


def _shown(value: Value | None) -> str:
    """A value from a foreign file for a sentence: short, and nothing that a terminal would obey."""
    several = value if isinstance(value, tuple) else ("not given" if value is None else value,)
    text = "/".join(f"{one:.6g}" if isinstance(one, float) else one for one in several)
    return re.sub(r"[^A-Za-z0-9 _.*#/+-]", "?", text)[:60]
