"""The masked autoencoder of a study: trained once on its slices, kept in ``embeddings/mae/`` of the study."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.pipeline.embeddings.masked_autoencoder import CHECKPOINT, MaskedTraining, train_masked
from LMIALLib.pipeline.embeddings.slice_images import CHANNELS, slice_images
from LMIALLib.pipeline.embeddings.stored import encoder_folder
from LMIALLib.progress import Cancelled, Progress, ignore
from LMIALLib.queries.pool import eligible_slices
from LMIALLib.study.case import Case
from LMIALLib.study.store import Study

NAME = "mae"
RECORD = "run.json"
IMAGES = "images.npy"


def trained_on_study(
    study: Study,
    settings: MaskedTraining,
    *,
    progress: Progress = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder of the study's masked autoencoder, trained now unless the same run was finished before.

    It learns from all slices that hold brain, of all cases but those set aside for validation, from which nothing may
    be learned. A run with other settings or other pairs is begun anew; one that was stopped goes on. Raises BadInput
    without any such slice or with a full disk, Cancelled when cancelled.
    """
    folder = encoder_folder(study, NAME)
    cases = [case for case in study.cases.all() if case.split != "validation"]
    run = {"settings": asdict(settings), "pairs": {case.name: case.digest for case in cases}}
    if not _same_run(folder / RECORD, run):
        for old in (RECORD, CHECKPOINT, IMAGES, "model.safetensors"):
            (folder / old).unlink(missing_ok=True)
        with disk_errors("beginning the masked autoencoder"):
            folder.mkdir(parents=True, exist_ok=True)
            with written_whole(folder / RECORD) as temporary:
                temporary.write_text(json.dumps(run, indent=1), encoding="utf-8")
    if not (folder / "model.safetensors").is_file():
        images = _images(study, cases, settings.size, folder / IMAGES, progress, cancelled)
        train_masked(images, settings, folder, about={"pairs": run["pairs"]}, progress=progress, cancelled=cancelled)
        del images  # an open map cannot be removed under Windows
        (folder / IMAGES).unlink(missing_ok=True)
    return folder


def _same_run(record: Path, run: dict[str, Any]) -> bool:
    try:
        return read_json(record, dict[str, Any]) == run
    except (FileNotFoundError, BadInput):
        return False


def _images(
    study: Study, cases: list[Case], size: int, file: Path, progress: Progress, cancelled: Callable[[], bool]
) -> np.ndarray:
    """All slices to learn from, float16 (n, 3, size, size), mapped from a file, so that memory stays small."""

    if not _are_images(file, size):
        chosen = []
        for number, case in enumerate(cases):
            progress(f"looking for brain in {case.name}", number, 2 * len(cases))
            pair = study.cases.load_pair(case.name)
            chosen.append(np.flatnonzero(eligible_slices(pair.stack(pair.mask))))
        total = sum(map(len, chosen))
        if not total:
            step = Step(Do.STATUS, str(study.folder))
            raise BadInput(f"no slice of {study.folder} to learn from holds brain.", "See what it holds.", step)
        with disk_errors("gathering the slices for the masked autoencoder"), written_whole(file) as temporary:
            shape = (total, len(CHANNELS), size, size)
            images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
            start = 0
            for number, (case, slices) in enumerate(zip(cases, chosen, strict=True)):
                if cancelled():
                    raise Cancelled("Gathering slices for the masked autoencoder was cancelled.", "Run it again.")
                progress(f"gathering slices of {case.name}", len(cases) + number, 2 * len(cases))
                images[start : start + len(slices)] = slice_images(study.cases.load_pair(case.name), size, slices)
                start += len(slices)
            images.flush()
            del images
    mapped: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    return mapped


def _are_images(file: Path, size: int) -> bool:
    """Whether a file holds gathered slices of this size."""
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, SyntaxError, MemoryError):  # numpy says of damage whatever it stumbles over
        return False
    return bool(
        isinstance(found, np.ndarray)
        and found.dtype == np.float16
        and found.ndim == 4
        and found.shape[0] > 0
        and found.shape[1:] == (len(CHANNELS), size, size)
    )
