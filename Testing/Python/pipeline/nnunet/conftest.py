"""A tiny study with pseudo-labels, so that the real nnU-Net takes seconds."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.pipeline.nnunet import running
from LMIALLib.pipeline.nnunet.finetuning import Finetuned, finetune
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.pretraining import Pretrained, pretrain
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.pseudo import Pseudo, write_pseudo
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from LMIALLib.worker.transport import SubprocessTransport
from Testing.conftest import leave_out

MISSING = "nnunetv2 is not installed: pip install '.[nnunet]'"
STACK = (10, 40, 44)
SUBJECTS = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "d1": "d", "e1": "e"}
"""Case to subject; the study sets the fifth subject aside."""
TINY = NnunetSettings(
    config="2d", epochs=4, iterations=5, folds=2, learning_rate=0.02, workers=0, device="cpu", size="tiny"
)


def tiny_pair(seed: int, axis: int = 0) -> tuple[Pair, np.ndarray]:
    """An ellipsoid of noise in which two blocks brighten, on an oblique grid; the pair and its truth (k, j, i)."""
    random = np.random.default_rng(seed)
    places = np.indices(STACK).astype(np.float32)
    centre = (np.array(STACK) - 1)[:, None, None, None] / 2
    mask = (((places - centre) / (centre * 0.9)) ** 2).sum(0) < 1
    baseline = np.where(mask, random.normal(0, 0.5, STACK), -3).astype(np.float32)
    follow_up = baseline + np.where(mask, random.normal(0, 0.2, STACK), 0).astype(np.float32)
    truth = np.zeros(STACK, np.uint8)
    for _ in range(2):
        k, j, i = random.integers((3, 10, 10), (7, 24, 28))
        truth[k : k + 2, j : j + 7, i : i + 7] = 1
    truth[~mask] = 0
    follow_up[truth > 0] += 4
    volumes = [np.ascontiguousarray(np.moveaxis(v, 0, axis)) for v in (baseline, follow_up, mask, truth)]
    grid = Grid(volumes[0].shape[::-1], (1.0, 1.5, 3.0), (-12.0, 45.5, 7.25), (0.96, -0.28, 0, 0.28, 0.96, 0, 0, 0, 1))
    return Pair(volumes[0], volumes[1], volumes[2], grid, axis), volumes[3]


def add_case(study: Study, name: str, subject: str, pair: Pair, truth: np.ndarray | None = None) -> None:
    """Stage and add a case the way ``prepare`` would leave it."""
    staged = study.cases.stage(name)
    save_pair(pair, staged / "pair-1")
    study.cases.add(name, staged, subject=subject)
    if truth is not None:
        study.truths.write(name, truth)


def say(study: Study, case: str, truth: np.ndarray, *, failed: tuple[int, ...] = ()) -> None:
    """A teacher who sees most of the truth, is unsure at random pixels, and fails on some slices."""
    random = np.random.default_rng(len(case))
    done = np.ones(study.cases.get(case).n_slices, bool)
    done[list(failed)] = False
    probability = np.moveaxis(np.where(truth > 0, 0.9, 0.1).astype(np.float32), study.cases.get(case).axis, 0)
    probability[~done] = 0
    confidence = random.uniform(0.5, 1, probability.shape).astype(np.float32)
    back = [np.moveaxis(v, 0, study.cases.get(case).axis) for v in (probability, confidence)]
    why = dict.fromkeys(failed, "it was too dark")
    write_pseudo(study, "tests", case, Pseudo(back[0], back[1], done, why, {"teacher": "tests"}))


def read_like_truth(study: Study, case: str, number: int) -> None:
    """A reader answers one slice as the truth has it."""
    truth = study.truths.read(case)
    assert truth is not None
    mask = np.moveaxis(truth, study.cases.get(case).axis, 0)[number]
    answer = "mask" if mask.any() else "nothing"
    study.answers.save(NewAnswer(case, number, answer, mask if mask.any() else None, reader="tests"))


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases of five subjects, one along another axis, with truth and pseudo-labels. Ask for ``study_folder``."""
    folder = tmp_path_factory.mktemp("tiny") / "study"
    with Study.create(folder, reader="setup") as study:
        for number, (case, subject) in enumerate(SUBJECTS.items()):
            pair, truth = tiny_pair(number, axis=1 if case == "b1" else 0)
            add_case(study, case, subject, pair, truth)
            say(study, case, truth, failed=(0,) if case == "a1" else ())
    return folder


