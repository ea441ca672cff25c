"""Heads whose lesions change: phantoms, and real single time points into which change is painted.

Real data: see `backgrounds`. That painting change into single time points trains good detectors was shown by Kamraoui
et al., Frontiers in Neuroimaging 2022, doi 10.3389/fnimg.2022.948235.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from LMIALLib.cohorts import anatomy
from LMIALLib.cohorts.acquisition import Protocol, brightness
from LMIALLib.cohorts.anatomy import HEAD_SPACING, Head, HeadShape, head_axes, make_head
from LMIALLib.cohorts.backgrounds import Background
from LMIALLib.cohorts.lesions import ENLARGED, NEW, SHRUNK, VANISHED, LesionCounts, place_lesions
from LMIALLib.cohorts.painting import grown_box, softly
from LMIALLib.cohorts.phantom import TRAINING
from LMIALLib.cohorts.shapes import LesionShape, ShapeLibrary
from LMIALLib.laboratory.synthetic_data import effects
from LMIALLib.laboratory.synthetic_data.heads import RealHead
from LMIALLib.laboratory.synthetic_data.scanning import History
from LMIALLib.pairs.geometry import Grid

OUTLINED = 0.35
"""Share of the changes of a real head that happen to its own lesions, where an expert outlined any."""


def phantom_history(name: str, counts: LesionCounts, flow: float, rng: np.random.Generator) -> History:
    """A phantom's head with its own lesions and, for each visit, its own contrast between tissues.

    Args:
        name: what `History` calls the head and its lesions.
        counts: how many lesions of each fate.
        flow: brightening of moving CSF, see `effects.Strengths`.
        rng: the source of chance.
    """
    from scipy.ndimage import label

    shape = {field.name: float(rng.uniform(*getattr(TRAINING, field.name))) for field in fields(HeadShape)}
    head = make_head(HeadShape(**shape), rng)
    lesions = place_lesions(head, counts, TRAINING.radius, TRAINING.changed_extent, rng)
    before, after = (_brightness(head, lesion, flow, rng) for lesion in (lesions.before, lesions.after))
    number, fates = np.zeros(lesions.fate.shape, np.uint8), [0]
    for fate in (NEW, ENLARGED, SHRUNK, VANISHED):
        parts, found = label(lesions.fate == fate)
        number[parts > 0] = parts[parts > 0] + len(fates) - 1
        fates += [fate] * found
    z, y, x = head_axes()
    corner = (float(x.flat[0]), float(y.flat[0]), float(z.flat[0]))
    grid = Grid(head.tissue.shape[::-1], HEAD_SPACING[::-1], corner, tuple(np.eye(3).ravel()))  # type: ignore[arg-type]
    return History(
        grid=grid,
        before=before,
        after=after,
        lesion_before=lesions.before,
        lesion_after=lesions.after,
        number=number,
        fates=np.array(fates, np.uint8),
        brain=head.brain,
        ventricles=head.tissue == anatomy.VENTRICLE,
        stripped=False,
        brain_source=name,
        shape_sources=(name,),
    )


def _brightness(head: Head, lesion: np.ndarray, flow: float, rng: np.random.Generator) -> np.ndarray:
    """What one visit shows of a phantom: brightness of tissues drawn as `PhantomAppearance` says, white matter 1."""
    tissues = {name: float(rng.uniform(*getattr(TRAINING, name))) for name in ("csf", "grey", "lesion", "scalp")}
    plain = Protocol(**tissues, gain=1, gamma=1, bias=0, noise=0, grain=0, blur=0, thickness=1, pixel=1, slices=1)
    moving = flow * np.maximum(effects.smooth_field(lesion.shape, rng, 14) - 0.4, 0.0)
    return brightness(head, lesion, plain, moving)


def real_history(
    head: RealHead, counts: LesionCounts, shapes: Iterable[LesionShape], rng: np.random.Generator
) -> History:
    """Change lesions of a real head: paint lesions of ``shapes`` into one visit or both, and take outlined ones out.

    Args:
        head: where; its own patient must have no part in ``shapes``.
        counts: how many lesions of each fate; stable ones are painted too, beside those that the head has. One that
            finds no room in 120 attempts is left out.
        shapes: at least one.
        rng: the source of chance.
    """
    canvas = _Canvas.over(head, ShapeLibrary(shapes), rng)
    for fate in counts.changed():
        if rng.random() > OUTLINED or not canvas.take(fate, rng):
            canvas.paint(fate, rng)
    for _ in range(counts.stable):
        canvas.paint(0, rng)
    background = head.background
    zero = float(background.volume.min())
    before, after = ((volume - zero) / (background.white - zero) for volume in canvas.visits)
    return History(
        grid=head.grid,
        before=before.astype(np.float32),
        after=after.astype(np.float32),
        lesion_before=canvas.lesion[0],
        lesion_after=canvas.lesion[1],
        number=canvas.number,
        fates=np.array(canvas.fates, np.uint8),
        brain=background.brain,
        ventricles=head.ventricles,
        stripped=head.stripped,
        brain_source=background.name,
        shape_sources=tuple(sorted(canvas.sources)),
    )


@dataclass
class _Canvas:
    """A real head while its lesions are changed; arrays (k, j, i), lists hold (before, after).

    ``soil`` is the share of a voxel that may become lesion, ``pale`` (bool) looks like white matter, ``outlined`` are
    the numbers of outlined lesions not yet used, ``taken`` is where nothing more may change, ``level`` how far lesions
    of this head lie above white matter.
    """

    background: Background
    shapes: ShapeLibrary
    visits: list[np.ndarray]
    lesion: list[np.ndarray]
    number: np.ndarray
    fates: list[int]
    taken: np.ndarray
    soil: np.ndarray
    pale: np.ndarray
    outlined: list[int]
    level: float
    sources: set[str]

    @classmethod
    def over(cls, head: RealHead, shapes: ShapeLibrary, rng: np.random.Generator) -> _Canvas:
        """Nothing changed yet. Lesions are as bright as the head's own where 100 voxels of those are outlined."""
        from scipy.ndimage import gaussian_filter

        background = head.background
        values = background.volume
        pixel = background.pixel_mm
        smooth = gaussian_filter(values, (0.0, 1.0 / pixel, 1.0 / pixel))
        soil = np.clip(smooth - (background.white - 2.6), 0.0, 1.0) * background.brain
        core = np.zeros(values.shape, bool) if background.lesions is None else background.lesions.depth > 0.3
        numbers = [] if background.lesions is None else np.unique(background.lesions.number)[1:].tolist()
        level = float(np.exp(rng.uniform(np.log(1.3), np.log(3.5))))
        if core.sum() > 100:
            level = max(float(np.median(values[core])) - background.white, 1.3)
        empty = [np.zeros(values.shape, np.float32) for _ in range(2)]
        return cls(
            background=background,
            shapes=shapes,
            visits=[values.copy(), values.copy()],
            lesion=empty,
            number=np.zeros(values.shape, np.uint8),
            fates=[0],
            taken=np.zeros(values.shape, bool),
            soil=soil.astype(np.float32),
            pale=(np.abs(smooth - background.white) < 1.3) & background.brain,
            outlined=numbers,
            level=level,
            sources=set(),
        )

    def take(self, fate: int, rng: np.random.Generator) -> bool:
        """Give an outlined lesion of the head a fate by taking it, or all but its core, out of one visit.

        Says whether there was one that could be: over 30 mm3, not yet used, nothing painted near it.
        """
        lesions, pixel = self.background.lesions, self.background.pixel_mm
        while lesions is not None and self.outlined:
            index = self.outlined.pop(int(rng.integers(len(self.outlined))))
            near = grown_box(lesions.number == index, round(2.5 / pixel))
            whole = lesions.number[near] == index
            lost = whole & (lesions.depth[near] < (rng.uniform(0.3, 0.6) if fate in (ENLARGED, SHRUNK) else 2.0))
            if whole.sum() * pixel**2 * self.background.slice_mm < 30.0 or self.taken[near][whole].any():
                continue
            visit = 0 if fate in (NEW, ENLARGED) else 1
            values = self.visits[visit][near]
            values += softly(lost, pixel) * (lesions.healthy[near] - values)
            shares = [whole.astype(np.float32), whole.astype(np.float32)]
            shares[visit][lost] = 0.0
            self._note(near, fate, shares)
            self.sources.add(self.background.name)
            return True
        return False

    def paint(self, fate: int, rng: np.random.Generator) -> None:
        """Paint one lesion into white matter, where it is likely and free; fate 0 is a stable one."""
        sites = self.background.sites
        for _ in range(120):
            shape = self.shapes.draw(rng)
            spot = _Spot(shape, sites[rng.integers(len(sites))], rng)
            box, whole = spot.rasterised(1.0, self.background)
            whole = whole * self.soil[box]
            body = whole > 0.3
            inside = float((whole * self.pale[box]).sum()) / spot.voxels(self.background)
            if body.any() and not self.taken[box][body].any() and inside > 0.7:  # in cortex it would hardly be seen
                break
        else:
            return
        smaller = spot.rasterised(float(rng.uniform(0.45, 0.75)), self.background)[1] * self.soil[box]
        smaller = np.minimum(smaller, whole)
        nothing = np.zeros_like(whole)
        shares = {
            0: [whole, whole],
            NEW: [nothing, whole],
            ENLARGED: [smaller, whole],
            SHRUNK: [whole, smaller],
            VANISHED: [whole, nothing],
        }[fate]
        # one texture for both visits: a stable lesion is the same lesion
        height = self.level * np.float32(np.exp(rng.normal(0.0, 0.2)))
        bright = self.background.white + height * (1.0 + 0.15 * effects.smooth_field(whole.shape, rng, 4))
        for share, volume in zip(shares, self.visits, strict=True):
            values = volume[box]
            volume[box] = values + share * np.maximum(bright - values, 0.0)
        self._note(box, fate, shares)
        self.sources.add(shape.source)

    def _note(self, box: tuple[slice, ...], fate: int, shares: list[np.ndarray]) -> None:
        """Keep what became of a lesion, and that its place is taken."""
        around = np.maximum(*shares) > 0.02
        self.taken[box] |= around
        for kept, share in zip(self.lesion, shares, strict=True):
            kept[box] = np.maximum(kept[box], share)
        if fate:
            self.fates.append(fate)
            self.number[box][around] = len(self.fates) - 1


