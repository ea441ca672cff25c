"""Single time points to paint change into: real ones where the data lie, phantoms always.

Real data: open-ms, longitudinal (Lesjak et al., Neuroinformatics 2016) and cross-sectional (Lesjak et al.,
Neuroinformatics 2017), CC-BY. They are read where they lie and never copied.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

LONGITUDINAL = "longitudinal"
CROSS_SECTIONAL = "cross_sectional_MNI"
CITATIONS = (
    "Lesjak et al., Validation of white-matter lesion change detection methods on a novel publicly available MRI image "
    "database, Neuroinformatics 2016 (CC-BY)",
    "Lesjak et al., A novel public MR image dataset of multiple sclerosis patients with lesion segmentations based on "
    "multi-rater consensus, Neuroinformatics 2017 (CC-BY)",
)
SITES = 6000


@dataclass(frozen=True)
class Outlined:
    """Lesions of a background that an expert outlined; arrays (slice, row, column).

    Args:
        number: int16, which lesion a voxel belongs to, from 1; 0 is none.
        depth: float32 in [0, 1], distance from the lesion's edge as a share of its largest.
        healthy: float32, the background as if the lesions had never been.
    """

    number: np.ndarray
    depth: np.ndarray
    healthy: np.ndarray


@dataclass(frozen=True)
class Background:
    """One time point, scaled as `Pair` is, with the places where lesions may be put. Arrays are (slice, row, column).

    Args:
        name: where it comes from, as "longitudinal/patient04" or "phantom/7".
        volume: float32; brain median 0, robust spread 1.
        brain: bool.
        slice_mm: distance between slices.
        pixel_mm: side of a (square) pixel.
        white: usual value of white matter.
        sites: int32 (n, 3), likely centres of lesions, sorted by slice.
        anywhere: int32 (n, 3), other centres: drawn evenly from the brain, or from the change in a real pair.
        lesions: those of its lesions that can be taken out.
        earlier: float32, the visit before, registered; None where there is one time point only.
        truth: bool, what an expert marked as change between both.
    """

    name: str
    volume: np.ndarray
    brain: np.ndarray
    slice_mm: float
    pixel_mm: float
    white: float
    sites: np.ndarray
    anywhere: np.ndarray
    lesions: Outlined | None = None
    earlier: np.ndarray | None = None
    truth: np.ndarray | None = None


def scaled(volume: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A volume with brain median 0 and robust spread (interquartile range / 1.349, that of a normal distribution) 1."""
    low, middle, high = np.percentile(volume[brain], (25, 50, 75))
    return ((volume - middle) / max((high - low) / 1.349, 1e-6)).astype(np.float32)


def is_excluded(source: str, exclude: Collection[str]) -> bool:
    """Whether a source as "longitudinal/patient01" is named in ``exclude``, in full or by its patient alone.

    A bare patient name leaves out that number in both databases, which do not say whether they share persons.
    """
    return source in exclude or source.split("/")[-1] in exclude


def background_of(
    name: str,
    volume: np.ndarray,
    brain: np.ndarray,
    slice_mm: float,
    pixel_mm: float,
    *,
    likely: np.ndarray | None = None,
    seed: int = 0,
    sites: int = SITES,
) -> Background:
    """Scale a time point (slice, row, column), find its white matter and draw likely lesion sites.

    ``likely``: how often lesions occur at a voxel, any unit, the volume's shape; without it sites lie in white
    matter, near the ventricles and near what is already bright. ``sites``: how many to draw.
    """
    values = scaled(volume, brain)
    spacing = (slice_mm, pixel_mm, pixel_mm)
    white, weight = _site_weight(values, brain, spacing)
    if likely is not None:
        weight = weight * (likely / max(float(likely.max()), 1e-6) + 0.03)
    rng = np.random.default_rng([seed, 0x73697465])
    places = np.flatnonzero(weight if weight.any() else brain)
    share = np.maximum(weight.ravel()[places].astype(np.float64), 1e-9)
    chosen = np.sort(rng.choice(places, sites, p=share / share.sum()))
    centres = np.stack(np.unravel_index(chosen, weight.shape), axis=1).astype(np.int32)
    inside = np.flatnonzero(brain)
    anywhere = np.stack(np.unravel_index(rng.choice(inside, sites), brain.shape), axis=1).astype(np.int32)
    return Background(name, values, brain, slice_mm, pixel_mm, white, centres, anywhere)


