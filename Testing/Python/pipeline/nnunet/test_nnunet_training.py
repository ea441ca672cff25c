"""The real nnU-Net on a tiny study: it plans, learns, is stopped and killed, and reads nothing that is not its own."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pipeline.nnunet import digests
from LMIALLib.pipeline.nnunet.dataset import write_dataset
from LMIALLib.pipeline.nnunet.digests import check, note, put_in_place
from LMIALLib.pipeline.nnunet.labels import PseudoLabels
from LMIALLib.pipeline.nnunet.places import FINAL
from LMIALLib.pipeline.nnunet.pretraining import Pretrained, pretrain
from LMIALLib.pipeline.nnunet.process import run_steps
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.nnunet.splits import one_split
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, Plan, Train
from LMIALLib.progress import Cancelled
from LMIALLib.study.store import Study
from LMIALLib.worker.transport import SubprocessTransport


class Bomb:
    """Makes a file when its pickle is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.file,)


def test_the_data_set_is_valid_by_nnunets_own_check(
    pretrained_study: tuple[Path, Pretrained], environment: Callable
) -> None:
    from LMIALLib.pipeline.nnunet.planning import _pools

    work = environment(pretrained_study[0])
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    with _pools(0):
        verify_dataset_integrity(str(work.raw), num_processes=1)


def test_nnunet_learns_from_pseudo_labels_and_its_loss_falls(pretrained_study: tuple[Path, Pretrained]) -> None:
    folder, done = pretrained_study
    assert len(done.losses) == 4 and done.losses[-1] < done.losses[0] - 0.3
    assert done.cases == (5, 1) and done.went_on_from == 0
    assert done.plan["patch_size"] == [32, 32] and done.plan["widths"] == [8, 16, 16]
    assert (folder / done.weights).is_file()


@pytest.mark.parametrize(("size", "patch", "finest"), [("tiny", [8, 32, 32], 0.0), ("small", [16, 96, 96], 1.5)])
def test_three_dimensions_are_planned_and_trained_in_every_size(
    study_folder: Path,
    tiny: NnunetSettings,
    nnunet: None,
    environment: Callable,
    size: str,
    patch: list[int],
    finest: float,
) -> None:
    settings = replace(tiny, config="3d_fullres", epochs=1, iterations=2)
    work = environment(study_folder)
    with Study.open(study_folder, reader="tests") as study:
        source = PseudoLabels(study, "tests")
        write_dataset(study, work, source, one_split, progress=lambda *told: None, cancelled=lambda: False)
    planning = Plan(data="pre", config=settings.config, size=size)
    training = Train(data="pre", config=settings.config, fold=0, of_training=settings.of_training)
    request = NnunetRequest("cpu", 0, (planning, training))
    plan, trained = run_steps(study_folder, request, lambda *told, **figures: None)
    assert plan["patch_size"] == patch and min(plan["spacing"][1:]) >= finest and len(trained["losses"]) == 1


def test_a_training_that_was_cancelled_and_killed_goes_on_and_ends_as_one_that_was_not(
    study_folder: Path,
    pretrained_study: tuple[Path, Pretrained],
    tiny: NnunetSettings,
    transports: list[SubprocessTransport],
) -> None:
    import torch

    stopped: list[float] = []

    def stop_in_epoch(number: int) -> Callable[[str, int, int], None]:
        return lambda said, done, total: stopped.append(time.monotonic()) if f"epoch {number} " in said else None

    def kill_in_epoch(number: int) -> Callable[[str, int, int], None]:
        def kill(said: str, done: int, total: int) -> None:
            if f"epoch {number} " in said and (process := transports[-1].pid()):
                os.kill(process, signal.SIGKILL)

        return kill

    with Study.open(study_folder, reader="tests") as study:
        with pytest.raises(Cancelled):
            pretrain(study, "tests", settings=tiny, progress=stop_in_epoch(2), cancelled=lambda: bool(stopped))
        assert time.monotonic() - stopped[0] < 2 and transports[-1].pid() is None
        with pytest.raises(LMIALError, match="ended from outside"):
            pretrain(study, "tests", settings=tiny, progress=kill_in_epoch(3))
        done = pretrain(study, "tests", settings=tiny)
    undisturbed = pretrained_study[1]
    assert done.went_on_from >= 1 and done.losses == undisturbed.losses
    ours, theirs = (
        torch.load(folder / done.weights, weights_only=True)["network_weights"]
        for folder in (study_folder, pretrained_study[0])
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_pickle_that_was_exchanged_is_refused_and_never_read(
    pretrained_folder: Path, tiny: NnunetSettings, environment: Callable, tmp_path: Path
) -> None:
    import torch

    from LMIALLib.pipeline.nnunet.training import train

    work, mark = environment(pretrained_folder), tmp_path / "it-was-read"
    checkpoint = work.fold("2d", 0) / FINAL

    def go_on(weights: Path | None) -> None:
        options = {"device": torch.device("cpu"), "workers": 0, "progress": lambda *told, **figures: None}
        train(work, "2d", 0, tiny.of_training, weights=weights, **options)

    for file, weights in (
        (work.preprocessed / "lmial_2d" / "c0000.pkl", None),
        (checkpoint, None),
        (checkpoint, checkpoint),
    ):
        original = file.read_bytes()
        file.write_bytes(pickle.dumps(Bomb(mark)))
        with pytest.raises(BadInput, match=f"{file.name} is not the file that nnU-Net wrote"):
            go_on(weights)
        file.write_bytes(original)
    forged = work.preprocessed / "lmial_2d" / "c0000.pkl"
    forged.write_bytes(pickle.dumps(Bomb(mark)))
    note(work.root, [forged])
    with pytest.raises(BadInput, match=r"c0000\.pkl is not the file that nnU-Net wrote"):
        go_on(None)
    assert not mark.exists()


def test_a_kill_between_a_pickle_and_its_digest_makes_it_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    file, temporary = tmp_path / "checkpoint_latest.pth", tmp_path / ".checkpoint_latest.pth"
    file.write_bytes(b"first")
    note(tmp_path, [file])
    temporary.write_bytes(b"second")
    with monkeypatch.context() as patched:
        patched.setattr(digests, "os", SimpleNamespace(replace=die))
        with pytest.raises(KeyboardInterrupt):
            put_in_place(tmp_path, temporary, file)
    check(tmp_path, [file])
    put_in_place(tmp_path, temporary, file)
    check(tmp_path, [file])
    file.write_bytes(b"third")
    with pytest.raises(BadInput, match="is not the file"):
        check(tmp_path, [file])
