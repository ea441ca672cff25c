"""The numbers of a case's lesions: ``cases/<case>/lesions.json``. A lesion keeps its number; none is given twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import Limits, read_json
from LMIALLib.pairs.geometry import Grid

NUMBERS = "lesions.json"
LOCK = "lesions.lock"
MOST_VOXELS = 50_000_000
"""Of all lesions of a case together, those that have vanished included."""
PATIENCE = 10.0
"""Seconds to wait for a session's other process; a lock older than that was left by one that died."""


_Number = Annotated[int, Limits(least=1, most=2**31 - 1)]
_Name = Annotated[str, Limits(pattern="[1-9][0-9]{0,8}")]


@dataclass(frozen=True)
class _Stored:
    """The file's fields; ``voxels`` holds runs: start, length, start, length ..."""

    grid: dict[str, Any]
    highest: Annotated[int, Limits(least=0, most=2**31 - 1)]
    there: frozenset[_Number]
    voxels: dict[_Name, list[int]]


@dataclass(frozen=True)
class Numbered:
    """Lesions as they were last numbered.

    Args:
        grid: on which they lie, which a case keeps when its scans are registered again; None where there are none.
        highest: the highest number that was ever given.
        there: numbers of the lesions that were found last time; the others have vanished.
        voxels: number -> sorted flat indices, int64, into an array (k, j, i): where each lesion was last found.
    """

    grid: Grid | None
    highest: int
    there: frozenset[int]
    voxels: Mapping[int, np.ndarray]


NONE = Numbered(None, 0, frozenset(), {})


def number_lesions(file: Path, grid: Grid, lesions: np.ndarray, *, keep: bool) -> np.ndarray:
    """Give each lesion the number that it had before, or one that none ever had.

    A lesion takes the number with which it shares most voxels; first come those that were there last time, then those
    that had vanished (an answer was taken back, say), and where several claim one number it goes to the one that shares
    most. Where two lesions grew into one the other number rests, where one fell apart the smaller share is new.

    Args:
        file: the case's ``lesions.json``, which need not exist; grid: of the case.
        lesions: int32 (k, j, i), as ``separate_lesions`` leaves them.
        keep: store the numbers, so that they hold from now on; without it a new lesion's number is not yet taken.

    Returns int32 (k, j, i) with the numbers. Raises BadInput for a file of numbers that is broken, or a disk that
    refuses.
    """
    places = places_of(lesions)
    if not keep:
        numbers, _ = _matched(lesions, places, read_numbers(file), grid)
        return _renumbered(lesions, places, numbers)
    with disk_errors(f"saving the lesions' numbers of {file.parent.name}"), _alone(file.with_name(LOCK)):
        before = read_numbers(file)
        numbers, highest = _matched(lesions, places, before, grid)
        resting = before.voxels if before.grid == grid else {}
        found = {numbers[one]: place for one, place in places.items()}
        after = Numbered(grid, highest, frozenset(found), {**resting, **found})
        if not _same(before, after):
            _write(file, after)
    return _renumbered(lesions, places, numbers)


def places_of(lesions: np.ndarray) -> dict[int, np.ndarray]:
    """Each number of a volume, ascending, and the sorted flat indices, int64, of its voxels; 0 is none."""
    where = np.flatnonzero(lesions)
    names = lesions.ravel()[where]
    order = np.argsort(names, kind="stable")
    found, starts = np.unique(names[order], return_index=True)
    bounds = pairwise([*starts, len(where)])
    return {int(one): where[order[start:end]] for one, (start, end) in zip(found, bounds, strict=True)}


def read_numbers(file: Path) -> Numbered:
    """The stored numbers; none where there is no file. Raises BadInput for a file that is broken."""
    if not file.is_file():
        return NONE
    try:
        return _numbered(read_json(file, _Stored), str(file))
    except BadInput as damage:
        raise BadInput(
            f"{file}: the numbers of the lesions cannot be read: {damage.sentence}",
            "Restore it from a backup, or remove it: lesions are then numbered from 1 again.",
        ) from None


