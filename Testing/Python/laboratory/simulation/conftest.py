"""Small cases with known change, and simulations of them that need no other process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.laboratory.rounds import Job, run_job
from LMIALLib.laboratory.settings import SimulationSettings
from LMIALLib.laboratory.subjects import Subject, save_subject, stacked_pair
from LMIALLib.laboratory.tracks import tracks_of
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair, write_nrrd
from LMIALLib.study import Study


def small_subject(name: str = "a", part: str = "pool", *, slices: int = 22, seed: int = 0) -> Subject:
    """Noise in a cylinder of brain, 40 x 36 pixels of 2 mm, with bright balls that are there at the follow-up only."""
    rng = np.random.default_rng([seed, slices])
    shape = (slices, 40, 36)
    k, row, column = np.ogrid[: shape[0], : shape[1], : shape[2]]
    brain = np.broadcast_to((row - 20) ** 2 / 17**2 + (column - 18) ** 2 / 15**2 <= 1, shape).copy()
    truth = np.zeros(shape, dtype=np.uint8)
    for _ in range(6):
        centre = rng.integers((1, 10, 10), (slices - 1, 30, 26))
        truth |= (4 * (k - centre[0]) ** 2 + (row - centre[1]) ** 2 + (column - centre[2]) ** 2 <= 12).astype(np.uint8)
    baseline = rng.normal(size=shape).astype(np.float32)
    follow_up = baseline + 4 * truth + 0.3 * rng.normal(size=shape).astype(np.float32)
    return Subject(name, part, stacked_pair(baseline, follow_up, brain, (3.0, 2.0, 2.0)), truth)


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """`small_subject` as a fixture."""
    return small_subject


TINY = SimulationSettings(("random",), seeds=1, rounds=2, steps=3, widths=(4, 8), spacing_mm=6.0)


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., Job]:
    """A function (strategy, kind, subjects, settings...) -> the finished job, computed in this process."""

    def run(
        strategy: str, kind: str, subjects: list[Subject], *, seed: int = 0, key: str = "job", **changed: object
    ) -> Job:
        for name in ("cases", "jobs"):
            (tmp_path / name).mkdir(exist_ok=True)
        for one in subjects:
            save_subject(one, tmp_path / "cases" / f"{one.name}.npz")
        settings = replace(TINY, strategies=(strategy,) if strategy != "full" else ("random",), **changed)  # type: ignore[arg-type]
        settings = settings.resolved(tracks_of(kind, subjects)[0].size)
        digest = "".join(one.digest() for one in subjects)
        job = Job(str(tmp_path), kind, digest, settings.to_dict(), strategy, seed, f"{key}-{strategy}-{seed}")
        run_job(job)
        return job

    return run


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with the case "a", its slices along the last array axis, and its truth stored with it."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    made = small_subject()
    turned = {name: np.moveaxis(getattr(made.pair, name), 0, 2) for name in ("baseline", "follow_up", "mask")}
    spacing = (3.0, 2.0, 2.0)
    grid = replace(made.pair.grid, size=tuple(turned["mask"].shape[::-1]), spacing=spacing)  # type: ignore[arg-type]
    pair = Pair(**turned, grid=grid, axis=2)
    with Study.create(folder) as study:
        staged = study.cases.stage("a")
        save_pair(pair, staged / "pair-1")
        (staged / "source").mkdir()
        study.cases.add("a", staged)
    write_nrrd(folder / "cases" / "a" / "truth.nrrd", np.moveaxis(made.truth, 0, 2), grid)
    return folder
