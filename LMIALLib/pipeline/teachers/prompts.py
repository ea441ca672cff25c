"""Where a model that segments what it is pointed at shall look: boxes and points from the difference of two visits.

The difference is smoothed a little and measured in its own robust spread, so that one threshold fits scans of any
noise; what exceeds it in one piece is put to the model as a box and a point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from LMIALLib.pairs.pair import Pair

Box = tuple[int, int, int, int]
NORMAL_SPREAD = 1.4826
"""Standard deviation of a normal variable over its median absolute deviation."""


@dataclass(frozen=True)
class PromptSettings:
    """How the difference becomes prompts.

    With these numbers a model gets prompts at 9 places in the median slice of two real pairs (open-ms patient01 and
    patient12), and boxes cover most of 14 of 21 and 23 of 44 marked lesions, counted slice by slice from 6 mm2 on. What
    no box covers a teacher cannot find: such lesions hardly differ in brightness.

    Args:
        threshold: in robust spreads of the smoothed difference over the brain.
        smoothing_mm: standard deviation of the Gaussian in the plane.
        smallest_mm2: area of the smallest component that is worth a question.
        margin_mm: by which a box is larger than its component on every side; models are trained on loose boxes.
        most: components of a slice, those with the largest summed excess first; bounds time and memory.
    """

    threshold: float = 4.0
    smoothing_mm: float = 1.2
    smallest_mm2: float = 6.0
    margin_mm: float = 2.0
    most: int = 12


@dataclass(frozen=True)
class Prompt:
    """A component of the difference as a model is pointed at it, in pixels of one slice.

    Args:
        number: of the slice.
        box: first and last + 1 row, first and last + 1 column, loosely around the component on this slice.
        region: the same around all slices of the component.
        point: row and column of the largest difference.
        excess: sum over the component of what exceeds the threshold.
        extent: first and last + 1 slice that the component touches.
    """

    number: int
    box: Box
    region: Box
    point: tuple[int, int]
    excess: float
    extent: tuple[int, int]

    @property
    def window(self) -> tuple[slice, slice]:
        """The region as an index of a slice."""
        top, bottom, left, right = self.region
        return slice(top, bottom), slice(left, right)


def standardised_difference(pair: Pair, settings: PromptSettings) -> np.ndarray:
    """Smoothed difference over its robust spread, signed, float32 (slices, rows, columns), 0 outside the brain.

    Smoothed within the brain only (normalised convolution, Knutsson and Westin 1993): sum(g d) / sum(g mask). The
    spread is 1.4826 times the median absolute value over all voxels of the brain; all 0 where the visits are equal.
    """
    from scipy.ndimage import gaussian_filter

    mask = pair.stack(pair.mask)
    sigma = (0.0, *(settings.smoothing_mm / side for side in pair.in_plane_spacing))
    smooth = gaussian_filter(pair.stack(pair.difference).astype(np.float32), sigma)
    weight = gaussian_filter(mask.astype(np.float32), sigma)
    smooth = np.where(mask, smooth / np.maximum(weight, 1e-6), np.float32(0))
    spread = NORMAL_SPREAD * float(np.median(np.abs(smooth[mask]))) if mask.any() else 0.0
    return (smooth / spread).astype(np.float32) if spread > 0 else np.zeros_like(smooth, dtype=np.float32)


def excess_of_slices(difference: np.ndarray, settings: PromptSettings) -> np.ndarray:
    """How different the visits are in each slice: sum of what exceeds the threshold, float64 (slices,)."""
    return np.maximum(np.abs(difference) - settings.threshold, 0).sum(axis=(1, 2), dtype=np.float64)


def prompts_of_slice(difference: np.ndarray, number: int, pair: Pair, settings: PromptSettings) -> list[Prompt]:
    """Prompts of one slice of ``standardised_difference``, the largest excess first."""
    return _prompts(difference[number : number + 1], number, pair, settings, settings.most)


def prompts_of_volume(difference: np.ndarray, pair: Pair, settings: PromptSettings, most: int) -> list[Prompt]:
    """One prompt for each component of a whole pair, on the slice where its difference is largest; at most ``most``."""
    return _prompts(difference, 0, pair, settings, most)


def background_confidence(difference: np.ndarray, settings: PromptSettings) -> np.ndarray:
    """Confidence in "no change" where the model gets no prompt: 1 - |difference| / threshold, at least 0, float32."""
    return np.clip(1 - np.abs(difference) / settings.threshold, 0, 1).astype(np.float32)


def _prompts(stack: np.ndarray, first: int, pair: Pair, settings: PromptSettings, most: int) -> list[Prompt]:
    """Components (all neighbours) of a stack that begins with slice ``first``; brighter and darker ones apart."""
    from scipy.ndimage import find_objects, label

    rows_mm, columns_mm = pair.in_plane_spacing
    smallest = max(1, math.ceil(settings.smallest_mm2 / (rows_mm * columns_mm)))
    found = []
    for sign in (1, -1):
        signed = sign * stack
        labels, _ = label(signed > settings.threshold, structure=np.ones((3, 3, 3)))
        for value, place in enumerate(find_objects(labels), start=1):
            excess = np.where(labels[place] == value, signed[place] - settings.threshold, 0)
            highest = np.unravel_index(int(excess.argmax()), excess.shape)
            k, row, column = (int(at + part.start) for at, part in zip(highest, place, strict=True))
            on_slice = np.asarray(excess[highest[0]] > 0)
            if int(on_slice.sum()) < smallest:
                continue
            box, region = (
                _loose_box(part, place[1].start, place[2].start, pair, settings.margin_mm)
                for part in (on_slice, np.asarray((excess > 0).any(axis=0)))
            )
            extent = first + place[0].start, first + place[0].stop
            found.append(Prompt(first + k, box, region, (row, column), float(excess.sum()), extent))
    return sorted(found, key=lambda prompt: (-prompt.excess, prompt.number, prompt.box))[:most]


def _loose_box(part: np.ndarray, top: int, left: int, pair: Pair, margin_mm: float) -> Box:
    """Box around the set pixels of a part of a slice that begins at (top, left), grown and cut at the slice's edge."""
    sides = []
    for start, axis, length, side_mm in zip((top, left), (1, 0), pair.slice_shape, pair.in_plane_spacing, strict=True):
        filled = np.flatnonzero(part.any(axis=axis)) + start
        grown = max(1, round(margin_mm / side_mm))
        sides += [max(0, int(filled[0]) - grown), min(length, int(filled[-1]) + 1 + grown)]
    return sides[0], sides[1], sides[2], sides[3]
