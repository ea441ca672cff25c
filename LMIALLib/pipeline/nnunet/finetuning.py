"""Stage 5: nnU-Net learns from what was read; its folds together are a model of the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.pipeline.nnunet.dataset import Dataset, write_dataset
from LMIALLib.pipeline.nnunet.labels import PseudoLabels, ReadLabels
from LMIALLib.pipeline.nnunet.places import ENSEMBLE, Work
from LMIALLib.pipeline.nnunet.pretraining import pretrained_weights
from LMIALLib.pipeline.nnunet.running import Progress, run
from LMIALLib.pipeline.nnunet.settings import FINETUNING_RATE, NnunetSettings
from LMIALLib.pipeline.nnunet.splits import fold_splits
from LMIALLib.study.models import STORED
from LMIALLib.study.store import Study


@dataclass(frozen=True)
class Finetuned:
    """What a fine-tuning left.

    Args:
        model: id of the ensemble in the study.
        adopted, reason: whether it is in use now, and the sentence why or why not.
        read: slices that a person read, in all cases together.
        folds: trainings of the ensemble.
        dice_held_out: Dice of each fold on read slices of the subjects that it never saw, pooled; None without change.
        dice_teacher: Dice of the teacher's pseudo-labels on the same slices; None where there are none.
        left_out: case to the sentence why it was not used.
        losses: training loss by fold and epoch.
    """

    model: str
    adopted: bool
    reason: str
    read: int
    folds: int
    dice_held_out: float | None
    dice_teacher: float | None
    left_out: dict[str, str]
    losses: tuple[tuple[float, ...], ...]


def finetune(
    study: Study,
    *,
    teacher: str | None = None,
    opinions_above: float | None = None,
    settings: NnunetSettings | None = None,
    progress: Progress = lambda done, total, sentence: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Finetuned:
    """Fine-tune the pretrained nnU-Net on read slices, one training a fold, and store the ensemble as a model.

    Its maps (mean, and over the folds expected entropy, variance and vote entropy) are written for every case, so that
    ``lmial rank`` and every face go by them. It is taken into use unless the teacher's pseudo-labels were better on the
    read slices of held-out subjects. A run that was stopped goes on from the last checkpoint.

    Args:
        study: an open study that can be written.
        teacher: whose pseudo-labels it is held against, and may learn from.
        opinions_above: also learn from pseudo-labels of unread slices where the teacher is at least so confident;
            None: from what was read alone.
        settings: see NnunetSettings; the configuration must be the pretrained one.
        progress, cancelled: see `pipeline.stages`.

    Raises BadInput where nothing was pretrained or read, change was read in fewer than two subjects, and as
    ``pretrain`` does.
    """
    if study.read_only:
        raise BadInput(f"{study.folder} cannot be changed now: {study.why_read_only}")
    settings = settings or NnunetSettings(learning_rate=FINETUNING_RATE)
    weights = pretrained_weights(study, settings.config)
    if not weights.is_file():
        raise BadInput(
            f"nnU-Net has not learned from pseudo-labels in the configuration {settings.config} yet.",
            "Do that first: lmial pipeline STUDY --stage pretraining",
        )
    upto = study.highest_annotation()
    if not study.training_examples(upto=upto):
        raise BadInput("no slice that may be learned from has been read yet.", "Read some first: lmial annotate STUDY")
    opinions = PseudoLabels(study, teacher, opinions_above) if teacher and opinions_above is not None else None
    dataset = write_dataset(
        study,
        Work.finetuning(study.folder),
        ReadLabels(study, upto, opinions),
        lambda members: fold_splits(members, settings.folds),
        progress=progress,
        cancelled=cancelled,
    )
    request = _request(dataset, settings, str(weights), teacher)
    results = run(study.folder, request, progress=progress, cancelled=cancelled)
    trained, judged = results[1:-1], results[-1]
    reason = _judgement(judged)
    done = Finetuned(
        model=judged["model"],
        adopted=reason.startswith(ADOPTED),
        reason=reason,
        read=sum(len(study.current(case.name, upto=upto)) for case in study.cases()),
        folds=len(dataset.splits),
        dice_held_out=judged["dice_held_out"],
        dice_teacher=judged["dice_teacher"],
        left_out=dataset.left_out,
        losses=tuple(tuple(one["losses"]) for one in trained),
    )
    return _stored(study, done, {"upto": upto, "settings": settings.to_dict(), "plan": results[0]})


def _request(dataset: Dataset, settings: NnunetSettings, weights: str, teacher: str | None) -> dict[str, Any]:
    common = {"data": "fine", "config": settings.config}
    folds = len(dataset.splits)
    plan = {**common, "do": "plan", "size": settings.size, "plans_of": "pre"}
    training = {**common, "do": "train", "of_training": settings.of_training, "weights": weights}
    prefix = f"{STORED}{settings.config[:2]}-"
    predict = {**common, "do": "predict", "folds": folds, "teacher": teacher, "prefix": prefix}
    steps = [plan, *({**training, "fold": fold} for fold in range(folds)), predict]
    return {"device": settings.device, "workers": settings.workers, "steps": steps}


ADOPTED = "It is in use"


def _judgement(judged: dict[str, Any]) -> str:
    """Whether the ensemble is taken into use, told as a sentence."""
    ours, theirs = judged["dice_held_out"], judged["dice_teacher"]
    if ours is None:
        return "It is not in use: no change was read in a subject that a fold had not seen, so there is no evidence."
    where = "on read slices of subjects held out"
    if theirs is None:
        return f"{ADOPTED}: Dice {ours:.3f} {where}."
    said = "It is not in use" if ours < theirs else ADOPTED
    return f"{said}: Dice {ours:.3f} {where}, that of the pseudo-labels {theirs:.3f}."


def _stored(study: Study, done: Finetuned, told: dict[str, Any]) -> Finetuned:
    """Make the ensemble a model of the study, unless a run that was stopped at its very end has done so."""
    if any(model.id == done.model for model in study.models()):
        return replace(done, adopted=study.model(done.model).adopted)
    parent = study.model_in_use()
    study.add_model(
        Work.finetuning(study.folder).root / ENSEMBLE,
        id=done.model,
        parent=parent.id if parent else None,
        round=parent.round + 1 if parent else 0,
        adopted=done.adopted,
        report={**asdict(done), **told, "reasons": [done.reason]},
    )
    return done
