"""Stage 5: nnU-Net learns from what was read; its folds together are a model of the study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.files import sha256_of, written_whole
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.nnunet.dataset import Dataset, write_dataset
from LMIALLib.pipeline.nnunet.digests import note, unchanged
from LMIALLib.pipeline.nnunet.entering import check_work
from LMIALLib.pipeline.nnunet.labels import PseudoLabels, ReadLabels
from LMIALLib.pipeline.nnunet.places import ENSEMBLE, TRAINED, WorkFolder
from LMIALLib.pipeline.nnunet.pretraining import pretrained_weights
from LMIALLib.pipeline.nnunet.running import run
from LMIALLib.pipeline.nnunet.settings import FINETUNING_RATE, NnunetSettings
from LMIALLib.pipeline.nnunet.splits import fold_splits
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, Plan, PredictAll, Train
from LMIALLib.progress import Progress, ignore
from LMIALLib.study.kept import STORED
from LMIALLib.study.maps import STORED_MAPS
from LMIALLib.study.store import Study
from LMIALLib.study.targets import training_examples


@dataclass(frozen=True)
class Finetuned:
    """The result of a fine-tuning.

    Args:
        model: id of the ensemble in the study.
        adopted, reason: whether it is in use now, and the sentence why or why not.
        upto: highest id of an answer that it learned from; later ones it does not know.
        read: slices that a person had read by then, in all cases together.
        folds: trainings of the ensemble.
        kept: share of the pretrained weights that is kept in it, see ``ensemble.best_kept``.
        dice_held_out: Dice of each fold on read slices of the subjects that it never saw, pooled; None without change.
        dice_teacher: Dice of the teacher's pseudo-labels on the same slices; None where there are none.
        left_out: case to the sentence why it was not used.
        losses: training loss by fold and epoch.
        plan: what nnU-Net went by, see ``Pretrained``.
        settings: see NnunetSettings.
    """

    model: str
    adopted: bool
    reason: str
    upto: int
    read: int
    folds: int
    kept: float
    dice_held_out: float | None
    dice_teacher: float | None
    left_out: dict[str, str]
    losses: tuple[tuple[float, ...], ...]
    plan: dict[str, Any]
    settings: dict[str, Any]


def finetune(  # half of it documents the arguments
    study: Study,
    *,
    writing: Callable[[], AbstractContextManager[Study]] | None = None,
    teacher: str | None = None,
    opinions_above: float | None = None,
    settings: NnunetSettings | None = None,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> Finetuned:
    """Fine-tune the pretrained nnU-Net on read slices, one training a fold, and store the ensemble as a model.

    Its maps (mean, and over the folds expected entropy, variance and vote entropy) are written for every case, so that
    rankings and every face use them. It is taken into use unless the teacher's pseudo-labels were better on the
    read slices of held-out subjects. A run that was stopped goes on from the last checkpoint; one that was stopped
    after the training only stores, also where more was read since, and then learns from that.

    Args:
        study: an open study; while nnU-Net trains it is only read, so that a person can annotate.
        writing: opens the study for writing when there is something to store, see `pipeline.study_writer`; None:
            the study itself can be written.
        teacher: whose pseudo-labels it is compared with, and may learn from.
        opinions_above: also learn from pseudo-labels of unread slices where the teacher is at least so confident;
            None: from what was read alone.
        settings: see NnunetSettings; the configuration must be the pretrained one.
        progress, cancelled: see `pipeline.stages`.

    Raises BadInput where nothing was pretrained or read, change was read in fewer than two subjects, and as
    ``pretrain`` does.
    """
    if writing is None and study.read_only:
        raise BadInput(f"{study.folder} cannot be changed now: {study.why_read_only}")
    writing = writing or (lambda: nullcontext(study))
    check_work(study.folder)
    before = _trained(study)
    if before is not None and not _is_model(study, before[1]):
        with writing() as written:
            _store(written, before[1])
    settings = settings or NnunetSettings(learning_rate=FINETUNING_RATE)
    weights = pretrained_weights(study, settings.config)
    if not weights.is_file():
        raise BadInput(
            f"nnU-Net has not learned from pseudo-labels in the configuration {settings.config} yet.",
            "Do that first.",
            Step(Do.PIPELINE_STAGE, str(study.folder), "pretraining"),
        )
    upto = study.answers.highest_id()
    if not training_examples(study, upto=upto):
        step = Step(Do.ANNOTATE, str(study.folder))
        raise BadInput("no slice that may be learned from has been read yet.", "Read some first.", step)
    pseudo_labels = PseudoLabels(study, teacher, opinions_above) if teacher and opinions_above is not None else None
    dataset = write_dataset(
        study,
        WorkFolder.finetuning(study.folder),
        ReadLabels(study, upto, pseudo_labels),
        lambda members: fold_splits(members, settings.folds),
        progress=progress,
        cancelled=cancelled,
    )
    key = _key(dataset, settings, sha256_of(weights), teacher)
    if before is not None and before[0] == key and _has_maps(study, before[1]):
        done = replace(before[1], upto=upto)  # nothing is learnt from the answers since then, such as skips
    else:
        read = sum(len(study.answers.current(case.name, upto=upto)) for case in study.cases.all())
        request = _request(dataset, settings, str(weights), teacher)
        results = run(study.folder, request, progress=progress, cancelled=cancelled)
        done = _finetuned(dataset, results, settings, upto, read)
        record = json.dumps({"key": key, "trained": asdict(done)}, indent=1)
        with written_whole(WorkFolder.finetuning(study.folder).root / TRAINED) as temporary:
            temporary.write_text(record, encoding="utf-8")
        note(WorkFolder.finetuning(study.folder).root, [WorkFolder.finetuning(study.folder).root / TRAINED])
    if _is_model(study, done):
        return _as_it_stands(study, done)
    with writing() as written:
        return _store(written, done)


def _finetuned(
    dataset: Dataset, results: list[dict[str, Any]], settings: NnunetSettings, upto: int, read: int
) -> Finetuned:
    trained, judged = results[1:-1], results[-1]
    adopted, reason = _judgement(judged)
    return Finetuned(
        model=judged["model"],
        adopted=adopted,
        reason=reason,
        upto=upto,
        read=read,
        folds=len(dataset.splits),
        kept=judged["kept"],
        dice_held_out=judged["dice_held_out"],
        dice_teacher=judged["dice_teacher"],
        left_out=dataset.left_out,
        losses=tuple(tuple(one["losses"]) for one in trained),
        plan=results[0],
        settings=settings.to_dict(),
    )


def _key(dataset: Dataset, settings: NnunetSettings, weights: str, teacher: str | None) -> str:
    """SHA-256 over everything that an ensemble depends on."""
    whole = [dataset.key, settings.to_dict(), weights, teacher]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _trained(study: Study) -> tuple[str, Finetuned] | None:
    """Key and result of the last training whose weights lie there, or None."""
    root = WorkFolder.finetuning(study.folder).root
    if not unchanged(root, [root / TRAINED, root / ENSEMBLE]):
        return None
    last = read_json(root / TRAINED, _Trained)
    whole = last.trained.model.endswith(sha256_of(root / ENSEMBLE)[:8])
    return (last.key, last.trained) if whole else None


@dataclass(frozen=True)
class _Trained:
    key: str
    trained: Finetuned


def _has_maps(study: Study, done: Finetuned) -> bool:
    return all(study.maps.has(done.model, case.name, STORED_MAPS) for case in study.cases.all())


def _is_model(study: Study, done: Finetuned) -> bool:
    return any(model.id == done.model for model in study.models.all())


def _request(dataset: Dataset, settings: NnunetSettings, weights: str, teacher: str | None) -> NnunetRequest:
    config, folds = settings.config, len(dataset.splits)
    planning = Plan(data="fine", config=config, size=settings.size, plans_of="pre")
    trainings = (
        Train(data="fine", config=config, fold=fold, of_training=settings.of_training, weights=weights)
        for fold in range(folds)
    )
    prefix = f"{STORED}{config[:2]}-"
    maps = PredictAll(data="fine", config=config, folds=folds, weights=weights, teacher=teacher, prefix=prefix)
    return NnunetRequest(settings.device, settings.workers, (planning, *trainings, maps))


def _judgement(judged: dict[str, Any]) -> tuple[bool, str]:
    """Whether the ensemble is taken into use, and why in a sentence."""
    ours, theirs = judged["dice_held_out"], judged["dice_teacher"]
    if theirs is not None:
        ours = judged["dice_beside"]  # on the very slices that have a pseudo-label
    if ours is None:
        why = "no change was read in a subject that a fold had not seen, so there is no evidence"
        return False, f"Not taken into use: {why}."
    where = "on read slices of subjects held out"
    if theirs is None:
        return True, f"Taken into use: Dice {ours:.3f} {where}."
    verdict = "Not taken into use" if ours < theirs else "Taken into use"
    return ours >= theirs, f"{verdict}: Dice {ours:.3f} {where}, that of the pseudo-labels {theirs:.3f}."


def _as_it_stands(study: Study, done: Finetuned) -> Finetuned:
    """The same of an ensemble that is a model already; whoever went back to another one since is not overruled."""
    in_use = study.models.in_use()
    if in_use is not None and in_use.id == done.model:
        return replace(done, adopted=True)
    if not done.adopted:
        return done
    other = in_use.id if in_use is not None else "none"
    return replace(done, adopted=False, reason=f"It was taken into use before; {other} is in use now.")


def _store(study: Study, done: Finetuned) -> Finetuned:
    """Make an ensemble a model of the study, in use where its Dice allows it."""
    parent = study.models.in_use()
    study.models.add(
        WorkFolder.finetuning(study.folder).root / ENSEMBLE,
        id=done.model,
        parent=parent.id if parent else None,
        round=parent.round + 1 if parent else 0,
        adopted=done.adopted,
        report={**asdict(done), "reasons": [done.reason]},
    )
    return done
