"""Where the samples of pretraining come from: backgrounds, shapes, and batches by number."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from LMIALLib.cohorts.backgrounds import (
    CROSS_SECTIONAL,
    LONGITUDINAL,
    Background,
    phantom_backgrounds,
    real_backgrounds,
    real_shapes,
)
from LMIALLib.cohorts.shapes import ShapeLibrary, noise_shapes
from LMIALLib.cohorts.synthesis import Sample, synthesise
from LMIALLib.network.pretrain_config import PretrainConfig
from LMIALLib.network.slices import network_input


@dataclass(frozen=True)
class SampleSource:
    """Where samples come from; a sample depends on its number and the seed, not on which process makes it.

    Args:
        backgrounds: time points for training, drawn with ``share``.
        share: (n,) probabilities.
        shapes: lesion shapes.
        validation: samples painted into time points that are not among ``backgrounds``.
        config: the run.
    """

    backgrounds: tuple[Background, ...]
    share: np.ndarray
    shapes: ShapeLibrary
    validation: tuple[Sample, ...]
    config: PretrainConfig

    @classmethod
    def prepare(cls, config: PretrainConfig, exclude: Collection[str]) -> SampleSource:
        """Read real time points (if any), make phantoms, and set validation apart."""
        found = phantom_backgrounds(config.phantoms + 1, seed=100 * config.seed)
        kept, held = found[1:], found[:1]
        shapes = noise_shapes(config.seed, 200)
        if config.data is not None:
            real = real_backgrounds(Path(config.data), exclude, config.seed)
            kept = kept + [b for b in real if b.name not in config.validation]
            held = [b for b in real if b.name in config.validation] or held
            shapes = real_shapes(Path(config.data), exclude)
        library = ShapeLibrary(shapes)
        settings = replace(config.synthesis, size=192 if config.synthesis.size >= 128 else config.synthesis.size)
        validation = tuple(
            synthesise(held[n % len(held)], library, np.random.default_rng([config.seed, 1, n]), settings)
            for n in range(config.validation_samples)
        )
        return cls(tuple(kept), _shares(kept), library, validation, config)

    def batches(self, first: int, last: int) -> Iterator[Tensor]:
        """Batches ``first`` to ``last`` - 1, float32 (n, 5, rows, columns): network input, target, brain."""
        from torch.utils.data import DataLoader

        loader: DataLoader[Tensor] = DataLoader(
            _Batches(self),  # type: ignore[arg-type]
            batch_size=None,
            sampler=range(first, last),
            num_workers=self.config.workers,
            prefetch_factor=12 if self.config.workers else None,
            worker_init_fn=_one_thread,
        )
        yield from loader

    def sample(self, number: int, place: int) -> Sample:
        """Sample ``place`` of batch ``number``."""
        rng = np.random.default_rng([self.config.seed, 2, number, place])
        background = self.backgrounds[int(rng.choice(len(self.backgrounds), p=self.share))]
        return synthesise(background, self.shapes, rng, self.config.synthesis)


class _Batches:
    """Batches by number, for torch's loader."""

    def __init__(self, source: SampleSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return self.source.config.steps

    def __getitem__(self, number: int) -> Tensor:
        return packed([self.source.sample(number, place) for place in range(self.source.config.batch)])


def packed(samples: Collection[Sample]) -> Tensor:
    """Samples of one size as float32 (n, 5, rows, columns): baseline, follow-up, difference, target, brain."""
    return torch.from_numpy(
        np.stack(
            [
                np.concatenate(
                    (network_input(s.baseline, s.follow_up, s.brain), s.target[None].astype(np.float32), s.brain[None])
                )
                for s in samples
            ]
        ).astype(np.float32, copy=False)
    )


def _one_thread(worker: int) -> None:
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _shares(backgrounds: list[Background]) -> np.ndarray:
    """How often each background is drawn: raw scans most, then isotropic ones sliced axially, phantoms least."""
    weights = []
    for background in backgrounds:
        if background.name.startswith(LONGITUDINAL):
            weights.append(5.0)
        elif background.name.startswith(CROSS_SECTIONAL):
            axial = sum(b.name == background.name for b in backgrounds[: len(weights)]) == 0
            weights.append(3.0 if axial else 0.5)
        else:
            weights.append(0.5)
    return np.array(weights) / sum(weights)