def _numbered(stored: _Stored, where: str) -> Numbered:
    grid = Grid.from_dict(stored.grid, f"{where}: its grid")
    if sum(sum(runs[1::2]) for runs in stored.voxels.values()) > MOST_VOXELS:
        raise BadInput(f"{where}: its lesions have more than {MOST_VOXELS:,} voxels.")
    voxels = {int(number): _unpacked(runs, grid, f"{where}: lesion {number}") for number, runs in stored.voxels.items()}
    if any(number > stored.highest for number in (*voxels, *stored.there)):
        raise BadInput(f"{where}: a lesion has a higher number than was ever given.")
    return Numbered(grid, stored.highest, stored.there, voxels)


def _matched(
    lesions: np.ndarray, places: Mapping[int, np.ndarray], before: Numbered, grid: Grid
) -> tuple[dict[int, int], int]:
    """Found lesion -> its number, and the highest number given; see ``number_lesions``."""
    numbers: dict[int, int] = {}
    taken = set()
    for _, _, number, one in sorted(_claims(lesions, before if before.grid == grid else NONE)):
        if one not in numbers and number not in taken:
            numbers[one] = number
            taken.add(number)
    highest = before.highest
    for one in sorted(places.keys() - numbers.keys(), key=lambda one: (-len(places[one]), places[one][0])):
        highest += 1
        numbers[one] = highest
    return numbers, highest


def _claims(lesions: np.ndarray, before: Numbered) -> list[tuple[bool, int, int, int]]:
    """Whether the number had vanished, minus the voxels shared, the number, the lesion found: the least is best."""
    if not before.voxels:
        return []
    held = np.repeat(list(before.voxels), [len(place) for place in before.voxels.values()])
    found = lesions.ravel()[np.concatenate(list(before.voxels.values()))]
    pairs, shared = np.unique(np.stack([held, found])[:, found > 0], axis=1, return_counts=True)
    return [
        (int(number) not in before.there, -int(count), int(number), int(one))
        for (number, one), count in zip(pairs.T, shared, strict=True)
    ]


def _renumbered(lesions: np.ndarray, places: Mapping[int, np.ndarray], numbers: Mapping[int, int]) -> np.ndarray:
    renumbered = np.zeros(lesions.size, np.int32)
    for one, place in places.items():
        renumbered[place] = numbers[one]
    return renumbered.reshape(lesions.shape)


def _same(before: Numbered, after: Numbered) -> bool:
    return (before.grid, before.highest, before.there) == (after.grid, after.highest, after.there) and all(
        number in before.voxels and np.array_equal(before.voxels[number], place)
        for number, place in after.voxels.items()
    )


def _write(file: Path, numbered: Numbered) -> None:
    assert numbered.grid is not None
    stored = {
        "grid": numbered.grid.to_dict(),
        "highest": numbered.highest,
        "there": sorted(numbered.there),
        "voxels": {str(number): _packed(numbered.voxels[number]) for number in sorted(numbered.voxels)},
    }
    with written_whole(file) as temporary:
        temporary.write_text(json.dumps(stored, separators=(",", ":")), encoding="utf-8")


def _packed(place: np.ndarray) -> list[int]:
    """Sorted indices as runs: start, length, start, length ..."""
    breaks = np.flatnonzero(np.diff(place) != 1) + 1
    starts = place[np.concatenate(([0], breaks))]
    lengths = np.diff(np.concatenate(([0], breaks, [len(place)])))
    return [int(value) for value in np.stack([starts, lengths], axis=1).ravel()]


def _unpacked(runs: list[int], grid: Grid, where: str) -> np.ndarray:
    """The inverse of ``_packed``. Raises BadInput for runs that are not ascending, or not of the grid's voxels."""
    pairs = np.array(runs[: len(runs) // 2 * 2], dtype=np.int64).reshape(-1, 2)
    starts, lengths = pairs.T
    total = int(np.prod(grid.size))
    whole = len(runs) % 2 == 0 and len(pairs) > 0
    inside = ((starts >= 0) & (starts <= total) & (lengths >= 1) & (lengths <= total - starts)).all()
    if not (whole and inside) or (starts[1:] < (starts + lengths)[:-1]).any():
        raise BadInput(f"{where} has no voxels, or some that the case does not have.")
    first = np.cumsum(lengths) - lengths
    return np.repeat(starts - first, lengths) + np.arange(int(lengths.sum()))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep the session's other process (its worker exports) from giving numbers at the same time."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            if time.monotonic() > end:
                raise LMIALError(f"{lock} keeps the lesions from being numbered.", "Remove that file.") from None
            try:
                if time.time() - lock.stat().st_mtime > PATIENCE:
                    lock.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
