"""Stage 2: nnU-Net plans itself for a study and learns from a teacher's pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.pipeline.nnunet.dataset import write_dataset
from LMIALLib.pipeline.nnunet.entering import check_work
from LMIALLib.pipeline.nnunet.labels import PseudoLabels
from LMIALLib.pipeline.nnunet.places import FINAL, WorkFolder
from LMIALLib.pipeline.nnunet.running import run
from LMIALLib.pipeline.nnunet.settings import NnunetSettings
from LMIALLib.pipeline.nnunet.splits import one_split
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, Plan, Train
from LMIALLib.progress import Progress, ignore
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class Pretrained:
    """What a pretraining left.

    Args:
        weights: checkpoint below the study folder, with '/'.
        cases: how many cases it learned from and was held against.
        left_out: case to the sentence why it was not used.
        plan: what nnU-Net chose: spacing, patch size, batch size, widths.
        losses, dice: training loss and pseudo Dice on the subjects held out (None where nothing was marked), by epoch.
        went_on_from: epoch at which a training that had been stopped went on; 0 for one that was not.
    """

    weights: str
    cases: tuple[int, int]
    left_out: dict[str, str]
    plan: dict[str, Any]
    losses: tuple[float, ...]
    dice: tuple[float | None, ...]
    went_on_from: int


def pretrain(
    study: Study,
    teacher: str,
    *,
    settings: NnunetSettings | None = None,
    above: float = 0.0,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> Pretrained:
    """Train nnU-Net on the pseudo-labels of a teacher; a training that was stopped goes on from its last checkpoint.

    Args:
        study: an open study.
        teacher: whose pseudo-labels, see `pipeline.pseudo`.
        settings: see NnunetSettings.
        above: pixels of which the teacher is less confident are ignored, 0 to 1.
        progress, cancelled: see `pipeline.stages`.

    Raises BadInput where there are no pseudo-labels, no brain, fewer than two subjects or no change; where nnU-Net is
    not installed, or a pickle is not its own. LMIALError where it was killed or memory ran out; Cancelled.
    """
    settings = settings or NnunetSettings()
    check_work(study.folder)
    work = WorkFolder.pretraining(study.folder)
    dataset = write_dataset(
        study, work, PseudoLabels(study, teacher, above), one_split, progress=progress, cancelled=cancelled
    )
    planning = Plan(data="pre", config=settings.config, size=settings.size)
    training = Train(data="pre", config=settings.config, fold=0, of_training=settings.of_training)
    request = NnunetRequest(settings.device, settings.workers, (planning, training))
    plan, trained = run(study.folder, request, progress=progress, cancelled=cancelled)
    split = dataset.splits[0]
    return Pretrained(
        pretrained_weights(study, settings.config).relative_to(study.folder).as_posix(),
        (len(split["train"]), len(split["val"])),
        dataset.left_out,
        plan,
        tuple(trained["losses"]),
        tuple(trained["dice"]),
        int(trained["went_on_from"]),
    )


def pretrained_weights(study: Study, config: str) -> Path:
    """Where the checkpoint of a pretraining lies, or will lie."""
    return WorkFolder.pretraining(study.folder).fold(config, 0) / FINAL