def _site_weight(
    values: np.ndarray, brain: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[float, np.ndarray]:
    """Usual value of white matter, and how likely a lesion is at each voxel (float32, 0 where none may be)."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    depth = distance_transform_edt(brain, spacing)
    smooth = gaussian_filter(values, [0.0, 1.0 / spacing[1], 1.0 / spacing[2]])
    deep = smooth[(depth > 15) & (np.abs(smooth) < 2.5)]
    counts, edges = np.histogram(deep if deep.size else smooth[brain], 100)
    white = float(edges[int(np.argmax(gaussian_filter(counts.astype(float), 3)))])
    ventricle = (smooth < -2.2) & (depth > 22)
    near = np.exp(-distance_transform_edt(~ventricle, spacing) / 10.0) if ventricle.any() else np.zeros_like(values)
    bright = (smooth > white + 1.6) & (depth > 12)
    beside = np.exp(-distance_transform_edt(~bright, spacing) / 3.0) if bright.any() else np.zeros_like(values)
    usable = (depth > 3) & (smooth > white - 1.2)
    whiteness = np.exp(-0.5 * ((smooth - white) / 0.7) ** 2) * np.clip(depth / 12.0, 0.1, 1.0)
    return white, (usable * (whiteness * (0.25 + 1.5 * near) + 0.6 * beside)).astype(np.float32)


def turned(background: Background, axis: int) -> Background:
    """An isotropic background sliced along another of its axes."""
    order = [axis, *(a for a in range(3) if a != axis)]
    sites = background.sites[:, order]
    lesions = background.lesions
    if lesions is not None:
        planes = (lesions.number, lesions.depth, lesions.healthy)
        lesions = Outlined(*(np.ascontiguousarray(plane.transpose(order)) for plane in planes))
    return replace(
        background,
        volume=np.ascontiguousarray(background.volume.transpose(order)),
        brain=np.ascontiguousarray(background.brain.transpose(order)),
        sites=sites[np.argsort(sites[:, 0], kind="stable")],
        anywhere=background.anywhere[:, order],
        lesions=lesions,
    )


def with_lesions(background: Background, mask: np.ndarray, seed: int = 0) -> Background:
    """The background with those parts of an expert's mask (slice, row, column) that it shows as bright lesions.

    Where a mask holds change between two visits, one visit shows it and the other may not; a part counts when its
    median lies 0.6 robust spreads above what inpainting puts in its place.
    """
    from scipy.ndimage import distance_transform_edt, find_objects, label

    spacing = (background.slice_mm, background.pixel_mm, background.pixel_mm)
    healthy = inpainted(background, mask, seed)
    number, _ = label(mask & background.brain, np.ones((3, 3, 3)))
    depth = np.zeros(mask.shape, np.float32)
    for index, box in enumerate(find_objects(number), start=1):
        part = number[box] == index
        if np.median(background.volume[box][part] - healthy[box][part]) < 0.6:
            number[box][part] = 0
            continue
        inside = distance_transform_edt(np.pad(part, 1), spacing)[1:-1, 1:-1, 1:-1]
        depth[box][part] = (inside / inside.max())[part]
    return replace(background, lesions=Outlined(number.astype(np.int16), depth, healthy))


def inpainted(background: Background, mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """The volume with a mask and 2 mm around it filled with white matter as it looks nearby, float32.

    The level is that of white matter within about 5 mm (a weighted mean that leaves the mask out), the texture noise
    with the spread and sharpness of the background's own.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    spacing = np.array([background.slice_mm, background.pixel_mm, background.pixel_mm])
    values, brain = background.volume, background.brain
    hole = distance_transform_edt(~mask, spacing) < 2.0
    ordinary = brain & ~hole & (np.abs(values - background.white) < 1.0)
    near = gaussian_filter(ordinary.astype(np.float32), 5.0 / spacing)
    level = gaussian_filter(np.where(ordinary, values, 0).astype(np.float32), 5.0 / spacing) / np.maximum(near, 1e-4)
    level = np.where(near > 1e-3, level, background.white)
    fine = values - gaussian_filter(values, (0.0, 1.2 / spacing[1], 1.2 / spacing[2]))
    noise = np.random.default_rng([seed, 0x66696C6C]).standard_normal(values.shape).astype(np.float32)
    noise = gaussian_filter(noise, (0.0, 0.5 / spacing[1], 0.5 / spacing[2]))
    noise *= np.std(fine[ordinary]) / noise.std()
    return np.where(hole, level + noise, values).astype(np.float32)


def phantom_backgrounds(count: int, seed: int = 0) -> list[Background]:
    """Follow-up scans of ``count`` phantoms (about 6 s each), seeds counted from ``seed`` within those for training."""
    import SimpleITK as sitk

    from LMIALLib.cohorts.phantom import make_phantom

    found = []
    for number in range(seed, seed + count):
        phantom = make_phantom(number)
        column, _, slices = phantom.follow_up.GetSpacing()
        volume = sitk.GetArrayFromImage(phantom.follow_up).astype(np.float32)
        found.append(background_of(f"phantom/{number}", volume, phantom.brain, slices, column, seed=seed))
    return found
