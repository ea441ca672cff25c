"""A small study to try things on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import Case, Study

OBLIQUE = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0)


def small_pair(shape: tuple[int, int, int] = (6, 8, 10), *, axis: int = 0, seed: int = 0) -> Pair:
    """A pair of noise on an oblique grid with spacings 1, 1.5 and 3 mm."""
    rng = np.random.default_rng(seed)
    grid = Grid(shape[::-1], (1.0, 1.5, 3.0), (-12.3456789, 45.678901, 7.25), OBLIQUE)
    baseline = rng.normal(size=shape).astype(np.float32)
    return Pair(baseline, baseline + 1, np.ones(shape, bool), grid, axis)


def put_case(study: Study, name: str, *, pair: Pair | None = None, **options: object) -> Case:
    """Stage and add a case the way ``prepare`` would leave it."""
    staged = study.cases.stage(name)
    save_pair(pair or small_pair(), staged / "pair-1")
    (staged / "source").mkdir()
    (staged / "source" / "follow_up.nrrd").write_bytes(b"stands for a volume")
    return study.cases.add(name, staged, **options)  # type: ignore[arg-type]


@pytest.fixture
def add_case() -> Callable[..., Case]:
    """``put_case`` as a fixture."""
    return put_case


@pytest.fixture
def make_pair() -> Callable[..., Pair]:
    """``small_pair`` as a fixture."""
    return small_pair


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """An open study with one case "a" of six slices of 8 x 10 voxels."""
    with Study.create(tmp_path / "study", reader="reader-1") as opened:
        put_case(opened, "a")
        yield opened


@pytest.fixture
def spot() -> np.ndarray:
    """A mask of one slice of case "a": 2 x 3 voxels "new", one voxel "enlarged"."""
    mask = np.zeros((8, 10), np.uint8)
    mask[2:4, 3:6] = 2
    mask[6, 7] = 3
    return mask
