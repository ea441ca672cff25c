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
from LMIALLib.pipeline.nnunet.digests import note, pickles_in
from LMIALLib.pipeline.nnunet.places import PLANS, RECORD, Work, read_record, write_record
from LMIALLib.worker.progress import Progress

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
    work: Work, config: str, *, size: str, plans_of: Work | None, workers: int, progress: Progress
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
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    raw = read_record(work.raw)
    assert raw is not None  # its writer says so
    made_from = {"key": raw["key"], "config": config, "size": size, "plans_of": plans_of.name if plans_of else None}
    record = read_record(work.preprocessed)
    if record is None or record["made_from"] != made_from:
        (work.preprocessed / RECORD).unlink(missing_ok=True)
        shutil.rmtree(work.preprocessed, ignore_errors=True)
        progress("fingerprint", 0, 3)
        with _pools(workers):
            extract_fingerprint_dataset(
                work.number,
                _fingerprints(),
                num_processes=max(workers, 1),
                check_dataset_integrity=True,
                show_progress_bar=False,
            )
        progress("plan", 1, 3)
        plans = _taken_over(plans_of, work) if plans_of else _planned(work, config, size)
        if config not in plans["configurations"]:
            raise BadInput(
                f"nnU-Net plans no configuration {config} for this study.", "Its slices are single images: --config 2d"
            )
        with written_whole(_plans(work)) as temporary:
            temporary.write_text(json.dumps(plans, indent=1), encoding="utf-8")
        shutil.copyfile(work.raw / "dataset.json", work.preprocessed / "dataset.json")
        progress("preprocess", 2, 3)
        with _pools(workers):
            preprocess_dataset(
                work.number, PLANS, configurations=[config], num_processes=[max(workers, 1)], show_progress_bar=False
            )
        note(work.root, pickles_in(work.preprocessed))
        record = {"made_from": made_from, "plan": _told(plans["configurations"][config])}
        write_record(work.preprocessed, record)
    shutil.copyfile(work.raw / "splits_final.json", work.preprocessed / "splits_final.json")
    return dict(record["plan"])


def _fingerprints() -> Any:
    """nnU-Net's extractor with fewer intensities: 100 million samples take a minute, and the plan does not use them."""
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

    def fewer(*arguments: Any, **options: Any) -> Any:
        extractor = DatasetFingerprintExtractor(*arguments, **options)
        extractor.num_foreground_voxels_for_intensitystats = INTENSITIES
        return extractor

    return fewer


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


def _plans(work: Work) -> Path:
    return work.preprocessed / f"{PLANS}.json"


def _planned(work: Work, config: str, size: str) -> dict[str, Any]:
    """nnU-Net's own plan with two changes: slices stay first, and intensities stay as LMIAL scaled and matched them.

    A z-score of each channel by itself would undo the matching of the visits and take the size away from a change.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    ExperimentPlanner(work.number, plans_name=PLANS, suppress_transpose=True).plan_experiment()
    plans: dict[str, Any] = json.loads(_plans(work).read_text(encoding="utf-8"))
    for configuration in plans["configurations"].values():
        if "normalization_schemes" in configuration:
            channels = len(configuration["normalization_schemes"])
            configuration["normalization_schemes"] = ["NoNormalization"] * channels
            configuration["use_mask_for_norm"] = [False] * channels
    if size in SHRUNK and config in plans["configurations"]:
        _shrink(plans["configurations"][config], SHRUNK[size], config)
    return plans


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


def _taken_over(source: Work, work: Work) -> dict[str, Any]:
    plans: dict[str, Any] = json.loads(_plans(source).read_text(encoding="utf-8"))
    return plans | {"dataset_name": work.name}


def _told(configuration: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a configuration."""
    told = ("spacing", "patch_size", "batch_size", "median_image_size_in_voxels")
    widths = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    return {name: configuration[name] for name in told} | {"widths": widths}
