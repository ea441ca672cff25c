"""Bringing labels from one lattice of voxels onto another by where they lie, never by the order of their axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid

GRID_TOLERANCE_MM = 0.1
"""Largest distance of a voxel from its place at which two lattices still count as one."""
SPACING_TOLERANCE_MM = 0.05
"""Largest difference of two voxel sizes at which the nearest voxel is taken; beyond it outlines would change shape."""
_SAMPLES = 17
"""Points along each axis at which the distance from the nearest voxel is measured where lattices differ."""


@dataclass(frozen=True)
class Mapped:
    """A label on another grid.

    Args:
        values: (k, j, i) on the new grid, 0 where the label has no voxel.
        covered: bool (k, j, i) on the new grid: where the label has a voxel.
        lost: voxels of the label that are not 0 and lie outside of the new grid.
        off_mm: largest distance of a voxel's centre from the one that was taken for it; 0 on one lattice.
    """

    values: np.ndarray
    covered: np.ndarray
    lost: int = 0
    off_mm: float = 0.0


def mapped(path: Path, values: np.ndarray, of: Grid, onto: Grid, *, any_spacing: bool = False) -> Mapped:
    """Bring a label from its grid onto another.

    Where both lie on one lattice (turned, mirrored, cropped, larger, to ``GRID_TOLERANCE_MM``) every voxel is kept as
    it is; else each voxel takes the nearest one. A single plane has no thickness of its own and takes the grid's.

    Args:
        path: the file, for sentences.
        values: (k, j, i) on ``of``.
        any_spacing: whether voxels of other sizes are taken too, as from a mask that another tool resampled.

    Raises BadInput where voxel sizes differ by more than ``SPACING_TOLERANCE_MM``, saying by how much.
    """
    of = _with_thickness(of, onto)
    matrix = np.linalg.inv(onto.index_to_point()) @ of.index_to_point()
    turn = np.round(matrix[:3, :3])
    if np.array_equal(np.abs(turn).sum(axis=0), (1, 1, 1)) and np.array_equal(np.abs(turn).sum(axis=1), (1, 1, 1)):
        moved = _on_one_lattice(values, matrix, turn, of, onto)
        if moved is not None:
            return moved
    if not any_spacing:
        _check_spacings(path, of, onto)
    return _nearest(values, matrix, of, onto)


def shown(grid: Grid) -> str:
    """A grid in words."""
    return f"{' x '.join(map(str, grid.size))} voxels of {' x '.join(f'{v:.3g}' for v in grid.spacing)} mm"


def _with_thickness(of: Grid, onto: Grid) -> Grid:
    """The grid with the other's spacing along axes that have one voxel only: what a header says of those is no size."""
    along = _axes_along(of, onto)
    spacing = [onto.spacing[along[axis]] if of.size[axis] == 1 else of.spacing[axis] for axis in range(3)]
    return replace(of, spacing=(spacing[0], spacing[1], spacing[2]))


def _axes_along(of: Grid, onto: Grid) -> tuple[int, ...]:
    """For each index axis of ``of`` the one of ``onto`` that runs most alike, each taken once."""
    cosines = np.abs(np.reshape(onto.direction, (3, 3)).T @ np.reshape(of.direction, (3, 3)))
    return max(permutations(range(3)), key=lambda order: sum(cosines[order[axis], axis] for axis in range(3)))


def _check_spacings(path: Path, of: Grid, onto: Grid) -> None:
    along = _axes_along(of, onto)
    off = max(abs(of.spacing[axis] - onto.spacing[along[axis]]) for axis in range(3))
    if off > SPACING_TOLERANCE_MM:
        raise BadInput(
            f"{path}: it lies on another grid ({shown(of)}) than the scan it belongs to ({shown(onto)}): voxel sizes "
            f"differ by up to {off:.3g} mm, and LMIAL takes the nearest voxel up to {SPACING_TOLERANCE_MM} mm only.",
            "Resample it to that scan with nearest neighbour, and look at the result.",
        )


