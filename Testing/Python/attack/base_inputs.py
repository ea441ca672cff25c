"""The valid inputs that every mutation begins from, made by LMIAL itself: a tiny phantom pair, a study, weights."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import sys
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random

CASES = ("case1", "case2", "case3")
READER = "reader one"
MODULES = "modules.txt"
"""In the base folder: what the commands import late; imported beforehand it costs the campaign nothing."""


def make_base(folder: Path, *, trained: bool) -> None:
    """Fill a new folder; each step in a process of its own, so that this one stays without threads.

    With ``trained``, nnU-Net learns from the study for a moment, so that its plan is a real one; else a few files of
    its work folder are made up.

    ``volumes/`` (baseline, follow_up, brain, label, truth as .nii.gz), ``dicom/``, ``weights.safetensors``,
    ``study/`` (three cases, answers, drafts, two models, rankings, a core-set, pseudo-labels, lesions, a removed case),
    ``table.csv``.
    """
    folder.mkdir(parents=True)
    _apart(lambda: _volumes(folder))
    _apart(lambda: _weights(folder / "weights.safetensors"))
    study = folder / "study"
    scans = folder / "volumes"
    pair = ["--baseline", f"{scans}/baseline.nii.gz", "--follow-up", f"{scans}/follow_up.nii.gz"]
    pair += ["--mask", f"{scans}/brain.nii.gz", "--no-register"]
    _lmial(folder, "new", study, *pair, "--case", CASES[0], "--subject", "subject 1")
    _lmial(folder, "add", study, *pair, "--case", "gone", "--subject", "subject 3")
    for number, case in enumerate(CASES[1:], 2):
        _lmial(folder, "add", study, *pair, "--case", case, "--subject", f"subject {number}")
    _apart(lambda: _smaller_model(study, folder / "weights.safetensors"))
    _lmial(folder, "rank", study)
    for case in CASES:
        label = ["label", study, "--case", case, "--reader", READER, "--seconds", "12.5"]
        _lmial(folder, *label, "--slice", "5", "--mask", scans / "label.nii.gz")
        _lmial(folder, *label, "--slice", "2", "--empty")
        _lmial(folder, *label, "--slice", "3", "--equivocal")
        _lmial(folder, *label, "--slice", "4", "--skip")
    _lmial(folder, "remove", study, "--case", "gone")
    _lmial(folder, "pseudo-label", study)
    _lmial(folder, "core-set", study, "--budget", "6")
    _lmial(folder, "show", study, "--case", CASES[0], "--out", folder / "slices.png")
    _lmial(folder, "rank", study, "--strategy", "entropy")
    _lmial(folder, "lesions", study)
    if trained:
        few = ["--config", "2d", "--epochs", "1", "--iterations", "1", "--size", "tiny", "--workers", "0"]
        _lmial(folder, "nnunet", "pretrain", study, "--teacher", "default", "--device", "cpu", *few)
    else:
        _made_up_training(study / "nnunet")
    _apart(lambda: _drafts_and_pipeline(study))
    _table(folder)


def copy_study(base: Path, place: Path) -> Path:
    """A copy of the valid study that may be spoiled."""
    return Path(shutil.copytree(base / "study", place / "study"))


def _apart(work: Callable[[], object]) -> None:
    """Do something in a forked process, with the same random names every time. Raises RuntimeError where it fails."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            drawn = Random(1)
            uuid.uuid4 = lambda: uuid.UUID(int=drawn.getrandbits(128))
            work()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the valid inputs of the campaign could not be made")


def _lmial(folder: Path, *words: object) -> None:
    def work() -> None:
        from LMIALLib.cli import main

        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["lmial", *map(str, words)]
        try:
            main()
        finally:
            with open(folder / MODULES, "a", encoding="utf-8") as stream:
                stream.writelines(f"{name}\n" for name in sys.modules)

    _apart(work)


def _volumes(folder: Path) -> None:
    """A phantom with few voxels: 28 x 32 x 12 of about 6 x 6 x 12 mm, and its slices as DICOM files."""
    import numpy as np
    import SimpleITK as sitk

    from LMIALLib.cohorts.phantom import TRAINING, make_phantom, write_phantom

    whole, small = folder / "whole", folder / "volumes"
    whole.mkdir()
    small.mkdir()
    write_phantom(make_phantom(7, appearance=TRAINING), whole)
    images = {}
    for name in ("baseline", "follow_up", "brain"):
        image = sitk.ReadImage(str(whole / f"{name}.nii.gz"))
        size = (28, 32, 12)
        spacing = [s * a / b for s, a, b in zip(image.GetSpacing(), image.GetSize(), size, strict=True)]
        how = sitk.sitkNearestNeighbor if name == "brain" else sitk.sitkLinear
        small_image = sitk.Resample(
            image, size, sitk.Transform(), how, image.GetOrigin(), spacing, image.GetDirection(), 0
        )
        images[name] = sitk.Cast(small_image, sitk.sitkUInt8 if name == "brain" else sitk.sitkInt16)
    shutil.rmtree(whole)
    brain = sitk.GetArrayFromImage(images["brain"])
    label, inside = np.zeros_like(brain), brain > 0  # a few voxels of a new lesion
    label[4:7, 14:18, 12:16] = 2
    label[~inside] = 0
    scan = sitk.GetArrayFromImage(images["follow_up"])
    scan[label > 0] = int(np.percentile(scan[inside], 99.9))
    for name, array in (("follow_up", scan), ("label", label), ("truth", label)):
        images[name] = sitk.GetImageFromArray(array)
        images[name].CopyInformation(images["brain"])
    for name, image in images.items():
        image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))  # as what is made from arrays later
        sitk.WriteImage(image, str(small / f"{name}.nii.gz"))
    _series(folder / "dicom", images["baseline"])
    arrays = {name: sitk.GetArrayFromImage(image) for name, image in images.items()}
    np.savez(folder / "arrays.npz", **arrays)
    np.save(folder / "geometry.npy", np.array([images["brain"].GetSpacing(), images["brain"].GetOrigin()]))
    (folder / "secret.raw").write_bytes(arrays["label"].tobytes() * 8)  # as many voxels as any header here wants