@pytest.fixture
def study_folder(made_study: Path, tmp_path: Path) -> Path:
    """A copy of the study that a test may change."""
    return Path(shutil.copytree(made_study, tmp_path / "study"))


@pytest.fixture
def nnunet() -> None:
    """Skips where the extra is not installed."""
    if importlib.util.find_spec("nnunetv2") is None:
        leave_out(MISSING)


@pytest.fixture
def tiny() -> NnunetSettings:
    """Twenty iterations of a plan that was shrunk."""
    return TINY


@pytest.fixture
def case_adder() -> Callable[..., None]:
    """``add_case``."""
    return add_case


@pytest.fixture
def reader() -> Callable[[Study, str, int], None]:
    """``read_like_truth``."""
    return read_like_truth


@pytest.fixture
def pair_maker() -> Callable[..., tuple[Pair, np.ndarray]]:
    """``tiny_pair``."""
    return tiny_pair


@pytest.fixture(scope="session")
def pretrained_study(made_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pretrained]:
    """The study after a pretraining that nothing disturbed. Never change it: ask for ``pretrained_folder``."""
    if importlib.util.find_spec("nnunetv2") is None:
        leave_out(MISSING)
    folder = Path(shutil.copytree(made_study, tmp_path_factory.mktemp("pretrained") / "study"))
    with Study.open(folder, reader="setup") as study:
        return folder, pretrain(study, "tests", settings=TINY)


@pytest.fixture
def pretrained_folder(pretrained_study: tuple[Path, Pretrained], tmp_path: Path) -> Path:
    """A copy of the pretrained study that a test may change."""
    return Path(shutil.copytree(pretrained_study[0], tmp_path / "study"))


@pytest.fixture(scope="session")
def finetuned_study(
    pretrained_study: tuple[Path, Pretrained], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Finetuned]:
    """The study after a fine-tuning on three slices of five cases. Never change it: ask for ``finetuned_folder``."""
    folder = Path(shutil.copytree(pretrained_study[0], tmp_path_factory.mktemp("finetuned") / "study"))
    with Study.open(folder, reader="setup") as study:
        for case in ("a1", "b1", "c1", "d1", "e1"):
            for number in (3, 4, 5):
                read_like_truth(study, case, number)
        return folder, finetune(study, settings=TINY)


@pytest.fixture
def finetuned_folder(finetuned_study: tuple[Path, Finetuned], tmp_path: Path) -> Path:
    """A copy of the fine-tuned study that a test may change."""
    return Path(shutil.copytree(finetuned_study[0], tmp_path / "study"))


@pytest.fixture
def transports(monkeypatch: pytest.MonkeyPatch) -> list[SubprocessTransport]:
    """The processes that nnU-Net was started in, as they come."""
    started: list[SubprocessTransport] = []

    class Remembered(SubprocessTransport):
        def start(self, study_folder: Path) -> None:
            super().start(study_folder)
            started.append(self)

    monkeypatch.setattr(running, "SubprocessTransport", Remembered)
    return started


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], WorkFolder]:
    """A function that gives this process nnU-Net's environment for a study, for what needs no process of its own."""

    def of(study_folder: Path) -> WorkFolder:
        work = WorkFolder.pretraining(study_folder)
        for name, value in work.environment().items():
            monkeypatch.setenv(name, value)
        for folder in ("raw", "pre", "res"):
            (work.root / folder).mkdir(parents=True, exist_ok=True)
        return work

    return of
