"""One training by nnU-Net, begun or gone on with. Runs in the process that has nnU-Net's environment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from LMIALLib.errors import BadInput, Do, LMIALError, Step
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.nnunet.digests import check, check_folder
from LMIALLib.pipeline.nnunet.places import FINAL, LATEST, PLANS, RECORD, SPLITS, WorkFolder, read_record, write_record
from LMIALLib.pipeline.nnunet.plan_table import dataset_from, read_plan, splits_from
from LMIALLib.pipeline.nnunet.trainer import LMIALTrainer
from LMIALLib.progress import Progress


def train(
    work: WorkFolder,
    config: str,
    fold: int,
    of_training: dict[str, Any],
    *,
    weights: Path | None,
    device: torch.device,
    workers: int,
    progress: Progress,
) -> dict[str, Any]:
    """Train one fold, unless it was done; go on from the last checkpoint of the same training where there is one.

    Args:
        work: a data set that was planned and preprocessed.
        config: "2d" or "3d_fullres".
        fold: place of its split in ``splits_final.json``.
        of_training: see `NnunetSettings.of_training`.
        weights: checkpoint of another training of the same plan to start from; None: chance.
        device: where to compute.
        workers: processes that prepare batches; with none the same seed gives the same weights.
        progress: called with epoch, loss, pseudo Dice and seconds left.

    Returns losses and pseudo Dice by epoch, and from which epoch it went on. Raises BadInput for a pickle that nnU-Net
    did not write here, LMIALError where the loss is not finite.
    """
    os.environ["nnUNet_n_proc_DA"] = str(workers)  # noqa: SIM112 - nnU-Net's own name
    place = work.fold(config, fold)
    check_folder(work.root, work.preprocessed)
    check(work.root, [weights] if weights else [])
    made_from = _made_from(work, fold, of_training, weights)
    if read_record(place) != made_from:
        (place / RECORD).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        write_record(place, made_from)
    trainer = _trainer(work, config, fold, of_training, device)
    trainer.report = lambda done, total, **figures: progress("train", done, total, fold=fold, **figures)
    stored = next((place / name for name in (FINAL, LATEST) if (place / name).is_file()), None)
    trainer.initialize()
    if stored is not None:
        trainer.load_checkpoint(str(stored))
    elif weights is not None:
        _begin_with(trainer, weights)
    began = trainer.current_epoch
    if began < trainer.num_epochs:
        try:
            trainer.run_training()
        except FloatingPointError as error:
            raise LMIALError(f"The training of fold {fold} failed: {error}.", "Take a lower learning rate.") from error
    logged = trainer.logger.local_logger.my_fantastic_logging
    return {"fold": fold, "losses": logged["train_losses"], "dice": logged["mean_fg_dice"], "went_on_from": began}


def _begin_with(trainer: LMIALTrainer, weights: Path) -> None:
    """Let a network start from the weights of another training. Raises BadInput where they are of another plan."""
    stored = torch.load(weights, map_location=trainer.device, weights_only=True)
    try:
        trainer.network.load_state_dict(stored["network_weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise BadInput(
            f"{weights} are not weights of the plan that the pretraining left.",
            "Pretrain anew.",
            Step(Do.PIPELINE_STAGE, stage="pretraining"),
        ) from error


def _made_from(work: WorkFolder, fold: int, of_training: dict[str, Any], weights: Path | None) -> dict[str, Any]:
    """Everything that a training depends on."""
    from LMIALLib.files import sha256_of

    record = read_record(work.preprocessed)
    assert record is not None  # planning came before
    splits = splits_from(read_json(work.preprocessed / SPLITS, list[Any]), str(work.preprocessed / SPLITS))
    start = sha256_of(weights) if weights else None
    return {**of_training, **record["made_from"], "split": splits[fold], "weights": start}


def _trainer(
    work: WorkFolder, config: str, fold: int, of_training: dict[str, Any], device: torch.device
) -> LMIALTrainer:
    plans = read_plan(work.preprocessed / f"{PLANS}.json") | {"dataset_name": work.name}
    file = work.preprocessed / "dataset.json"
    dataset = dataset_from(read_json(file, dict[str, Any]), str(file))
    trainer = LMIALTrainer(plans | {"continue_training": False}, config, fold, dataset, device)
    trainer.root = work.root
    trainer.seed = int(of_training["seed"])
    trainer.num_epochs = int(of_training["epochs"])
    trainer.num_iterations_per_epoch = int(of_training["iterations"])
    trainer.num_val_iterations_per_epoch = max(1, int(of_training["iterations"]) // 10)
    trainer.initial_lr = float(of_training["learning_rate"])
    return trainer
