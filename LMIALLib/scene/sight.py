"""What of each slice was on the screen, and for how long: an answer speaks for that alone.

The workspace numbers every *place* that the views look at; the face says for how long a place has been drawn in all
views. A voxel counts as seen once it lay inside a view, at one or more screen pixels, for `LONG_ENOUGH`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from LMIALLib.scene.navigation import Navigation

LONG_ENOUGH = 0.3
"""Seconds that a place is on the screen before it counts as seen, and before an answer is taken."""
MOST_PLACES = 2000
"""Places that are remembered: a face may speak of one a little after it was left."""


@dataclass(frozen=True)
class Place:
    """What the views look at together, from one change to the next.

    Args:
        number: counts the changes.
        case: whose pair it is.
        slice: of the case's own plane, 0-based; None while another plane is shown.
        rows, columns: voxels inside a view, from and up to (not included); (0, 0) where none is large enough.
    """

    number: int
    case: str
    slice: int | None
    rows: tuple[int, int]
    columns: tuple[int, int]


class Sight:
    """Where the views look, and what was seen of each slice since its case was opened."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self._key: Hashable = None
        self._count = 0
        self._places: OrderedDict[int, Place] = OrderedDict()
        self._seconds: dict[int, float] = {}
        self._shapes: dict[str, tuple[int, int]] = {}
        self._masks: dict[tuple[str, int], np.ndarray] = {}
        self._looked = 0

    def move(
        self, case: str, pair: str, navigation: Navigation, size: tuple[int, int], *, follow_up_shown: bool
    ) -> None:
        """The views look at what ``navigation`` says, in panes of ``size`` (width, height) pixels; ``pair`` names the
        images. Where the follow-up is not shown, nothing counts as seen."""
        point = tuple(np.round(navigation.point, 3))
        key = (case, pair, navigation.current, point, navigation.mm_per_pixel, size, follow_up_shown)
        if key == self._key:
            return
        if self._key is None or (case, pair) != self._key[:2]:  # type: ignore[index]
            self.forget(case)
        self._key = key
        self._count += 1
        grid, plane = navigation.planes[0].grid, navigation.planes[0]
        across = [axis for axis in range(3) if axis != plane.axis]
        self._shapes[case] = (grid.shape[across[0]], grid.shape[across[1]])
        main = navigation.current == 0
        rows, columns = navigation.inside(size) if main and follow_up_shown else ((0, 0), (0, 0))
        self.place = Place(self._count, case, navigation.slice if main else None, rows, columns)
        self._places[self._count] = self.place
        while len(self._places) > MOST_PLACES:
            self._seconds.pop(self._places.popitem(last=False)[0], None)

    def forget(self, case: str) -> None:
        """Nothing of a case counts as seen any more: it has other images."""
        self._masks = {key: mask for key, mask in self._masks.items() if key[0] != case}
        self._seconds = {n: s for n, s in self._seconds.items() if n in self._places and self._places[n].case != case}

    def looked(self, number: int, seconds: float) -> None:
        """A place has been on the screen, in all views, for so many seconds by now; an unknown one is left out."""
        place = self._places.get(number)
        if place is None:
            return
        self._looked = number
        self._seconds[number] = max(self._seconds.get(number, 0.0), seconds)
        if place.slice is None or self._seconds[number] < LONG_ENOUGH:
            return
        mask = self._masks.setdefault((place.case, place.slice), np.zeros(self._shapes[place.case], dtype=bool))
        mask[slice(*place.rows), slice(*place.columns)] = True

    @property
    def settled(self) -> bool:
        """Whether the face looks at the very place at which the views are, and has for long enough."""
        here = self.place
        return here is not None and self._looked == here.number and self._seconds.get(here.number, 0.0) >= LONG_ENOUGH

    def seen(self, case: str, number: int) -> np.ndarray:
        """What of a slice was seen, bool (rows, columns)."""
        mask = self._masks.get((case, number))
        return np.zeros(self._shapes[case], dtype=bool) if mask is None else mask.copy()

    def seconds(self, case: str, number: int) -> float:
        """For how long a slice was on the screen."""
        here = (place.number for place in self._places.values() if (place.case, place.slice) == (case, number))
        return sum(self._seconds.get(one, 0.0) for one in here)


def unseen_share(region: np.ndarray, seen: np.ndarray) -> float:
    """Share of a slice's region (rows, columns) bool that was never seen, 0 to 1; 0 where the region is empty.

    >>> unseen_share(np.array([[True, True, True, True]]), np.array([[True, True, True, False]]))
    0.25
    """
    whole = int(np.count_nonzero(region))
    return float(np.count_nonzero(region & ~seen)) / whole if whole else 0.0
