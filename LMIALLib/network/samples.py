"""Where the samples of pretraining come from: backgrounds, shapes, a pool of samples on disk, and batches by number."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from LMIALLib.cohorts.backgrounds import CROSS_SECTIONAL, LONGITUDINAL, Background, phantom_backgrounds
from LMIALLib.cohorts.real_backgrounds import real_backgrounds, real_shapes
from LMIALLib.cohorts.shapes import ShapeLibrary, noise_shapes
from LMIALLib.cohorts.synthesis import Sample, synthesise
from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.network.pretrain_config import PretrainConfig
from LMIALLib.network.slices import LARGEST_INTENSITY, network_input

CHUNK = 250
"""Samples in one file of a pool."""


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
        """Read real time points (if any), make phantoms, and set validation apart: brains and lesion shapes alike."""
        found = phantom_backgrounds(config.phantoms + 1, seed=100 * config.seed)
        kept, held = found[1:], found[:1]
        shapes, held_shapes = noise_shapes(config.seed, 200), noise_shapes(config.seed + 1, 200)
        if config.data is not None:
            real = real_backgrounds(Path(config.data), exclude, config.seed)
            kept = kept + [b for b in real if b.name not in config.validation]
            held = [b for b in real if b.name in config.validation and b.earlier is None] or held
            everywhere = real_shapes(Path(config.data), exclude)
            shapes = [shape for shape in everywhere if shape.source not in config.validation_shapes]
            held_shapes = [shape for shape in everywhere if shape.source in config.validation_shapes] or held_shapes
        settings = replace(config.synthesis, size=192 if config.synthesis.size >= 128 else config.synthesis.size)
        library = ShapeLibrary(held_shapes)
        validation = tuple(
            synthesise(held[n % len(held)], library, np.random.default_rng([config.seed, 1, n]), settings)
            for n in range(config.validation_samples)
        )
        return cls(tuple(kept), _shares(kept), ShapeLibrary(shapes), validation, config)

    def sample(self, number: int) -> Sample:
        """Sample ``number`` of the pool."""
        rng = np.random.default_rng([self.config.seed, 2, number])
        background = self.backgrounds[int(rng.choice(len(self.backgrounds), p=self.share))]
        return synthesise(background, self.shapes, rng, self.config.synthesis)


def make_pool(
    source: SampleSource,
    folder: Path,
    named: dict[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Make the samples of a pool, ``source.config.pool`` rounded up to whole files, in a folder.

    Args:
        source: where they come from.
        folder: where they are kept; made if absent. Files that a stopped run left are used again.
        named: what the samples depend on (JSON-ready).
        progress: called as (samples made, samples in all).

    Raises BadInput when the folder holds the samples of another run, OSError when the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    label = folder / "pool.json"
    text = json.dumps(named, sort_keys=True)
    if label.is_file() and label.read_text(encoding="utf-8") != text:
        raise BadInput(f"{folder} holds the samples of another run.", "Remove it, or choose another --out.")
    with written_whole(label) as temporary:
        temporary.write_text(text, encoding="utf-8")
    files = pool_files(source.config, folder)
    missing = [number for number, path in enumerate(files) if not path.is_file()]
    with ProcessPoolExecutor(source.config.workers, initializer=_become_worker, initargs=(source, folder)) as workers:
        for done, _ in enumerate(workers.map(_make_chunk, missing), start=1):
            progress((len(files) - len(missing) + done) * CHUNK, len(files) * CHUNK)


def pool_files(config: PretrainConfig, folder: Path) -> list[Path]:
    """The files of a pool, in the order of their samples."""
    return [folder / f"{number:05d}.npy" for number in range(-(-config.pool // CHUNK))]


class SamplePool:
    """Samples made once (`make_pool`) and drawn again and again, mirrored and turned differently each time.

    Args:
        config: the run.
        folder: where the samples are.
    """

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.config = config
        self.parts = [np.load(path, mmap_mode="r") for path in pool_files(config, folder)]

    def batch(self, number: int) -> Tensor:
        """Batch ``number``, float32 (n, 3c + 2, rows, columns): network input, target, brain of the middle slice.

        Every sample is drawn once before any is drawn again.
        """
        size, count = self.config.batch, len(self.parts) * CHUNK
        drawn = []
        for place in range(number * size, (number + 1) * size):
            order = np.random.default_rng([self.config.seed, 3, place // count]).permutation(count)
            drawn.append(int(order[place % count]))
        rng = np.random.default_rng([self.config.seed, 4, number])
        return torch.from_numpy(np.stack([_turned(_unpacked(self._stored(n)), rng) for n in drawn]))

    def _stored(self, number: int) -> np.ndarray:
        """What the file holds of a sample."""
        return np.asarray(self.parts[number // CHUNK][number % CHUNK])


_SOURCE: tuple[SampleSource, Path] | None = None


def _become_worker(source: SampleSource, folder: Path) -> None:
    """Remember what samples are made from, in a process that makes them."""
    global _SOURCE
    _SOURCE = (source, folder)
    torch.set_num_threads(1)


def _make_chunk(number: int) -> None:
    """Make and write one file of samples: int8 (n, 2c + 1, rows, columns), both visits and the marks."""
    assert _SOURCE is not None
    source, folder = _SOURCE
    samples = [source.sample(number * CHUNK + place) for place in range(CHUNK)]
    with written_whole(folder / f"{number:05d}.npy") as temporary, open(temporary, "wb") as stream:
        np.save(stream, np.stack([_stored_form(sample) for sample in samples]))


STEPS = 127 / LARGEST_INTENSITY


def _stored_form(sample: Sample) -> np.ndarray:
    """A sample in bytes: intensities in 1/16 robust spreads, then brain (a bit a slice) and change (bit 3)."""
    visits = np.concatenate((sample.baseline, sample.follow_up))
    values = np.rint(np.clip(visits, -LARGEST_INTENSITY, LARGEST_INTENSITY) * STEPS).astype(np.int8)
    marks = sum(
        (plane.astype(np.int8) << bit for bit, plane in enumerate(sample.brain)), sample.target.astype(np.int8) << 3
    )
    return np.concatenate((values, np.asarray(marks, np.int8)[None]))


def _unpacked(stored: np.ndarray) -> np.ndarray:
    """The inverse of ``_stored_form``, as float32 (3c + 2, rows, columns)."""
    values, marks = stored[:-1].astype(np.float32) / np.float32(STEPS), stored[-1]
    brain = np.stack([(marks >> bit) & 1 for bit in range(3)])
    before, after = values[:3], values[3:]
    return np.concatenate((network_input(before, after, brain > 0), ((marks >> 3) & 1)[None], brain[1:2])).astype(
        np.float32
    )


def _turned(planes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Planes (k, n, n) mirrored and turned by quarters, one of eight ways."""
    turned = np.rot90(planes, int(rng.integers(4)), (1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if rng.random() < 0.5 else turned)


def packed(samples: Sequence[Sample]) -> Tensor:
    """Samples of one size as float32 (n, 3c + 2, rows, columns): network input, target, brain of the middle slice."""
    return torch.from_numpy(
        np.stack(
            [
                np.concatenate((network_input(s.baseline, s.follow_up, s.brain), s.target[None], s.brain[1:2]))
                for s in samples
            ]
        ).astype(np.float32, copy=False)
    )


def _shares(backgrounds: list[Background]) -> np.ndarray:
    """How often each background is drawn: real pairs, raw scans, isotropic ones sliced axially, then the others."""
    weights: list[float] = []
    for background in backgrounds:
        if background.earlier is not None:
            weights.append(12.0)
        elif background.name.startswith(LONGITUDINAL):
            weights.append(5.0)
        elif background.name.startswith(CROSS_SECTIONAL):
            axial = sum(b.name == background.name for b in backgrounds[: len(weights)]) == 0
            weights.append(3.0 if axial else 0.5)
        else:
            weights.append(0.5)
    return np.array(weights) / sum(weights)
