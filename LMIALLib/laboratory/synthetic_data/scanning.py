"""Scanning one synthetic history twice: two visits, each with its own protocol and its own space, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.laboratory.synthetic_data import effects
from LMIALLib.laboratory.synthetic_data.effects import Spacing, Strengths
from LMIALLib.pairs.geometry import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

GAIN = 300.0
"""What white matter becomes in the stored integers, before a visit's own scaling."""

SHARE = 0.35
"""Share of a voxel that must have changed for the truth to mark it: readers' masks are generous."""

MOST_GROWTH = 0.25
"""Share of their own volume by which ventricles grow at most: more would fold the tissue around small ones."""

VISIBLE = 0.045
"""Least difference in brightness that the truth calls change, white matter 1."""


@dataclass(frozen=True)
class History:
    """One head before and after its lesions changed, not yet scanned; arrays (k, j, i) on one grid.

    Args:
        grid: where they lie.
        before, after: float32, brightness, 0 in air and 1 in white matter.
        lesion_before, lesion_after: float32 in [0, 1], share of a voxel that is lesion that may have changed.
        number: uint8, around each lesion that changed its number from 1, else 0.
        fates: uint8 (n + 1,), what became of each number: values of the label schema; the first is 0.
        brain: bool.
        ventricles: bool.
        stripped: whether there is no skull: nothing but the brain is shown.
        brain_source: whose head it is.
        shape_sources: whose lesions shaped the change, sorted.
    """

    grid: Grid
    before: np.ndarray
    after: np.ndarray
    lesion_before: np.ndarray
    lesion_after: np.ndarray
    number: np.ndarray
    fates: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    stripped: bool
    brain_source: str
    shape_sources: tuple[str, ...]

    @property
    def spacing(self) -> Spacing:
        """Millimetres along k, j, i."""
        x, y, z = self.grid.spacing
        return (z, y, x)


@dataclass(frozen=True)
class ScannedPair:
    """Two scans of one head; arrays (k, j, i) on the follow-up's grid.

    Args:
        baseline, follow_up: int16 images, each in its own space.
        truth: uint8, values of the label schema; 0 where nothing changed or one visit did not look.
        brain: bool, the part of the brain that both visits show.
        baseline_from_follow_up: the rigid part of the way from points of the follow-up to the same tissue in the
            baseline (LPS, mm); deformation and atrophy come on top.
        lesions: how many lesions of each value of the label schema the truth shows.
    """

    baseline: sitk.Image
    follow_up: sitk.Image
    truth: np.ndarray
    brain: np.ndarray
    baseline_from_follow_up: sitk.Euler3DTransform
    lesions: dict[int, int]


def scan(history: History, strengths: Strengths, rng: np.random.Generator) -> ScannedPair:
    """Scan both visits; the same history, strengths and generator state give the same voxels.

    Of a head whose slices are over 2 mm thick one visit keeps the slices, because thick slices cannot be cut anew
    without loss; the other one's are drawn. The head of the follow-up lies where the history has it; deformation and
    atrophy are undone in the baseline, so that the truth on the follow-up's grid is exact.
    """
    import SimpleITK as sitk

    kept = int(rng.integers(2)) if history.spacing[0] > 2.0 else None
    grids = [
        effects.without_end_slices(
            history.grid if visit == kept else _grid(history, strengths, rng), rng, strengths.missing
        )
        for visit in (0, 1)
    ]
    centre = history.grid.index_to_point()[:3] @ np.append((np.array(history.grid.size) - 1) / 2, 1.0)
    move = effects.rigid_move(rng, strengths.rotation, strengths.translation, centre)
    bent = effects.displacing(_displacement(history, strengths, rng), effects.field_grid(history.grid))
    same = sitk.Transform(3, sitk.sitkIdentity)
    places = (moved_grid(grids[0], move), grids[1])
    routes = (sitk.CompositeTransform([bent, move.GetInverse()]), same)
    images = []
    for volume, place, route in zip((history.before, history.after), places, routes, strict=True):
        images.append(_picture(history, volume, place, route, strengths, rng))
    covered = places[0].image_of(np.ones(places[0].shape, np.uint8))
    seen = _sampled(covered, places[1], move, sitk.sitkNearestNeighbor) > 0
    brain = seen & (_sampled(_image(history, history.brain), places[1], same, sitk.sitkNearestNeighbor) > 0)
    truth, lesions = _truth(history, places[1], brain)
    return ScannedPair(images[0], images[1], truth, brain, move, lesions)


