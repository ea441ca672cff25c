"""Synthetic longitudinal pairs: one head, two visits, two protocols, a known misalignment, and the true change.

A phantom is for demonstrations, tests and pretraining where no scan of a person may go. It looks like a defaced FLAIR
head; it is no model of disease. Two appearances are named: `TRAINING`, and `DEMO`, whose contrast, noise texture and
head shape lie outside every range of `TRAINING`, so that a demonstration does not show a network its own training data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.cohorts.acquisition import Protocol, brightness, detected, head_image, profiled, sampled
from LMIALLib.cohorts.anatomy import Head, HeadShape, make_head
from LMIALLib.cohorts.lesions import LesionCounts, Lesions, place_lesions
from LMIALLib.pairs.geometry import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

TRAINING_SEEDS = range(0, 1_000_000)
"""Seeds that pretraining may use. Demonstrations use `DEMO_SEED` or others outside."""

DEMO_SEED = 2_000_026
"""The seed of the demo."""

Range = tuple[float, float]


@dataclass(frozen=True)
class PhantomAppearance:
    """Ranges (low, high), both included, from which a phantom's parameters are drawn; see `HeadShape` and `Protocol`.

    Args:
        half_width, elongation, height, warp, folding, sulcal_width, ventricles: the head.
        stable, new, enlarged, shrunk, vanished: numbers of lesions.
        radius: mean radius of a lesion, mm.
        changed_extent: mm along the head's axis that changed lesions may touch together.
        csf, grey, lesion, scalp: brightness relative to white matter.
        gain, gamma, bias, noise, grain, blur: drawn for each visit by itself.
        flow: brightening of moving CSF, another pattern at each visit.
        rotation: degrees about each axis between the visits, either sign.
        translation: mm along each axis between the visits, either sign.
        thickness_baseline, thickness_follow_up: mm.
        pixel_baseline, pixel_follow_up: mm.
        coverage: mm along the slice axis.
    """

    half_width: Range = (60.0, 68.0)
    elongation: Range = (1.16, 1.28)
    height: Range = (0.94, 1.02)
    warp: Range = (1.0, 2.2)
    folding: Range = (0.9, 1.1)
    sulcal_width: Range = (0.8, 1.15)
    ventricles: Range = (0.8, 1.35)
    stable: tuple[int, int] = (4, 14)
    new: tuple[int, int] = (1, 3)
    enlarged: tuple[int, int] = (0, 2)
    shrunk: tuple[int, int] = (0, 1)
    vanished: tuple[int, int] = (0, 1)
    radius: Range = (2.6, 6.0)
    changed_extent: float = 40.0
    csf: Range = (0.14, 0.34)
    grey: Range = (1.06, 1.26)
    lesion: Range = (1.4, 2.0)
    scalp: Range = (0.2, 0.7)
    gain: Range = (150.0, 600.0)
    gamma: Range = (0.85, 1.2)
    bias: Range = (0.03, 0.22)
    noise: Range = (0.015, 0.06)
    grain: Range = (0.0, 0.6)
    blur: Range = (0.35, 0.75)
    flow: Range = (0.0, 0.25)
    rotation: Range = (0.0, 5.0)
    translation: Range = (0.0, 6.0)
    thickness_baseline: Range = (3.0, 5.0)
    thickness_follow_up: Range = (2.5, 4.0)
    pixel_baseline: Range = (0.9, 1.15)
    pixel_follow_up: Range = (0.9, 1.1)
    coverage: float = 120.0


TRAINING = PhantomAppearance()
"""What pretraining draws from."""

DEMO = replace(
    TRAINING,
    elongation=(1.30, 1.36),
    ventricles=(1.4, 1.5),
    stable=(7, 11),
    new=(2, 2),
    enlarged=(1, 1),
    shrunk=(1, 1),
    vanished=(1, 1),
    radius=(3.6, 6.2),
    csf=(0.08, 0.12),
    grey=(1.29, 1.36),
    scalp=(0.3, 0.45),
    gain=(250.0, 420.0),
    bias=(0.24, 0.28),
    noise=(0.03, 0.045),
    grain=(0.75, 0.9),
    rotation=(2.0, 4.0),
    translation=(2.0, 5.0),
    thickness_baseline=(4.0, 4.0),
    thickness_follow_up=(3.0, 3.0),
    pixel_baseline=(1.1, 1.1),
    pixel_follow_up=(1.0, 1.0),
)
"""What a demonstration draws from: elongation, ventricles, csf, grey, bias and grain lie outside `TRAINING`."""


@dataclass(frozen=True)
class Phantom:
    """A synthetic pair with its truth; arrays are (k, j, i) on the follow-up's grid.

    Args:
        baseline: int16, as a scanner would store it.
        follow_up: int16, on a grid of its own.
        truth: uint8, label-schema values: 0 no change, 2 new, 3 enlarged, 4 shrunk, 5 vanished. Marked are voxels that
            are lesion at one visit only: all of a new or vanished lesion, the rim of an enlarged or shrunk one.
        brain: bool, cerebrum, cerebellum and brainstem with the CSF inside them.
        baseline_from_follow_up: maps points (LPS, mm) of the follow-up to the same tissue in the baseline, which is
            what a registration with the follow-up as fixed image looks for.
        seed: what it was made from.
    """

    baseline: sitk.Image
    follow_up: sitk.Image
    truth: np.ndarray
    brain: np.ndarray
    baseline_from_follow_up: sitk.Euler3DTransform
    seed: int


def make_phantom(seed: int, *, appearance: PhantomAppearance = TRAINING) -> Phantom:
    """Make the pair that belongs to a seed and an appearance; the same two give the same voxels.

    Takes about 3 seconds of one core and 500 MB. Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"a phantom's seed is 0 or more, not {seed}")
    rng = np.random.default_rng([seed, 2511])
    head = make_head(_draw_shape(appearance, rng), rng)
    lesions = place_lesions(head, _draw_counts(appearance, rng), appearance.radius, appearance.changed_extent, rng)
    protocols = [_draw_protocol(appearance, visit, rng) for visit in ("baseline", "follow_up")]
    poses = _draw_poses(appearance, rng)
    pictures = []
    for protocol, occupancy, pose in zip(protocols, (lesions.before, lesions.after), poses.visits, strict=True):
        flow = _flow(head, _uniform(appearance.flow, rng), rng)
        bright = brightness(head, occupancy, protocol, flow)
        image = head_image(profiled(bright, protocol.thickness, protocol.blur), poses.rotation, poses.position)
        grid = protocol.grid(*pose.middle)
        pictures.append(grid.image_of(detected(sampled(image, grid, pose.to_follow_up), protocol, rng)))
    truth, brain = _truth(head, lesions, protocols[1], poses, Grid.of(pictures[1]))
    return Phantom(pictures[0], pictures[1], truth, brain, poses.baseline_from_follow_up, seed)


