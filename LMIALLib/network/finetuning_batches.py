"""What fine-tuning learns from at each step: annotated slices, slices nobody read, and change painted into both.

A slice that nobody read is never taken for "no change": its target is what the model in use predicts (learning without
forgetting: Li and Hoiem, arXiv 1606.09282). Painted samples show one time point twice, so what is not painted has
truly not changed, whatever the other time point shows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from LMIALLib.cohorts.backgrounds import Background, background_of
from LMIALLib.cohorts.shapes import ShapeLibrary, noise_shapes
from LMIALLib.cohorts.synthesis import Synthesis, synthesise
from LMIALLib.network.augmentation import Augmentation, cropped, sampling_grid, varied
from LMIALLib.network.slices import (
    LARGEST_INTENSITY,
    NEIGHBOURS,
    PIXEL_SIZES,
    PixelSizes,
    network_shape,
    resized,
    with_neighbours,
)
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.unread import UNREAD

CONTEXT = 2 * NEIGHBOURS + 1
VISITS = 2 * CONTEXT
"""Planes that hold a slice and its neighbours, of one visit and of both."""
UNREAD_SLICES = 48
"""Unread slices, over all cases, on which fine-tuning keeps the predictions of the model that it starts from."""
LEAST_BRAIN = 2500.0
"""mm2 of brain that a slice needs before change is painted into it."""


@dataclass(frozen=True)
class Example:
    """A slice between its neighbours, and the label that a person gave it; none, if nobody read it.

    Args:
        baseline, follow_up: float32 (c, rows, columns), as in `Pair`; the slice is the middle one.
        mask: bool (c, rows, columns), the brain.
        target: uint8 (rows, columns); 0 read and no change, 1 change, 255 ignored. All 255 in an unread slice.
        in_plane_spacing: mm between rows and between columns.
        slice_spacing: mm between neighbouring slices.
    """

    baseline: np.ndarray
    follow_up: np.ndarray
    mask: np.ndarray
    target: np.ndarray
    in_plane_spacing: tuple[float, float]
    slice_spacing: float

    @classmethod
    def of_pair(cls, pair: Pair, number: int, target: np.ndarray | None = None) -> Example:
        """Slice ``number`` (0-based) of a pair, copied; without a target it is one that nobody read."""
        volumes = (pair.baseline, pair.follow_up, pair.mask)
        baseline, follow_up, mask = (with_neighbours(pair.stack(v), np.array([number]))[0] for v in volumes)
        if target is None:
            target = np.full(pair.slice_shape, UNREAD, np.uint8)
        return cls(baseline, follow_up, mask, target, pair.in_plane_spacing, pair.slice_spacing)

    @property
    def brain(self) -> np.ndarray:
        """The brain of the slice itself, bool (rows, columns)."""
        return np.asarray(self.mask[NEIGHBOURS])

    @property
    def read(self) -> np.ndarray:
        """Where the target holds: brain that is not ignored, bool (rows, columns)."""
        return self.brain & (self.target != UNREAD)


def unread_examples(pair: Pair, read: Collection[int], most: int, random: np.random.Generator) -> list[Example]:
    """Slices of a pair that hold brain and nobody read, chosen at random, ``most`` of them at most, in order.

    ``read`` are the slices, 0-based, that somebody read.
    """
    brain = pair.stack(pair.mask)
    free = [k for k in range(pair.n_slices) if k not in read and brain[k].any()]
    return [Example.of_pair(pair, number) for number in sorted(random.permutation(free)[:most].tolist())]


@dataclass(frozen=True)
class FinetuningBatch:
    """Crops of one step.

    Args:
        visits: float32 (n, 2c, size, size), neighbouring slices of the baseline and of the follow-up, 0 outside the
            brain.
        brain: bool (n, 1, size, size), of the middle slice.
        target: float32 (n, 1, size, size), 1 where there is change.
        counted: bool (n, 1, size, size), where the target holds.
    """

    visits: Tensor
    brain: Tensor
    target: Tensor
    counted: Tensor

    @property
    def inputs(self) -> Tensor:
        """As ``slices.network_input``: (n, 3c, size, size), channels last."""
        visits = self.visits.clamp(-LARGEST_INTENSITY, LARGEST_INTENSITY)
        baseline, follow_up = visits.chunk(2, dim=1)
        return torch.cat((visits, follow_up - baseline), dim=1).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Slice:
    """A slice at the network's pixel size and where crops may centre.

    ``planes`` (3c + 2, rows, columns): c slices of the baseline, of the follow-up and of the brain, then change and
    where it counts on the middle one.
    """

    planes: Tensor
    brain_at: np.ndarray
    change_at: np.ndarray


def prepared(example: Example, pixels: PixelSizes = PIXEL_SIZES) -> _Slice:
    """An example as planes, at a pixel size that the network knows; pixels that are ignored or outside the brain are
    not counted.
    """
    shape = network_shape((example.target.shape[0], example.target.shape[1]), example.in_plane_spacing, pixels)
    marks = np.stack((example.target == 1, example.read))
    stack = np.concatenate((example.baseline, example.follow_up, example.mask, marks))
    planes = np.ascontiguousarray(resized(stack.astype(np.float32), shape))
    planes[VISITS:] = planes[VISITS:] > 0.5
    planes[:CONTEXT] *= planes[VISITS:-2]
    planes[CONTEXT:VISITS] *= planes[VISITS:-2]
    places = [np.argwhere(plane > 0) for plane in (planes[VISITS + NEIGHBOURS], planes[-2] * planes[-1])]
    return _Slice(torch.from_numpy(planes), *places)


class FinetuningBatches:
    """Makes the crops of each step from a seed and the number of the step.

    Args:
        examples: slices that were read.
        unread: slices that were not; their targets are not used.
        size: rows and columns of a crop.
        seed: with the step it gives every random choice.
        pixels: pixel sizes of the network that learns; painted crops scale with them.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        unread: Sequence[Example],
        *,
        size: int = 128,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        pixels: PixelSizes = PIXEL_SIZES,
    ) -> None:
        self.read, self.unread = (
            [part for part in (prepared(one, pixels) for one in slices) if len(part.brain_at)]
            for slices in (examples, unread)
        )
        self.size, self.seed = size, seed
        self.augmentation = augmentation or Augmentation()
        self.shapes = ShapeLibrary(noise_shapes(seed, 120))
        coarser = pixels.resampled_mm / PIXEL_SIZES.resampled_mm
        self.painting = Synthesis(size=size, pixel_mm=(0.65 * coarser, 0.95 * coarser), noise=(0.05, 0.4), blank=0.4)
        self.backgrounds = self._backgrounds([*examples, *unread])

    def _backgrounds(self, examples: Sequence[Example], most: int = 16) -> list[Background]:
        """Up to 16 slices with much brain and their neighbours, of either visit, as places to paint change into."""
        random = np.random.default_rng([self.seed, 4])
        large = [e for e in examples if e.brain.sum() * np.prod(e.in_plane_spacing) >= LEAST_BRAIN]
        found = []
        for index in random.permutation(len(large))[:most]:
            example = large[index]
            volume = example.follow_up if random.random() < 0.5 else example.baseline
            pixel = float(np.mean(example.in_plane_spacing))
            found.append(background_of("painted", volume, example.mask, example.slice_spacing, pixel, sites=600))
        return found

    def annotated(self, step: int, count: int) -> FinetuningBatch:
        """Crops of slices that were read: in turn, every second one from a slice with change, if there are any."""
        random = np.random.default_rng([self.seed, 5, step])
        marked = [part for part in self.read if len(part.change_at)]
        crops = []
        for place in range(count):
            among = marked if marked and place % 2 == 0 else self.read
            part = among[(step * ((count + 1) // 2) + place // 2) % len(among)]
            near = part.change_at if len(part.change_at) and random.random() < 0.6 else part.brain_at
            crops.append(self._crop(part, near, random))
        return _stacked(crops)

    def unread_slices(self, step: int, count: int) -> FinetuningBatch:
        """Crops of slices that nobody read; nothing in their targets counts."""
        random = np.random.default_rng([self.seed, 6, step])
        parts = [self.unread[random.integers(len(self.unread))] for _ in range(count)]
        return _stacked([self._crop(part, part.brain_at, random) for part in parts])

    def painted(self, step: int, count: int) -> FinetuningBatch:
        """Synthetic samples on backgrounds of this very study."""
        crops = []
        for place in range(count):
            random = np.random.default_rng([self.seed, 7, step, place])
            background = self.backgrounds[random.integers(len(self.backgrounds))]
            sample = synthesise(background, self.shapes, random, self.painting)
            marks = np.stack((sample.target > 0, sample.brain[NEIGHBOURS]))
            planes = np.concatenate((sample.baseline, sample.follow_up, sample.brain, marks))
            crops.append(torch.from_numpy(planes.astype(np.float32)))
        return _stacked(crops)

    def _crop(self, part: _Slice, near: np.ndarray, random: np.random.Generator) -> Tensor:
        """One augmented crop, planes as in `_Slice`, around a random member of ``near``."""
        centre = near[random.integers(len(near))] + random.uniform(-0.25, 0.25, 2) * self.size
        shape = (part.planes.shape[1], part.planes.shape[2])
        grid = sampling_grid(shape, (centre[0], centre[1]), self.size, random, self.augmentation)
        seen = cropped(part.planes, grid)
        visits = varied(seen[:VISITS].unflatten(0, (2, CONTEXT)), random, self.augmentation).flatten(0, 1)
        # what is half ignored is ignored
        return torch.cat((visits, (seen[VISITS:-1] > 0.5).float(), (seen[-1:] > 0.99).float()))


def _stacked(crops: Sequence[Tensor]) -> FinetuningBatch:
    """Crops, planes as in `_Slice`, as one batch."""
    batch = torch.stack(list(crops))
    masks = batch[:, VISITS:-2]
    brain = masks[:, NEIGHBOURS : NEIGHBOURS + 1] > 0
    counted = (batch[:, -1:] > 0) & brain
    return FinetuningBatch(batch[:, :VISITS] * masks.repeat(1, 2, 1, 1), brain, batch[:, -2:-1] * counted, counted)
