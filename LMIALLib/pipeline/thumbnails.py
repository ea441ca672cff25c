"""Small pictures of a slice pair for a page: the follow-up, and what differs from the baseline."""

from __future__ import annotations

import base64
import io

import numpy as np

from LMIALLib.pairs.orientation import orientation
from LMIALLib.pairs.pair import Pair

HEIGHT = 160
"""Pixels of a thumbnail from top to bottom."""
COLOURS = ((154, 208, 255), (47, 127, 214), (20, 25, 31), (217, 96, 26), (255, 196, 143))
"""Of the difference: blue (darker now) over the page's dark to orange (brighter now)."""


class Thumbnails:
    """Pictures of slices of one pair, all with one grey window and cut to its brain; the patient's right is left."""

    def __init__(self, pair: Pair) -> None:
        self._pair, self._difference = pair, pair.difference
        mask = pair.stack(pair.mask)
        values = pair.follow_up[pair.mask]
        low, high = np.percentile(values, [0.5, 99.7]) if values.size else (-1.0, 1.0)
        self._low, self._high = float(low), float(max(high, low + 1e-3))
        self._turn = orientation(pair.grid, pair.axis)
        spans = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1))]
        self._box = tuple(slice(max(span[0] - 3, 0), span[-1] + 4) if span.size else slice(None) for span in spans)
        spacing = pair.in_plane_spacing
        self._spacing = spacing[::-1] if self._turn.transpose else spacing

    def follow_up(self, number: int) -> str:
        """The follow-up of a slice in grey, as the address of an embedded PNG."""
        shown = self._turned(self._pair.follow_up, number)
        share = np.clip((shown - self._low) / (self._high - self._low), 0.0, 1.0)
        return self._address((255 * share).astype(np.uint8))

    def difference(self, number: int) -> str:
        """Follow-up minus baseline of a slice in colour, as the address of an embedded PNG."""
        reach = 0.6 * (self._high - self._low)
        shown = self._turned(self._difference, number)
        place = np.clip((shown / reach + 1.0) / 2.0, 0.0, 1.0) * (len(COLOURS) - 1)
        parts = [np.interp(place, np.arange(len(COLOURS)), channel) for channel in np.array(COLOURS).T]
        return self._address(np.stack(parts, axis=-1).astype(np.uint8))

    def _turned(self, volume: np.ndarray, number: int) -> np.ndarray:
        """A slice of a volume (k, j, i) as it is displayed, cut to the brain."""
        return np.ascontiguousarray(self._turn.apply(self._pair.stack(volume)[number][self._box]))

    def _address(self, picture: np.ndarray) -> str:
        from PIL import Image

        rows, columns = (length * mm for length, mm in zip(picture.shape[:2], self._spacing, strict=True))
        size = max(1, round(HEIGHT * columns / rows)), HEIGHT
        image = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
