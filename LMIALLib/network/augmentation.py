"""Strong augmentation of annotated slices: a few of them stretched by what may differ between scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the augmentation: standard deviations where nothing else is stated.

    Args:
        turn: radians; every second crop is mirrored along each side as well.
        scale: logarithm of the magnification, also of the ratio of both sides.
        warp: pixels of smooth deformation.
        gain: logarithm of a factor on both visits; a quarter of it on one alone.
        offset: shift of both visits, robust spreads; a quarter of it on one alone.
        gamma: logarithm of the exponent on both visits' contrast.
        noise: largest standard deviation of noise added to a visit, robust spreads.
        blur: largest share that a visit is mixed with its own 3x3 mean.
    """

    turn: float = 0.2
    scale: float = 0.12
    warp: float = 1.0
    gain: float = 0.12
    offset: float = 0.12
    gamma: float = 0.1
    noise: float = 0.2
    blur: float = 0.6


def sampling_grid(
    shape: tuple[int, int], centre: tuple[float, float], size: int, rng: np.random.Generator, strength: Augmentation
) -> Tensor:
    """Where a crop's pixels lie in a slice, float32 (1, size, size, 2) as ``grid_sample`` wants it (x, y in [-1, 1]).

    Args:
        shape: rows and columns of the slice.
        centre: row and column in the middle of the crop.
        size: rows and columns of the crop.
        rng: the source of chance.
        strength: how far to turn, scale and warp.
    """
    angle = rng.normal(0.0, strength.turn)
    zoom = np.exp(rng.normal(0.0, strength.scale) + rng.normal(0.0, strength.scale / 2, 2))
    mirror = np.where(rng.random(2) < 0.5, -1.0, 1.0)
    ruler = np.arange(size) - (size - 1) / 2
    rows, columns = np.meshgrid(ruler * zoom[0] * mirror[0], ruler * zoom[1] * mirror[1], indexing="ij")
    cosine, sine = np.cos(angle), np.sin(angle)
    row = centre[0] + cosine * rows - sine * columns
    column = centre[1] + sine * rows + cosine * columns
    knots = torch.from_numpy(rng.normal(0.0, strength.warp, (1, 2, 7, 7)).astype(np.float32))
    bend = functional.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True)[0].numpy()
    row, column = row + bend[0], column + bend[1]
    grid = np.stack((2 * (column + 0.5) / shape[1] - 1, 2 * (row + 0.5) / shape[0] - 1), axis=-1)
    return torch.from_numpy(grid[None].astype(np.float32))


def cropped(planes: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Planes (c, rows, columns) seen through a grid, (c, size, size); 0 beyond the slice."""
    return functional.grid_sample(planes[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]


def varied(visits: Tensor, rng: np.random.Generator, strength: Augmentation) -> Tensor:
    """Baseline and follow-up (2, slices, rows, columns) with other contrast, sharpness and noise.

    Most of it is the same for both visits, all of it but the noise for the slices of a visit.
    """
    gamma = float(np.exp(rng.normal(0.0, strength.gamma)))
    above = (visits + 7.0).clamp(min=0.05) / 7.0
    result = (above**gamma - 1.0) * (7.0 / gamma)
    common = rng.normal(0.0, strength.gain), rng.normal(0.0, strength.offset)
    for visit in range(2):
        gain = np.exp(common[0] + rng.normal(0.0, strength.gain / 4))
        offset = common[1] + rng.normal(0.0, strength.offset / 4)
        slices = result[visit] * float(gain) + float(offset)
        mixed = float(rng.uniform(0.0, strength.blur)) if rng.random() < 0.5 else 0.0
        if mixed > 0:
            slices = (1 - mixed) * slices + mixed * functional.avg_pool2d(slices, 3, 1, 1)
        noise = torch.from_numpy(rng.standard_normal(tuple(slices.shape), dtype=np.float32))
        result[visit] = slices + float(rng.uniform(0.0, strength.noise)) * noise
    return result