def _series(folder: Path, image: object) -> None:
    """One file a slice, as a scanner would leave them."""
    import SimpleITK as sitk

    assert isinstance(image, sitk.Image)
    folder.mkdir()
    uid = "1.2.826.0.1.3680043.2.1125.7"
    for k in range(image.GetSize()[2]):
        plane = image[:, :, k]
        place = image.TransformIndexToPhysicalPoint((0, 0, k))
        cosines = image.GetDirection()
        direction = (cosines[0], cosines[3], cosines[6], cosines[1], cosines[4], cosines[7])
        for tag, value in {
            "0008|0020": "20140302",
            "0008|0030": "101500",
            "0008|0060": "MR",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0011": "4",
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{v:.6f}" for v in place),
            "0020|0037": "\\".join(f"{v:.6f}" for v in direction),
            "0010|0010": "SECRET^NAME",
            "0010|0020": "ID-12345",
            "0008|0022": "20140302",
        }.items():
            plane.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"slice{k:03d}.dcm"))
        writer.Execute(plane)


def _weights(file: Path) -> None:
    import torch

    from LMIALLib.network.architecture import Architecture, ChangeNetwork
    from LMIALLib.network.weights import save_weights

    torch.manual_seed(1)
    save_weights(ChangeNetwork(Architecture(widths=(4, 6), decoder_width=4)), file, {"command": "a campaign"})


def _smaller_model(study: Path, weights: Path) -> None:
    """Take tiny weights into use, so that a ranking costs little."""
    from LMIALLib.study.store import Study

    report = {"steps": 1, "read": 3, "dice_held_out": 0.5, "reasons": ["It is better."], "adopted": True}
    with Study.open(study, reader="setup") as opened:
        first = opened.models.all()[0].id
        opened.models.add(weights, id="model-001-aaaa", parent=first, round=1, adopted=True, report=report)


def _drafts_and_pipeline(study: Path) -> None:
    (study / "core-set.html").write_text("<html></html>", encoding="utf-8")  # five megabytes that nobody reads
    import numpy as np

    from LMIALLib.pipeline.settings import PipelineSettings
    from LMIALLib.pipeline.state import PipelineState
    from LMIALLib.study.store import Study

    with Study.open(study, reader="setup") as opened:
        case = opened.cases.get(CASES[0])
        teacher = next(p.name for p in (study / "pseudo").iterdir())
        opened.truths.write(CASES[0], np.zeros(case.grid.shape, np.uint8))
        opened.drafts.save(CASES[0], 6, np.ones(case.slice_shape, np.uint8), READER)
        state = PipelineState(PipelineSettings())
        state = state.with_stage("teacher", {"a": 1}, f"{teacher} judged slices.", {"teacher": teacher})
        chosen = [[CASES[0], 5], [CASES[1], 6]]
        state = state.with_stage("core-set", {"b": 2}, "2 slices are chosen.", {"chosen": chosen})
        state.write(study)
    lease = sqlite3.connect(study / "study.sqlite")
    lease.execute("DELETE FROM lease")
    lease.commit()
    lease.close()


def _made_up_training(work: Path) -> None:
    for inside, value in {
        "raw/Dataset701_pre/made_from.json": {"key": "0" * 64, "cases": [], "left_out": {}},
        "raw/Dataset701_pre/dataset.json": {"channel_names": {"0": "baseline"}, "labels": {"background": 0}},
        "pre/Dataset701_pre/made_from.json": {"made_from": {"key": "0" * 64, "config": "2d"}, "plan": {}},
        "pre/Dataset701_pre/lmial.json": {"configurations": {"2d": {"patch_size": [8, 8], "batch_size": 2}}},
        "pre/Dataset701_pre/splits_final.json": [{"train": ["c0000"], "val": ["c0001"]}],
        "digests.json": {"pre/Dataset701_pre/c0000.pkl": ["0" * 64]},
        "trained.json": {"key": "0" * 64, "trained": {"model": "nnunet-aaaa", "adopted": True}},
        "lock.json": {"held by": "somebody"},
    }.items():
        (work / inside).parent.mkdir(parents=True, exist_ok=True)
        (work / inside).write_text(json.dumps(value), encoding="utf-8")


def _table(folder: Path) -> None:
    scans = folder / "volumes"
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "subject", "baseline", "follow_up", "mask", "truth", "covers", "baseline_date"])
        for number in (1, 2):
            files = [str(scans / f"{name}.nii.gz") for name in ("baseline", "follow_up", "brain", "truth")]
            writer.writerow([f"table{number}", f"subject {number}", *files, "new", "2014-03-02"])
