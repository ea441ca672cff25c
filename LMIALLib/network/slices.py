"""From a `Pair` to what the network is fed: masked, clipped slices at a pixel size that the network knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.pair import Pair


@dataclass(frozen=True)
class PixelSizes:
    """Pixel sizes that the training of a network covers, mm; slices outside are resampled before it sees them.

    Args:
        finest_mm, coarsest_mm: a slice whose sides lie between both is taken as it is.
        resampled_mm: pixel size that any other slice is brought to.
    """

    finest_mm: float = 0.5
    coarsest_mm: float = 1.15
    resampled_mm: float = 0.8


PIXEL_SIZES = PixelSizes()
"""Of the weights that LMIAL ships."""
LARGEST_INTENSITY = 8.0
NEIGHBOURS = 1
"""Slices on either side that the network sees beside the one it judges."""


def neighbours_of(chosen: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the slices around each of some slices, of ``count`` in all, int (n, 2 * NEIGHBOURS + 1).

    Beyond the first and the last slice that slice is repeated.
    """
    return np.clip(np.asarray(chosen)[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1), 0, count - 1)


def with_neighbours(stack: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Slices of a stack (slices, rows, columns), each between its neighbours: (n, c, rows, columns), c = 3.

    As ``neighbours_of`` numbers them; copies.
    """
    return stack[neighbours_of(chosen, len(stack))]


def network_input(baseline: np.ndarray, follow_up: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Baseline, follow-up and difference of neighbouring slices, clipped to +-8 robust spreads and 0 outside the brain.

    Args:
        baseline: (..., c, rows, columns) float32 as in `Pair`, c neighbouring slices.
        follow_up: the same shape.
        mask: the same shape, bool.

    Returns float32 (..., 3 * c, rows, columns): the slices of the baseline, of the follow-up, of the difference.
    """
    first = np.clip(baseline, -LARGEST_INTENSITY, LARGEST_INTENSITY, dtype=np.float32) * mask
    second = np.clip(follow_up, -LARGEST_INTENSITY, LARGEST_INTENSITY, dtype=np.float32) * mask
    return np.concatenate((first, second, second - first), axis=-3).astype(np.float32, copy=False)


def network_shape(
    shape: tuple[int, int], spacing: tuple[float, float], pixels: PixelSizes = PIXEL_SIZES
) -> tuple[int, int]:
    """Rows and columns of a slice as the network sees it: its own, unless its pixels are none that training covers.

    Args:
        shape: rows and columns of the slice.
        spacing: mm between rows and between columns.
        pixels: what the network's training covers, see ``Architecture.pixels``.
    """
    if all(pixels.finest_mm <= side <= pixels.coarsest_mm for side in spacing) and max(spacing) / min(spacing) <= 1.3:
        return shape
    rows, columns = (max(16, round(n * side / pixels.resampled_mm)) for n, side in zip(shape, spacing, strict=True))
    return rows, columns


@dataclass(frozen=True)
class Window:
    """The part of a slice that holds brain: [top, bottom) and [left, right), each side a multiple of some number.

    It may reach beyond the slice; what lies there is 0.
    """

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left


def brain_window(mask: np.ndarray, multiple: int, margin: int = 16) -> Window:
    """The smallest window around a mask (..., rows, columns) with ``margin`` pixels and edges at multiples of a number.

    The edges lie on one lattice, and the margin is wide, because a pixel's probability must not depend on where the
    window happens to end: with 4 pixels and any start it did, by up to 0.7 (a lesion's worth of false change).
    """
    flat = mask.reshape(-1, *mask.shape[-2:])
    sides = []
    for axis in (2, 1):
        filled = np.flatnonzero(flat.any(axis=(0, axis)))
        first, last = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 1)
        sides.append(((first - margin) // multiple * multiple, -(-(last + margin) // multiple) * multiple))
    return Window(*sides[0], *sides[1])


def cut(stack: np.ndarray, window: Window) -> np.ndarray:
    """The window of every slice of (..., rows, columns), filled with 0 beyond the slice."""
    rows, columns = stack.shape[-2:]
    result = np.zeros((*stack.shape[:-2], *window.shape), stack.dtype)
    top, bottom = max(window.top, 0), min(window.bottom, rows)
    left, right = max(window.left, 0), min(window.right, columns)
    inside = (slice(top - window.top, bottom - window.top), slice(left - window.left, right - window.left))
    result[..., inside[0], inside[1]] = stack[..., top:bottom, left:right]
    return result


def paste(part: np.ndarray, window: Window, stack: np.ndarray) -> None:
    """The inverse of ``cut``: write the window's values into (..., rows, columns)."""
    rows, columns = stack.shape[-2:]
    top, bottom = max(window.top, 0), min(window.bottom, rows)
    left, right = max(window.left, 0), min(window.right, columns)
    stack[..., top:bottom, left:right] = part[
        ..., top - window.top : bottom - window.top, left - window.left : right - window.left
    ]


def pair_stacks(pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Baseline, follow-up (float32) and mask (bool) of a pair as contiguous stacks (slices, rows, columns)."""
    return (
        np.ascontiguousarray(pair.stack(pair.baseline), dtype=np.float32),
        np.ascontiguousarray(pair.stack(pair.follow_up), dtype=np.float32),
        np.ascontiguousarray(pair.stack(pair.mask), dtype=bool),
    )


def resized(stack: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Slices (n, rows, columns) float32 in another in-plane shape, bilinear, smoothed first where they shrink."""
    import torch
    from torch.nn import functional

    if stack.shape[-2:] == tuple(shape):
        return stack
    values = torch.from_numpy(np.ascontiguousarray(stack, dtype=np.float32))[:, None]
    return functional.interpolate(values, size=tuple(shape), mode="bilinear", antialias=True, align_corners=False)[
        :, 0
    ].numpy()
