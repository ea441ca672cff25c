"""The delivered label of a simulation: read slices as they were read, the rest as suggested, held against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from LMIALLib.pairs.unread import UNREAD

LEVELS = (0.80, 0.90, 0.95)
"""Dice of the delivered label whose slices and minutes are counted."""
CROSSINGS = tuple(f"{kind}_to_{round(100 * level)}" for kind in ("slices", "minutes") for level in LEVELS)
"""Columns of `crossings`."""


def overlap(
    suggested: np.ndarray, truth: np.ndarray, read: Mapping[int, np.ndarray], *, unread_only: bool = False
) -> tuple[int, int]:
    """Voxels that the delivered label and the truth share, and the sum of both volumes, over the whole grid.

    The Dice of several cases is twice the sum of the first over the sum of the second.

    Args:
        suggested: bool (slices, rows, columns).
        truth: bool or uint8 of the same shape, 1 where there is change; 255 (not known) is not counted.
        read: slice to what was marked there, bool (rows, columns).
        unread_only: leave out the slices that were read.
    """
    both = size = 0
    for k, plane in enumerate(truth):
        if k in read and unread_only:
            continue
        known, true = plane != UNREAD, plane == 1
        label = (read[k] if k in read else suggested[k]) & known
        both += int((label & true).sum())
        size += int(label.sum()) + int(true.sum())
    return both, size


def crossing(dice: Sequence[float], level: float) -> int | None:
    """Index from which on the delivered Dice stays at ``level`` or above; None where it never does."""
    below = [index for index, value in enumerate(dice) if not value >= level]
    first = below[-1] + 1 if below else 0
    return first if first < len(dice) else None


def crossings(dice: Sequence[float], slices: Sequence[float], minutes: Sequence[float]) -> dict[str, float | None]:
    """Slices and minutes after which the delivered Dice stays at each level, by the names in `CROSSINGS`.

    Args:
        dice: delivered Dice after each round; NaN where it is not known, which counts as below every level.
        slices, minutes: read and spent by then; NaN where not known.

    None for a level that is never reached, and for minutes that are not known.
    """
    found: dict[str, float | None] = {}
    for kind, spent in (("slices", slices), ("minutes", minutes)):
        for level in LEVELS:
            after = crossing(dice, level)
            known = after is not None and np.isfinite(spent[after])
            found[f"{kind}_to_{round(100 * level)}"] = spent[after] if after is not None and known else None
    return found


def middle(values: Iterable[float | None]) -> float | None:
    """The median, where None stands above all numbers; None where it is one of those."""
    ordered = sorted(float("inf") if value is None else value for value in values)
    found = float(np.median(ordered))
    return None if not np.isfinite(found) else (int(found) if found == int(found) else found)