class _Spot:
    """A lesion shape put somewhere: its middle (k, j, i), turned in plane, mirrored and scaled at random."""

    def __init__(self, shape: LesionShape, middle: np.ndarray, rng: np.random.Generator) -> None:
        self.shape, self.middle = shape, middle.astype(float)
        self.scale = float(np.exp(rng.normal(0.0, 0.15)))
        turn, flip = rng.uniform(0.0, 2 * np.pi), rng.choice((-1.0, 1.0), 2)
        cosine, sine = np.cos(turn), np.sin(turn)
        self.rotation = np.array([[flip[0], 0, 0], [0, cosine, -sine], [0, flip[1] * sine, flip[1] * cosine]])

    def voxels(self, background: Background) -> float:
        """How many voxels of the background the whole shape fills."""
        return self.shape.volume * self.scale**3 / (background.slice_mm * background.pixel_mm**2)

    def rasterised(self, factor: float, background: Background) -> tuple[tuple[slice, ...], np.ndarray]:
        """The box that holds the shape, and the shares of its voxels when the shape is scaled by ``factor``."""
        from scipy.ndimage import affine_transform

        occupancy, spacing = self.shape.occupancy, np.array(self.shape.spacing)
        steps = np.array([background.slice_mm, background.pixel_mm, background.pixel_mm])
        extent = np.array(occupancy.shape) * spacing * self.scale
        wide = float(np.hypot(*extent[1:]))
        half = np.array([extent[0], wide, wide]) / 2 / steps
        low = np.clip(np.floor(self.middle - half), 0, None).astype(int)
        high = np.minimum(np.ceil(self.middle + half) + 1, background.volume.shape).astype(int)
        matrix = self.rotation * steps[None, :] / spacing[:, None] / (self.scale * factor)
        offset = (np.array(occupancy.shape) - 1) / 2 + matrix @ (low - self.middle)
        seen = affine_transform(occupancy, matrix, offset, tuple(high - low), order=1, output=np.float32)
        return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), seen
