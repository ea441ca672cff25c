"""How alike two images are under a transform: mutual information to search by, local correlation to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.pairs.climbing import BINS, VoxelSample
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.transforms import matrix_of, nearest_rotation, transform_of

if TYPE_CHECKING:
    import SimpleITK as sitk

_SLAB = 1_000_000
"""Voxels that are worked on at once."""
WINDOW_MM = 3.0
"""Standard deviation of the window of local correlation: about the width of a gyrus."""


@dataclass(frozen=True)
class Comparison:
    """Two images at one level of the pyramid, and where in the fixed one they are compared.

    Args:
        fixed, moving: float32 images.
        region: uint8 image on the fixed grid; the voxels that the search looks at.
        inner: the same; the voxels that the verdict looks at (no edge between brain and skull, which all heads share).
    """

    fixed: sitk.Image
    moving: sitk.Image
    region: sitk.Image
    inner: sitk.Image

    @classmethod
    def at(
        cls, fixed: sitk.Image, moving: sitk.Image, region: np.ndarray, inner: np.ndarray, millimetres: float
    ) -> Comparison:
        """The level whose voxels are about ``millimetres`` wide; ``region`` and ``inner`` are bool (k, j, i)."""
        import SimpleITK as sitk

        masks = []
        for full in (region, inner):
            mask = sitk.GetImageFromArray(full.astype(np.uint8))
            mask.CopyInformation(fixed)
            small = shrunk(mask, millimetres, (0.0, 1.0))
            half = small > 0.5
            masks.append(half if sitk.GetArrayViewFromImage(half).any() else small > 0.0)
        return cls(shrunk(fixed, millimetres), shrunk(moving, millimetres), masks[0], masks[1])

    def refined(self, start: np.ndarray, *, step_mm: float) -> np.ndarray:
        """The rigid (4, 4) matrix, fixed to moving points, to which ITK's gradient search climbs from ``start``.

        ``step_mm`` is the first step. Where the climb ends lower than it began, it is ``start`` that comes back.
        """
        import SimpleITK as sitk

        # The search turns about the region's centre, so that rotation and translation hardly depend on each other.
        index = np.argwhere(sitk.GetArrayViewFromImage(self.region)).mean(axis=0)[::-1]
        centre = np.array(self.fixed.TransformContinuousIndexToPhysicalPoint(index.tolist()))
        search = sitk.Euler3DTransform()
        search.SetCenter(centre)
        search.SetMatrix(nearest_rotation(start[:3, :3]).ravel().tolist())
        moved = np.array(transform_of(start).TransformPoint(centre))
        search.SetTranslation((moved - centre).tolist())
        method = self._method()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=step_mm,
            minStep=step_mm / 40,
            numberOfIterations=60,
            relaxationFactor=0.7,
            gradientMagnitudeTolerance=1e-7,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(search, inPlace=True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:  # all samples fell outside the moving image: this start leads nowhere
            return start
        found = matrix_of(search)
        return found if self.information(found) >= self.information(start) else start

    def information(self, matrix: np.ndarray) -> float:
        """Mutual information in nats under ``matrix``, times the share of the region that the moving image covers.

        Without that factor a few voxels at the rim of both images can look like a perfect match.
        """
        method = self._method()
        method.SetInitialTransform(transform_of(matrix))
        try:
            value = -float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:  # no sample falls inside the moving image
            return 0.0
        return max(0.0, value) * self.coverage(matrix)

    def coverage(self, matrix: np.ndarray) -> float:
        """Share of the region, in [0, 1], that ``matrix`` maps into the moving image."""
        import SimpleITK as sitk

        index = np.argwhere(sitk.GetArrayViewFromImage(self.region))[::7, ::-1]
        to_index = np.linalg.inv(Grid.of(self.moving).index_to_point()) @ matrix @ Grid.of(self.fixed).index_to_point()
        there = index @ to_index[:3, :3].T + to_index[:3, 3]
        inside = np.all((there >= 0) & (there <= np.array(self.moving.GetSize()) - 1), axis=1)
        return float(inside.mean()) if len(inside) else 0.0

    def samples(self, count: int, seed: int) -> tuple[VoxelSample, VoxelSample]:
        """Two seeded draws of the region's voxels without a common one: to search on, and to compare on."""
        import SimpleITK as sitk

        region = sitk.GetArrayViewFromImage(self.region) > 0
        return VoxelSample.drawn(self.fixed, self.moving, region, count, seed)

    def _method(self) -> sitk.ImageRegistrationMethod:
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricSamplingStrategy(method.NONE)
        method.SetMetricFixedMask(self.region)
        method.SetInterpolator(sitk.sitkLinear)
        return method


