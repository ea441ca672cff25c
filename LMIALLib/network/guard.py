"""The guard: a small synthetic set built into LMIAL, that a model must not forget how to read.

`Resources/Weights/guard.npz` holds slices, each between its neighbours, painted into phantoms whose seeds pretraining
does not use. The same seed makes the same slices; the file only spares the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from LMIALLib.cohorts.synthesis import Sample, Synthesis, synthesise
from LMIALLib.files import written_whole
from LMIALLib.network.slices import LARGEST_INTENSITY, NEIGHBOURS

FIRST_SEED = 900_001
PHANTOMS = 3
SLICES = 18


def make_guard(phantoms: int = PHANTOMS, slices: int = SLICES, size: int = 128) -> list[Sample]:
    """Paint the guard anew (6 s a phantom): three of four with 30 changed pixels or more, the rest with none."""
    from LMIALLib.cohorts.backgrounds import phantom_backgrounds
    from LMIALLib.cohorts.shapes import ShapeLibrary, noise_shapes

    backgrounds = phantom_backgrounds(phantoms, FIRST_SEED)
    shapes = ShapeLibrary(noise_shapes(FIRST_SEED, 100))
    settings = Synthesis(size=size, noise=(0.05, 0.3))
    samples: list[Sample] = []
    for attempt in range(100 * slices):
        wanted = len(samples) % 4 != 3
        sample = synthesise(
            backgrounds[len(samples) % phantoms], shapes, np.random.default_rng([FIRST_SEED, attempt]), settings
        )
        changed = int(sample.target.sum())
        if (changed >= 30 if wanted else changed == 0) and sample.brain[NEIGHBOURS].mean() > 0.3:
            samples.append(sample)
        if len(samples) == slices:
            break
    return samples


def save_guard(samples: Sequence[Sample], path: Path) -> None:
    """Write samples of one size: intensities in 1/16 robust spreads as a signed byte, brain and change as 0 and 1."""
    steps = 127 / LARGEST_INTENSITY

    def bytes_of(slices: list[np.ndarray]) -> np.ndarray:
        return np.rint(np.clip(np.stack(slices), -LARGEST_INTENSITY, LARGEST_INTENSITY) * steps).astype(np.int8)

    with written_whole(Path(path)) as temporary:
        np.savez_compressed(
            temporary,
            baseline=bytes_of([s.baseline for s in samples]),
            follow_up=bytes_of([s.follow_up for s in samples]),
            brain=np.stack([s.brain for s in samples]),
            target=np.stack([s.target for s in samples]),
        )


@lru_cache(maxsize=1)
def load_guard() -> tuple[Sample, ...]:
    """The bundled guard. Raises LMIALError when the installation lacks it."""
    from LMIALLib.errors import LMIALError
    from LMIALLib.resources import resource

    try:
        path = resource("Weights", "guard.npz")
    except FileNotFoundError as problem:
        raise LMIALError(f"The installation of LMIAL is incomplete: {problem}.", "Install LMIAL again.") from problem
    with np.load(path, allow_pickle=False) as stored:
        planes = [stored[name] for name in ("baseline", "follow_up", "brain", "target")]
    step = np.float32(LARGEST_INTENSITY / 127)
    return tuple(
        Sample(before * step, after * step, brain, target, "guard")
        for before, after, brain, target in zip(*planes, strict=True)
    )


if __name__ == "__main__":  # python -m LMIALLib.network.guard FILE makes the bundled file anew
    import sys

    save_guard(make_guard(), Path(sys.argv[1]))
