"""Fingerprint, plan and preprocessing by nnU-Net itself. Runs in the process that has nnU-Net's environment."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.pipeline.nnunet.digests import is_whole, note_folder
from LMIALLib.pipeline.nnunet.places import PLANS, RECORD, SPLITS, WorkFolder, read_record, write_record
from LMIALLib.pipeline.nnunet.plan_table import plan_from, read_plan
from LMIALLib.pipeline.nnunet.settings import CONFIGURATIONS
from LMIALLib.progress import Progress

INTENSITIES = 1_000_000
FLAT_BATCH = 4
"""Single slices take so many times the batch of blocks of slices."""


@dataclass(frozen=True)
class Shrunk:
    """What is made smaller in a plan.

    Args:
        patch: slices, rows and columns that the network sees at once; a flat one sees one slice.
        batch: patches in a step, ``FLAT_BATCH`` times as many of single slices.
        widths: channels of each stage.
        convolutions: in each stage.
        finest: pixels in the plane are not smaller, mm.
    """

    patch: tuple[int, int, int]
    batch: int
    widths: tuple[int, ...]
    convolutions: int
    finest: float


SHRUNK = {
    "small": Shrunk((16, 96, 96), 2, (16, 32, 64, 64), 2, 1.5),
    "tiny": Shrunk((8, 32, 32), 2, (8, 16, 16), 1, 0.0),
}
"""Size of a network to what is shrunk: a small one learns in tens of minutes on two cores, a tiny one only runs."""


def plan(
    work: WorkFolder, config: str, *, size: str, plans_of: WorkFolder | None, workers: int, progress: Progress
) -> dict[str, Any]:
    """Plan and preprocess a data set, unless it was done: fingerprint, ``lmial.json`` (the plan), preprocessed cases.

    Args:
        work: the data set, which lies in its raw folder.
        config: "2d" or "3d_fullres".
        size: "full", or one of ``SHRUNK``.
        plans_of: another data set whose plan is taken over as it is, so that its weights fit.
        workers: processes that look at cases and prepare them; none: this one does.

    Returns what the plan says of the configuration. Raises BadInput where nnU-Net plans no such configuration.
    """
    raw = read_record(work.raw)
    assert raw is not None  # its writer says so
    made_from = {"key": raw["key"], "config": config, "size": size, "plans_of": plans_of.name if plans_of else None}
    record = read_record(work.preprocessed) if is_whole(work.root, work.preprocessed) else None
    if record is None or record["made_from"] != made_from:
        (work.preprocessed / RECORD).unlink(missing_ok=True)
        shutil.rmtree(work.preprocessed, ignore_errors=True)
        progress("fingerprint", 0, 3)
        with _pools(workers):
            _look(work, max(workers, 1))
        progress("plan", 1, 3)
        plans = _taken_over(plans_of, work) if plans_of else _planned(work, config, size)
        if config not in plans["configurations"]:
            raise BadInput(
                f"nnU-Net plans no configuration {config} for this study.",
                "Its slices are single images: take the configuration 2d.",
            )
        with written_whole(_plans(work)) as temporary:
            temporary.write_text(json.dumps(plans, indent=1), encoding="utf-8")
        shutil.copyfile(work.raw / "dataset.json", work.preprocessed / "dataset.json")
        progress("preprocess", 2, 3)
        with _pools(workers):
            _preprocess(work, config, max(workers, 1))
        record = {"made_from": made_from, "plan": _shown(plans["configurations"][config])}
        write_record(work.preprocessed, record)
        note_folder(work.root, work.preprocessed)
    shutil.copyfile(work.raw / SPLITS, work.preprocessed / SPLITS)
    return dict(record["plan"])


def _look(work: WorkFolder, processes: int) -> None:
    """nnU-Net's own check of a data set, and its fingerprint, with fewer intensities: 100 million samples take a
    minute, and the plan does not use them."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    verify_dataset_integrity(str(work.raw), processes)
    extractor = DatasetFingerprintExtractor(work.name, processes, verbose=True)
    extractor.show_progress_bar = False
    extractor.num_foreground_voxels_for_intensitystats = INTENSITIES
    extractor.run(overwrite_existing=True)


def _preprocess(work: WorkFolder, config: str, processes: int) -> None:
    """nnU-Net's own preprocessing, of the class that LMIAL names."""
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    preprocessor = DefaultPreprocessor(verbose=False)
    preprocessor.show_progress_bar = False
    preprocessor.run(work.name, config, PLANS, num_processes=processes)


@contextmanager
def _pools(workers: int) -> Iterator[None]:
    """With no worker processes, nnU-Net's pools are a thread: every process of theirs would import torch anew."""
    if workers:
        yield
        return
    before = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: SimpleNamespace(Pool=ThreadPool)  # type: ignore[assignment]
    try:
        yield
    finally:
        multiprocessing.get_context = before


def _plans(work: WorkFolder) -> Path:
    return work.preprocessed / f"{PLANS}.json"


def _planned(work: WorkFolder, config: str, size: str) -> dict[str, Any]:
    """nnU-Net's own plan with two changes: slices stay first, and intensities stay as LMIAL scaled and matched them.

    A z-score of each channel by itself would undo the matching of the visits and take the size away from a change.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    ExperimentPlanner(work.name, plans_name=PLANS, suppress_transpose=True).plan_experiment()
    plans: dict[str, Any] = json.loads(_plans(work).read_text(encoding="utf-8"))  # nnU-Net wrote it just now
    plans["configurations"] = {name: one for name, one in plans["configurations"].items() if name in CONFIGURATIONS}
    for configuration in plans["configurations"].values():
        channels = len(configuration["normalization_schemes"])
        configuration["normalization_schemes"] = ["NoNormalization"] * channels
        configuration["use_mask_for_norm"] = [False] * channels
    if size in SHRUNK and config in plans["configurations"]:
        _shrink(plans["configurations"][config], SHRUNK[size], config)
    return plan_from(plans, str(_plans(work)))


def _shrink(configuration: dict[str, Any], shrunk: Shrunk, config: str) -> None:
    """Make patch, batch, resolution and network of a configuration smaller."""
    flat = config == "2d"
    configuration["patch_size"] = list(shrunk.patch[1:] if flat else shrunk.patch)
    configuration["batch_size"] = shrunk.batch * (FLAT_BATCH if flat else 1)
    spacing = configuration["spacing"]
    configuration["spacing"] = [*spacing[:-2], *(max(side, shrunk.finest) for side in spacing[-2:])]
    stages = len(shrunk.widths)
    halved = [2, 2] if flat else [1, 2, 2]
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": stages,
        "features_per_stage": list(shrunk.widths),
        "kernel_sizes": [[3] * len(halved)] * stages,
        "strides": [[1] * len(halved)] + [halved] * (stages - 1),
        "n_conv_per_stage": [shrunk.convolutions] * stages,
        "n_conv_per_stage_decoder": [shrunk.convolutions] * (stages - 1),
    }


def _taken_over(source: WorkFolder, work: WorkFolder) -> dict[str, Any]:
    return read_plan(_plans(source)) | {"dataset_name": work.name}


def _shown(configuration: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a configuration."""
    shown = ("spacing", "patch_size", "batch_size", "median_image_size_in_voxels")
    widths = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    return {name: configuration[name] for name in shown} | {"widths": widths}