def write_phantom(phantom: Phantom, folder: Path) -> None:
    """Write baseline, follow_up, truth, brain (``.nii.gz``) and the transform (``transform.tfm``) into ``folder``."""
    import SimpleITK as sitk

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    grid = Grid.of(phantom.follow_up)
    images = {
        "baseline": phantom.baseline,
        "follow_up": phantom.follow_up,
        "truth": grid.image_of(phantom.truth),
        "brain": grid.image_of(phantom.brain),
    }
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    sitk.WriteTransform(phantom.baseline_from_follow_up, str(folder / "transform.tfm"))


@dataclass(frozen=True)
class _Visit:
    """Where one picture is taken: middle and direction of its grid, and the way from its points to the follow-up's."""

    middle: tuple[np.ndarray, np.ndarray]
    to_follow_up: sitk.Transform


@dataclass(frozen=True)
class _Poses:
    """Rotation and position of the head in the follow-up's space, the misalignment, and both visits."""

    rotation: np.ndarray
    position: np.ndarray
    baseline_from_follow_up: sitk.Euler3DTransform
    visits: tuple[_Visit, _Visit]


def _draw_poses(appearance: PhantomAppearance, rng: np.random.Generator) -> _Poses:
    """Lay the head obliquely into the follow-up's scanner, move it for the baseline; each grid follows it roughly."""
    import SimpleITK as sitk

    def signed(limits: Range) -> list[float]:
        return [float(rng.uniform(*limits) * rng.choice((-1.0, 1.0))) for _ in range(3)]

    rotation = _rotation((rng.uniform(4.0, 10.0), rng.uniform(-3.0, 3.0), rng.uniform(-3.0, 3.0)))
    position = rng.uniform(-12.0, 12.0, 3)
    move = sitk.Euler3DTransform()
    move.SetCenter(tuple(float(v) for v in position))
    move.SetRotation(*(float(v) for v in np.deg2rad(signed(appearance.rotation))))
    move.SetTranslation(signed(appearance.translation))
    middle = position + rotation @ np.array([0.0, 0.0, 8.0])
    moved = np.array(move.TransformPoint([float(v) for v in middle]))
    direction = rotation @ _rotation(tuple(rng.uniform(-2.5, 2.5, 3)))
    turned = np.array(move.GetMatrix()).reshape(3, 3) @ rotation @ _rotation(tuple(rng.uniform(-2.5, 2.5, 3)))
    visits = (
        _Visit((moved, turned), move.GetInverse()),
        _Visit((middle, direction), sitk.Transform(3, sitk.sitkIdentity)),
    )
    return _Poses(rotation, position, move, visits)


