"""What fine-tuning learns from at each step: annotated slices, slices nobody read, and change painted into both.

A slice that nobody read is never taken for "no change": its target is the opinion of the model in use (learning without
forgetting: Li and Hoiem, arXiv 1606.09282). Painted samples show one time point twice, so what is not painted has
truly not changed, whatever the other time point shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from LMIALLib.cohorts.backgrounds import Background, background_of
from LMIALLib.cohorts.shapes import ShapeLibrary, noise_shapes
from LMIALLib.cohorts.synthesis import Synthesis, synthesise
from LMIALLib.network.augmentation import Augmentation, cropped, sampling_grid, varied
from LMIALLib.network.losses import IGNORED
from LMIALLib.network.slices import LARGEST_INTENSITY, network_shape, resized

LEAST_BRAIN = 2500.0
"""mm2 of brain that a slice needs before change is painted into it."""


@dataclass(frozen=True)
class Example:
    """A slice that a person read.

    Args:
        baseline, follow_up: float32 (rows, columns), as in `Pair`.
        mask: bool, the brain.
        target: uint8; 0 read and no change, 1 change, 255 ignored.
        in_plane_spacing: mm between rows and between columns.
    """

    baseline: np.ndarray
    follow_up: np.ndarray
    mask: np.ndarray
    target: np.ndarray
    in_plane_spacing: tuple[float, float]


@dataclass(frozen=True)
class Lesson:
    """Crops of one step, each tensor (n, 1 or 2, size, size).

    Args:
        visits: baseline and follow-up, float32, 0 outside the brain.
        target: float32, 1 where there is change.
        counted: bool, where the target holds.
    """

    visits: Tensor
    target: Tensor
    counted: Tensor

    @property
    def inputs(self) -> Tensor:
        """Baseline, follow-up and difference (n, 3, size, size), channels last."""
        visits = self.visits.clamp(-LARGEST_INTENSITY, LARGEST_INTENSITY)
        difference = visits[:, 1:2] - visits[:, 0:1]
        return torch.cat((visits, difference), dim=1).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Slice:
    """A slice at the network's pixel size: baseline, follow-up, brain, change, counted; and where crops may centre."""

    planes: Tensor
    brain_at: np.ndarray
    change_at: np.ndarray


def prepared(example: Example) -> _Slice:
    """An example as planes; pixels that are ignored or outside the brain are not counted."""
    shape = network_shape((example.mask.shape[0], example.mask.shape[1]), example.in_plane_spacing)
    counted = (example.target != IGNORED) & example.mask
    stack = np.stack((example.baseline, example.follow_up, example.mask, example.target == 1, counted))
    planes = resized(stack.astype(np.float32), shape)
    planes[2:] = planes[2:] > 0.5
    planes[:2] *= planes[2]
    places = [np.argwhere(plane > 0) for plane in (planes[2], planes[3] * planes[4])]
    return _Slice(torch.from_numpy(np.ascontiguousarray(planes)), *places)


class Lessons:
    """Makes the crops of each step from a seed and the number of the step.

    Args:
        examples: slices that were read.
        unread: slices that were not, as (baseline, follow-up, mask).
        size: rows and columns of a crop.
        seed: with the step it gives every random choice.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        unread: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
        *,
        size: int = 128,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        spacing = examples[0].in_plane_spacing
        blank = [
            Example(b, f, m, np.full(m.shape, IGNORED, np.uint8), spacing) for b, f, m in unread if np.asarray(m).any()
        ]
        self.read = [part for part in map(prepared, examples) if len(part.brain_at)]
        self.unread = [prepared(example) for example in blank]
        self.size, self.seed = size, seed
        self.augmentation = augmentation or Augmentation()
        self.shapes = ShapeLibrary(noise_shapes(seed, 120))
        self.painting = Synthesis(size=size, pixel_mm=(0.65, 0.95), noise=(0.05, 0.4), blank=0.4)
        self.backgrounds = self._backgrounds([*examples, *blank])

    def _backgrounds(self, examples: Sequence[Example], most: int = 16) -> list[Background]:
        """Up to 16 slices with much brain, of either visit, as places to paint change into."""
        random = np.random.default_rng([self.seed, 4])
        large = [e for e in examples if e.mask.sum() * e.in_plane_spacing[0] * e.in_plane_spacing[1] >= LEAST_BRAIN]
        found = []
        for index in random.permutation(len(large))[:most]:
            example = large[index]
            volume = example.follow_up if random.random() < 0.5 else example.baseline
            pixel = float(np.mean(example.in_plane_spacing))
            found.append(background_of("painted", volume[None], example.mask[None], 3.0, pixel, sites=600))
        return found

    def annotated(self, step: int, count: int) -> Lesson:
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

    def opinions(self, step: int, count: int) -> Lesson:
        """Crops of slices that nobody read; nothing in their targets counts."""
        random = np.random.default_rng([self.seed, 6, step])
        parts = [self.unread[random.integers(len(self.unread))] for _ in range(count)]
        return _stacked([self._crop(part, part.brain_at, random) for part in parts])

    def painted(self, step: int, count: int) -> Lesson:
        """Synthetic samples on backgrounds of this very study."""
        crops = []
        for place in range(count):
            random = np.random.default_rng([self.seed, 7, step, place])
            background = self.backgrounds[random.integers(len(self.backgrounds))]
            sample = synthesise(background, self.shapes, random, self.painting)
            planes = (sample.baseline, sample.follow_up, sample.brain, sample.target, sample.brain)
            crops.append(torch.from_numpy(np.stack(planes).astype(np.float32)))
        return _stacked(crops)

    def _crop(self, part: _Slice, near: np.ndarray, random: np.random.Generator) -> Tensor:
        """One augmented crop (5, size, size) around a random member of ``near``."""
        centre = near[random.integers(len(near))] + random.uniform(-0.25, 0.25, 2) * self.size
        shape = (part.planes.shape[1], part.planes.shape[2])
        grid = sampling_grid(shape, (centre[0], centre[1]), self.size, random, self.augmentation)
        seen = cropped(part.planes, grid)
        # what is half ignored is ignored
        marks = torch.stack((seen[2] > 0.5, seen[3] > 0.5, seen[4] > 0.99)).float()
        return torch.cat((varied(seen[:2], random, self.augmentation) * marks[0], marks))


def _stacked(crops: Sequence[Tensor]) -> Lesson:
    """Crops (5, size, size) as one lesson."""
    batch = torch.stack(list(crops))
    counted = (batch[:, 4:5] > 0) & (batch[:, 2:3] > 0)
    return Lesson(batch[:, :2] * batch[:, 2:3], batch[:, 3:4] * counted, counted)
