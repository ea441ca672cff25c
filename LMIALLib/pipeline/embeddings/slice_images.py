"""Slice pairs as square images of three channels, as encoders of pictures take them."""

from __future__ import annotations

import numpy as np

from LMIALLib.network.slices import Window, cut, network_input, pair_stacks, resized
from LMIALLib.pairs.pair import Pair

CHANNELS = ("baseline", "follow-up", "difference")
UNIT = 2.0
"""Robust spreads of the brain that are 1 in an image; encoders learn badly from values much smaller than 1."""
MARGIN = 1.05
"""Side of the window over the largest extent of the brain."""


def slice_images(pair: Pair, size: int, chosen: np.ndarray) -> np.ndarray:
    """Some slices of a pair, float32 (n, 3, size, size): baseline and follow-up within -4 to 4, their difference.

    One unit is `UNIT` robust spreads of the brain; outside the brain everything is 0. All slices of a
    pair are cut to the same square, in millimetres, around its brain, so that a slice near the vertex stays small.

    Args:
        pair: both visits on one grid.
        size: pixels along each side.
        chosen: int (n,), numbers of the slices.
    """
    baseline, follow_up, mask = pair_stacks(pair)
    window = _square(mask, pair.in_plane_spacing)
    shown = [cut(stack[chosen], window)[:, None] for stack in (baseline, follow_up, mask)]
    images = network_input(*shown) / np.float32(UNIT)
    flat = np.ascontiguousarray(images.reshape(-1, *images.shape[-2:]))
    return resized(flat, (size, size)).reshape(len(chosen), len(CHANNELS), size, size)


def _square(mask: np.ndarray, spacing: tuple[float, float]) -> Window:
    """A window, square in mm, around a mask (n, rows, columns); the whole slice where the mask is empty."""
    spans = []
    for axis in (1, 2):
        filled = np.flatnonzero(mask.any(axis=(0, 3 - axis)))
        spans.append((int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, mask.shape[axis]))
    side = MARGIN * max((last - first) * mm for (first, last), mm in zip(spans, spacing, strict=True))
    edges = []
    for (first, last), mm in zip(spans, spacing, strict=True):
        length = max(1, round(side / mm))
        start = (first + last - length) // 2
        edges += [start, start + length]
    return Window(*edges)