def _rotation(degrees: tuple[float, ...]) -> np.ndarray:
    """Rotation matrix (3, 3) by angles about x, y and z."""
    import SimpleITK as sitk

    euler = sitk.Euler3DTransform()
    euler.SetRotation(*(float(v) for v in np.deg2rad(degrees)))
    return np.array(euler.GetMatrix()).reshape(3, 3)


def _truth(
    head: Head, lesions: Lesions, protocol: Protocol, poses: _Poses, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Truth and brain region on the follow-up's grid: a voxel is lesion at a visit where at least half of it is."""
    import SimpleITK as sitk

    same = sitk.Transform(3, sitk.sitkIdentity)

    def seen(volume: np.ndarray, nearest: bool) -> np.ndarray:
        return sampled(head_image(volume, poses.rotation, poses.position), grid, same, nearest=nearest)

    before, after = (seen(profiled(v, protocol.thickness), False) >= 0.5 for v in (lesions.before, lesions.after))
    truth = np.where(before != after, seen(lesions.fate, True), 0).astype(np.uint8)
    return truth, seen(head.brain.astype(np.uint8), True).astype(bool)


def _flow(head: Head, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Brightening of CSF by its motion, float32 (z, y, x) at least 0: soft spots, others at each visit."""
    shift = rng.integers(0, min(head.texture.shape), 3)
    pattern = np.roll(head.texture, tuple(int(v) for v in shift), axis=(0, 1, 2))
    return amplitude * np.maximum(pattern - 0.4, 0.0)


def _uniform(limits: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*limits))


def _whole(limits: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(limits[0], limits[1], endpoint=True))


def _draw_shape(appearance: PhantomAppearance, rng: np.random.Generator) -> HeadShape:
    return HeadShape(**{field.name: _uniform(getattr(appearance, field.name), rng) for field in fields(HeadShape)})


def _draw_counts(appearance: PhantomAppearance, rng: np.random.Generator) -> LesionCounts:
    drawn = {f.name: _whole(getattr(appearance, f.name), rng) for f in fields(LesionCounts)}
    return LesionCounts(**drawn)


def _draw_protocol(appearance: PhantomAppearance, visit: str, rng: np.random.Generator) -> Protocol:
    names = ("csf", "grey", "lesion", "scalp", "gain", "gamma", "bias", "noise", "grain", "blur")
    thickness = _uniform(getattr(appearance, f"thickness_{visit}"), rng)
    return Protocol(
        **{name: _uniform(getattr(appearance, name), rng) for name in names},
        thickness=thickness,
        pixel=_uniform(getattr(appearance, f"pixel_{visit}"), rng),
        slices=round(appearance.coverage / thickness),
    )