def _on_one_lattice(values: np.ndarray, matrix: np.ndarray, turn: np.ndarray, of: Grid, onto: Grid) -> Mapped | None:
    """The label turned, mirrored, cut and filled up; None where a voxel would end up beyond the tolerance."""
    shift = np.round(matrix[:3, 3])
    size, there = np.array(of.size), np.array(onto.size)
    ends = np.stack([shift, turn @ (size - 1) + shift])  # the label's first and last voxel, as indices of the grid
    low, high = np.maximum(ends.min(axis=0), 0), np.minimum(ends.max(axis=0), there - 1)
    placed = np.zeros(onto.shape, values.dtype)
    covered = np.zeros(onto.shape, bool)
    if (low > high).any():
        return Mapped(placed, covered, lost=int(np.count_nonzero(values)))
    corners = np.array([[a, b, c] for a in (low[0], high[0]) for b in (low[1], high[1]) for c in (low[2], high[2])])
    index = (corners - shift) @ turn  # back to the label; a turn's inverse is its transpose
    off = index @ matrix[:3, :3].T + matrix[:3, 3] - corners
    if np.linalg.norm(off * np.array(onto.spacing), axis=1).max() > GRID_TOLERANCE_MM:
        return None
    axes = [int(np.argmax(np.abs(turn[axis]))) for axis in range(3)]  # axes[i] of the label runs along i of the grid
    turned = values.transpose(2, 1, 0).transpose(axes)
    turned = turned[tuple(slice(None, None, int(turn[axis, axes[axis]])) for axis in range(3))]
    first = ends.min(axis=0)
    kept = turned[tuple(slice(int(a), int(b)) for a, b in zip(low - first, high - first + 1, strict=True))]
    place = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))[::-1]
    placed[place], covered[place] = kept.transpose(2, 1, 0), True
    return Mapped(placed, covered, lost=int(np.count_nonzero(values)) - int(np.count_nonzero(kept)))


def _nearest(values: np.ndarray, matrix: np.ndarray, of: Grid, onto: Grid) -> Mapped:
    """Each voxel of the grid takes the label's nearest one; where that is half a voxel and more outside, none."""
    back = np.linalg.inv(matrix)
    placed, covered = np.zeros(onto.shape, values.dtype), np.zeros(onto.shape, bool)
    j, i = np.meshgrid(np.arange(onto.size[1]), np.arange(onto.size[0]), indexing="ij")
    last = np.array(of.size) - 1
    for k in range(onto.size[2]):
        index = np.stack([a * i + b * j + (c * k + offset) for a, b, c, offset in back[:3]])
        near = np.round(index - 1e-9).astype(np.int64)  # a tie goes to the lower voxel, on every machine
        inside = ((near >= 0) & (near <= last[:, None, None])).all(axis=0)
        covered[k] = inside
        at_i, at_j, at_k = near[:, inside]
        placed[k][inside] = values[at_k, at_j, at_i]
    marked = np.argwhere(values)[:, ::-1]
    there = np.round(marked @ matrix[:3, :3].T + matrix[:3, 3])
    lost = np.count_nonzero(((there < 0) | (there > np.array(onto.size) - 1)).any(axis=1))
    return Mapped(placed, covered, lost=int(lost), off_mm=_farthest(back, of, onto))


def _farthest(back: np.ndarray, of: Grid, onto: Grid) -> float:
    """Largest distance in mm of a voxel of the grid from the label's nearest, on a lattice of whole voxels."""
    steps = [np.unique(np.linspace(0, length - 1, _SAMPLES).round()) for length in onto.size]
    index = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ back[:3, :3].T + back[:3, 3]
    near = np.round(index)
    inside = ((near >= 0) & (near <= np.array(of.size) - 1)).all(axis=1)
    return float(np.linalg.norm((index - near)[inside] * np.array(of.spacing), axis=1).max(initial=0.0))