def moved_grid(grid: Grid, move: sitk.Euler3DTransform) -> Grid:
    """Where a grid lies after a rigid move of LPS points."""
    direction = np.array(move.GetMatrix()).reshape(3, 3) @ np.array(grid.direction).reshape(3, 3)
    x, y, z = move.TransformPoint(grid.origin)
    return Grid(grid.size, grid.spacing, (x, y, z), tuple(float(v) for v in direction.ravel()))


def _part(rng: np.random.Generator, strength: float) -> float:
    """0.3 to 1 times a strength."""
    return float(rng.uniform(0.3, 1.0) * strength)


def _grid(history: History, strengths: Strengths, rng: np.random.Generator) -> Grid:
    """Slices of a visit: no finer than the history's voxels, and at least 1 mm."""
    z, y, x = history.spacing
    fine = max(y, x)
    pixel = rng.uniform(max(fine, 0.7), max(strengths.pixel, fine))
    thickness = rng.uniform(max(z, 1.0), max(strengths.thickness, z))
    return effects.other_slices(history.grid, rng, (float(thickness), float(pixel), float(pixel)), strengths.tilt)


def _displacement(history: History, strengths: Strengths, rng: np.random.Generator) -> np.ndarray:
    """Deformation and atrophy together, mm along the index axes i, j, k, on the history's coarse grid."""
    import SimpleITK as sitk

    coarse = effects.field_grid(history.grid)
    same = sitk.Transform(3, sitk.sitkIdentity)
    share = _sampled(_image(history, history.ventricles.astype(np.float32)), coarse, same, sitk.sitkLinear)
    x, y, z = coarse.spacing
    growth = _part(rng, strengths.atrophy) * float(history.brain.sum())
    most = MOST_GROWTH * float(history.ventricles.sum())
    grown = effects.atrophy(share, (z, y, x), min(growth, most) * history.grid.voxel_ml)
    return grown + effects.deformation(coarse.shape, rng, _part(rng, strengths.deformation))


def _picture(
    history: History,
    volume: np.ndarray,
    grid: Grid,
    route: sitk.Transform,
    strengths: Strengths,
    rng: np.random.Generator,
) -> sitk.Image:
    """One visit's image, int16, of a volume of the history; ``route`` maps points of ``grid`` to the history's."""
    import SimpleITK as sitk

    x, y, z = grid.spacing
    blurred = effects.resolution(volume, history.spacing, (z, y, x), _part(rng, strengths.blur))
    bright = np.maximum(_sampled(_image(history, blurred), grid, route, sitk.sitkBSpline), 0.0)
    bright = effects.contrast(bright, rng, _part(rng, strengths.gamma))
    bright = effects.bias(bright, rng, _part(rng, strengths.bias))
    bright = effects.noise(bright, rng, _part(rng, strengths.noise), _part(rng, strengths.grain))
    if history.stripped:
        bright *= _sampled(_image(history, history.brain), grid, route, sitk.sitkNearestNeighbor) > 0
    stored = effects.scaling(bright, rng, _part(rng, strengths.scaling)) * GAIN
    return grid.image_of(np.clip(np.rint(stored), 0, 32767).astype(np.int16))


def _truth(history: History, grid: Grid, brain: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """What a reader of the follow-up's slices would mark inside ``brain``, and how many lesions of each fate it shows.

    Marked are voxels of which more than `SHARE` became lesion or ceased to be, where that is visible.
    """
    import SimpleITK as sitk

    same = sitk.Transform(3, sitk.sitkIdentity)
    x, y, z = grid.spacing

    def seen(volume: np.ndarray) -> np.ndarray:
        profiled = effects.resolution(volume, history.spacing, (z, y, x))
        return np.abs(_sampled(_image(history, profiled), grid, same, sitk.sitkLinear))

    changed = brain & (seen(history.lesion_after - history.lesion_before) > SHARE)
    changed &= seen(history.after - history.before) > VISIBLE
    number = _sampled(_image(history, history.number), grid, same, sitk.sitkNearestNeighbor) * changed
    fates = history.fates[np.unique(number[number > 0])]
    values, counts = np.unique(fates, return_counts=True)
    return history.fates[number], {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _image(history: History, volume: np.ndarray) -> sitk.Image:
    return history.grid.image_of(volume)


def _sampled(image: sitk.Image, grid: Grid, route: sitk.Transform, how: int) -> np.ndarray:
    """Values of ``image`` at the voxels of ``grid``, (k, j, i), 0 outside it; ``route`` maps points of the grid to
    the image's.
    """
    import SimpleITK as sitk

    found = sitk.Resample(image, grid.size, route, how, grid.origin, grid.spacing, grid.direction, 0.0)
    return sitk.GetArrayFromImage(found)