def shrunk(image: sitk.Image, millimetres: float, limits: tuple[float, float] | None = None) -> sitk.Image:
    """The image with voxels averaged to about ``millimetres``; axes that are coarser stay as they are.

    ``limits``: grey values to which voxels are held before they are averaged, so that none of them outweighs its
    neighbours. The result is float32 then, and made slab by slab, so that no copy of the whole image is needed.
    """
    factors = [
        max(1, min(round(millimetres / spacing), length // 4))
        for spacing, length in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return _averaged(image, factors, limits)


def reduced(image: sitk.Image, millimetres: float, limits: tuple[float, float]) -> sitk.Image:
    """As ``shrunk``, with voxels of no more than ``millimetres``: an image that is coarser keeps every voxel."""
    factors = [
        max(1, min(int(millimetres / spacing), length // 4))
        for spacing, length in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return _averaged(image, factors, limits)


def _averaged(image: sitk.Image, factors: list[int], limits: tuple[float, float] | None) -> sitk.Image:
    """Blocks of ``factors`` voxels (i, j, k) averaged; voxels beyond the last whole block are left out."""
    import SimpleITK as sitk

    if limits is None:
        return sitk.BinShrink(image, factors) if max(factors) > 1 else image
    width, height, depth = image.GetSize()
    rows = factors[2] * max(1, _SLAB // (width * height * factors[2]))
    slabs = []
    for start in range(0, depth - depth % factors[2], rows):
        count = min(rows, depth - depth % factors[2] - start)
        slab = sitk.Extract(image, (width, height, count), (0, 0, start))
        slab = sitk.Clamp(sitk.Cast(slab, sitk.sitkFloat32), sitk.sitkFloat32, *limits)
        slab.SetOrigin(image.TransformIndexToPhysicalPoint((0, 0, start)))
        slabs.append(sitk.BinShrink(slab, factors) if max(factors) > 1 else slab)
    whole = sitk.GetImageFromArray(np.concatenate([sitk.GetArrayViewFromImage(slab) for slab in slabs]))
    whole.SetSpacing(slabs[0].GetSpacing())
    whole.SetOrigin(slabs[0].GetOrigin())
    whole.SetDirection(image.GetDirection())
    return whole


def registration_quality(comparison: Comparison, matrix: np.ndarray) -> float:
    """How much of the fixed image's local structure the moving image explains, in [0, 1].

    The squared correlation of both images in a Gaussian window (3 mm) around each voxel of the inner region, averaged
    with the fixed image's local variance as weight: flat places say nothing about alignment. Squared, so that another
    contrast of the same head counts as well; local, so that a gross overlap of two heads does not. Voxels that the
    moving image does not cover are left out, and where they are more than half, the figure falls in proportion. Compare
    local correlation in Cachier et al., Computer Vision and Image Understanding 89, 2003.
    """
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter

    outside = -1e30
    moved = sitk.Resample(
        comparison.moving, comparison.fixed, transform_of(matrix), sitk.sitkLinear, outside, sitk.sitkFloat32
    )
    fixed, there = (sitk.GetArrayFromImage(image).astype(np.float64) for image in (comparison.fixed, moved))
    region = sitk.GetArrayViewFromImage(comparison.inner) > 0
    seen = region & (there > outside / 2)
    if np.count_nonzero(seen) < 100:
        return 0.0
    fixed, there = (np.where(seen, image - image[seen].mean(), 0.0) for image in (fixed, there))
    sigma = [max(WINDOW_MM / step, 0.8) for step in comparison.fixed.GetSpacing()[::-1]]

    def local(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, sigma, truncate=2.5))

    weight = local(seen.astype(np.float64)) + 1e-9
    mean_fixed, mean_there = local(fixed) / weight, local(there) / weight
    variance_fixed = np.maximum(local(fixed**2) / weight - mean_fixed**2, 0.0)
    variance_there = np.maximum(local(there**2) / weight - mean_there**2, 0.0)
    covariance = local(fixed * there) / weight - mean_fixed * mean_there
    # A fiftieth of the global variance keeps noise in flat places from being taken for structure.
    floor_fixed, floor_there = 0.02 * fixed[seen].var(), 0.02 * there[seen].var()
    explained = covariance**2 / ((variance_fixed + floor_fixed) * (variance_there + floor_there) + 1e-30)
    total = float(variance_fixed[seen].sum())
    quality = float((explained * variance_fixed)[seen].sum()) / total if total > 0 else 0.0
    return min(1.0, quality) * min(1.0, 2.0 * np.count_nonzero(seen) / np.count_nonzero(region))
