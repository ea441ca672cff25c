"""Rigid, then affine registration of two scans of one head, with a figure that says whether it can be trusted.

Mattes mutual information (Mattes et al., IEEE TMI 22, 2003) is maximised from coarse to fine: SimpleITK's gradient
search on two coarse levels, where every voxel of the region is a sample and one thread adds them up; then ``climbing``
on a seeded draw of voxels. So the same inputs give the same transform, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.outliers import usual_range
from LMIALLib.pairs.transforms import matrix_of, transform_of

if TYPE_CHECKING:
    import SimpleITK as sitk

    from LMIALLib.pairs.climbing import VoxelSample
    from LMIALLib.pairs.similarity import Comparison

LEVELS_MM = (8.0, 4.0, 2.2)
"""Voxel sizes of the pyramid; axes that are coarser already stay as they are."""
STEPS_MM = (4.0, 2.0)
"""First step of the gradient search on the two coarse levels."""
KINDS = ("automatic", "rigid", "affine")
SAMPLE = 16_000
"""Voxels on which the finest level searches, and as many others on which rigid and affine are compared."""
WORKING_MM = 1.1
"""Voxels are averaged to no more than this first: the finest level does not need more, and memory and time do."""
SMOOTHING_MM = 1.5
"""Standard deviation of the Gaussian before all levels: without it mutual information prefers voxels that fall on
voxels, and the search stops on such ridges."""
RIM_MM = 5.0
"""How far beyond its region the search looks: the edges there align too."""
AFFINE_GAIN = 0.025
"""Affine is kept where it raises mutual information over rigid by this share at least, on voxels neither was fitted to.
Between two rigid copies of one head it gains up to 0.019, because stretching evens out the blur of interpolation."""
AFFINE_STRETCH = 0.05
"""Affine is dropped where it stretches any direction by more than this share: heads keep their size, only scanners'
gradients differ."""
POOR_QUALITY = 0.62
"""Below this figure (see ``similarity.registration_quality``) two visits in one contrast raise the alarm. Seen on two
FLAIR pairs: right 0.88 and 0.89; 1 mm and 1 degree off 0.78; 2 mm and 2 degrees off 0.60; the same head mirrored, at
best fit, 0.49; another patient, at best fit, 0.25 to 0.32."""
POOR_BETWEEN_CONTRASTS = 0.35
"""The same for two contrasts of one visit: T1 and T2 to FLAIR 0.47 to 0.64 where right."""


@dataclass(frozen=True)
class Registration:
    """What registration found.

    Args:
        transform: maps points (LPS, mm) of the fixed image to points of the moving image, as ``sitk.Resample`` wants.
        report: JSON-ready: ``kind`` ("rigid", "affine" or "none"), ``matrix`` (4 x 4, row by row), ``metric_before``
            and ``metric_after`` (mutual information in nats times coverage, higher is better), ``quality`` in [0, 1],
            ``alarm``, ``sentence``.
    """

    transform: sitk.Transform
    report: dict[str, Any]


def register(
    fixed: sitk.Image,
    moving: sitk.Image,
    *,
    fixed_mask: np.ndarray | None = None,
    seed: int = 0,
    threads: int | None = None,
    kind: str = "automatic",
    thorough: bool = False,
    same_contrast: bool = True,
) -> Registration:
    """Register ``moving`` to ``fixed``: rigid, then affine where it really helps.

    Args:
        fixed, moving: 3-D scalar images of any pixel type.
        fixed_mask: bool (k, j, i) on the fixed image's grid; where the images are compared. None: its foreground.
        same_contrast: whether a good match is expected to look alike (two visits) or not (two contrasts).
        kind: one of KINDS; "rigid" and "affine" say what a reader wants to have, "automatic" lets the gain decide.
        thorough: search from turned heads as well, not only where the first search ends in a poor fit.
        seed: draws the voxels of the finest level.
        threads: of ITK; 1 where None. Other numbers are faster and no longer reproducible.
    """
    from LMIALLib.pairs.similarity import Comparison, registration_quality

    mask, fixed, moving = _reduced_mask(fixed, fixed_mask), _grey(fixed), _grey(moving)
    region, inner = _regions(fixed, mask)
    enough = POOR_QUALITY if same_contrast else POOR_BETWEEN_CONTRASTS
    with _FixedThreads(1 if threads is None else threads):
        levels = [Comparison.at(fixed, moving, region, inner, millimetres) for millimetres in LEVELS_MM]
        finest = levels[-1]
        samples = finest.samples(SAMPLE, seed)
        matrix = _rigid(levels, _starts(fixed, moving, region), samples[0])
        quality = registration_quality(finest, matrix)
        if thorough or quality < enough:
            other = _rigid(levels, _starts(fixed, moving, region, turned=True), samples[0])
            if (better := registration_quality(finest, other)) > quality:
                matrix, quality = other, better
        found, comparison = "rigid", dict[str, float]()
        if kind != "rigid":
            stretched, comparison = _affine(matrix, samples)
            helps = comparison["affine_gain"] >= AFFINE_GAIN and comparison["affine_stretch"] <= AFFINE_STRETCH
            if helps or kind == "affine":
                found, matrix = "affine", stretched
                quality = registration_quality(finest, matrix)
        before, after = finest.information(np.eye(4)), finest.information(matrix)
    return Registration(
        transform_of(matrix),
        {
            "kind": found,
            "matrix": matrix.ravel().tolist(),
            "metric": "Mattes mutual information, nats",
            "metric_before": before,
            "metric_after": after,
            "seed": seed,
            **comparison,
            **quality_report(quality, enough),
        },
    )


def unregistered(
    fixed: sitk.Image, moving: sitk.Image, *, fixed_mask: np.ndarray | None = None, same_contrast: bool = True
) -> Registration:
    """Trust the positions in the headers (identity), and say how well they fit."""
    report: dict[str, Any] = {
        "kind": "none",
        "matrix": np.eye(4).ravel().tolist(),
        "metric": "Mattes mutual information, nats",
    }
    found = judged(fixed, moving, np.eye(4), fixed_mask=fixed_mask, same_contrast=same_contrast)
    return Registration(transform_of(np.eye(4)), report | {"metric_before": found["metric_after"]} | found)


def judged(
    fixed: sitk.Image,
    moving: sitk.Image,
    matrix: np.ndarray,
    *,
    fixed_mask: np.ndarray | None = None,
    same_contrast: bool = True,
) -> dict[str, Any]:
    """How well ``moving`` fits ``fixed`` under a matrix (4, 4) within a region: the part of a report that says so.

    Holds ``metric_after``, ``quality``, ``alarm`` and ``sentence``; the arguments are those of ``register``.
    """
    from LMIALLib.pairs.similarity import Comparison, registration_quality

    mask, fixed, moving = _reduced_mask(fixed, fixed_mask), _grey(fixed), _grey(moving)
    with _FixedThreads(1):
        finest = Comparison.at(fixed, moving, *_regions(fixed, mask), LEVELS_MM[-1])
        quality = registration_quality(finest, matrix)
        information = finest.information(matrix)
    enough = POOR_QUALITY if same_contrast else POOR_BETWEEN_CONTRASTS
    return {"metric_after": information, **quality_report(quality, enough)}


def quality_report(quality: float, enough: float = POOR_QUALITY) -> dict[str, Any]:
    """The part of a report that says whether to trust it: ``quality``, ``alarm``, ``sentence``."""
    alarm = bool(quality < enough)
    if alarm:
        sentence = (
            f"The two scans do not fit each other well (quality {quality:.2f}, at least {enough:.2f} expected):"
            " check that they show the same patient and look at both before trusting any difference."
        )
    else:
        sentence = f"The two scans fit each other (quality {quality:.2f}, at least {enough:.2f} expected)."
    return {"quality": round(float(quality), 4), "alarm": alarm, "sentence": sentence}


def transform_from_report(report: dict[str, Any]) -> sitk.AffineTransform:
    """The transform that ``register`` gave, rebuilt exactly from its report."""
    return transform_of(np.array(report["matrix"], dtype=float).reshape(4, 4))


def _rigid(levels: Sequence[Comparison], starts: Sequence[np.ndarray], sample: VoxelSample) -> np.ndarray:
    """Try every start on the coarsest level, follow the best one down, and climb to the peak on the finest level."""
    tried = [levels[0].refined(start, step_mm=STEPS_MM[0]) for start in starts]
    scores = [levels[0].information(matrix) for matrix in tried]
    matrix = tried[int(np.argmax(scores))]
    for level, step_mm in zip(levels[1:-1], STEPS_MM[1:], strict=True):
        matrix = level.refined(matrix, step_mm=step_mm)
    return sample.climbed(matrix, affine=False)


def _affine(rigid: np.ndarray, samples: tuple[VoxelSample, VoxelSample]) -> tuple[np.ndarray, dict[str, float]]:
    """The affine matrix climbed to from a rigid one, what it gains (share) and how far it stretches (share)."""
    matrix = samples[0].climbed(rigid, affine=True)
    before, after = (samples[1].information(m) for m in (rigid, matrix))
    stretch = np.abs(np.linalg.svd(matrix[:3, :3], compute_uv=False) - 1).max()
    return matrix, {"affine_gain": float((after - before) / max(before, 1e-9)), "affine_stretch": float(stretch)}


def _starts(fixed: sitk.Image, moving: sitk.Image, region: np.ndarray, *, turned: bool = False) -> list[np.ndarray]:
    """Rigid guesses: as the headers say, centres on each other, centres of mass on each other; perhaps turned."""
    import SimpleITK as sitk

    centre = _centre_of_mass(fixed, region)
    starts = [np.eye(4)]
    for initial in (sitk.CenteredTransformInitializerFilter.GEOMETRY, sitk.CenteredTransformInitializerFilter.MOMENTS):
        starts.append(matrix_of(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), initial)))
    if turned:
        turns = [np.radians(angle) * axis for axis in np.eye(3) for angle in (-25.0, 25.0)]
        starts += [_turned(start, turn, centre) for start in list(starts) for turn in turns]
    return starts


def _turned(start: np.ndarray, turn: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """``start`` after a rotation by the vector ``turn`` (radians) about ``centre`` (mm) of the fixed image."""
    from scipy.spatial.transform import Rotation

    rotation = np.eye(4)
    rotation[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    rotation[:3, 3] = centre - rotation[:3, :3] @ centre
    return start @ rotation


def _centre_of_mass(image: sitk.Image, region: np.ndarray) -> np.ndarray:
    index = np.argwhere(region).mean(axis=0)[::-1]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _grey(image: sitk.Image) -> sitk.Image:
    """As float32, on voxels of ``WORKING_MM`` at most, smoothed, with the brightest 0.5 % clipped: a few vessels or
    damaged voxels shall not use up the histogram."""
    import SimpleITK as sitk

    from LMIALLib.pairs.similarity import reduced

    small = reduced(image, WORKING_MM, usual_range(sitk.GetArrayViewFromImage(image)))
    # Averaging has smoothed already: a box of n voxels has the variance (n^2 - 1) / 12.
    done = (np.square(small.GetSpacing()) - np.square(image.GetSpacing())) / 12
    return sitk.SmoothingRecursiveGaussian(small, np.sqrt(SMOOTHING_MM**2 - done).tolist())


def _reduced_mask(fixed: sitk.Image, mask: np.ndarray | None) -> np.ndarray | None:
    """A mask (bool, (k, j, i)) on the voxels that ``_grey`` works on; None where there is none, or nothing in it."""
    import SimpleITK as sitk

    from LMIALLib.pairs.similarity import reduced

    if mask is None or not mask.any():
        return None
    share = reduced(Grid.of(fixed).image_of(mask), WORKING_MM, (0.0, 1.0))
    voxels = sitk.GetArrayViewFromImage(share)
    return np.asarray(voxels > 0.5 if (voxels > 0.5).any() else voxels > 0)


def _regions(fixed: sitk.Image, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where to search and where to judge: the mask (else the foreground) with a rim, whose edges align, and without."""
    import SimpleITK as sitk
    from scipy.ndimage import distance_transform_edt

    if mask is None:
        mask = sitk.GetArrayFromImage(sitk.OtsuThreshold(fixed, 0, 1)) > 0
    spacing, region = fixed.GetSpacing()[::-1], np.zeros(mask.shape, dtype=bool)
    box = []
    for axis, (step, length) in enumerate(zip(spacing, mask.shape, strict=True)):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        rim = int(RIM_MM / step) + 1
        box.append(slice(max(0, there[0] - rim), min(length, there[-1] + rim + 1)))
    inside = tuple(box)
    region[inside] = distance_transform_edt(~mask[inside], sampling=spacing) <= RIM_MM
    return region, mask


class _FixedThreads:
    """ITK adds samples in an order that depends on its threads; hold their number while a result must repeat."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def __enter__(self) -> None:
        import SimpleITK as sitk

        self._before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(self._threads)

    def __exit__(self, *_: object) -> None:
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(self._before)
