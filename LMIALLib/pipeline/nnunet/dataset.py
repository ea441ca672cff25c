"""A study as an nnU-Net v2 data set: three channels a case, slices first, unread slices as the ignore label."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import write_nrrd
from LMIALLib.pipeline.nnunet.digests import is_whole, note_folder
from LMIALLib.pipeline.nnunet.labels import CHANGE, IGNORE, CaseLabels, LabelSource
from LMIALLib.pipeline.nnunet.places import RECORD, SPLITS, WorkFolder, read_record, write_record
from LMIALLib.pipeline.nnunet.splits import Member, Split
from LMIALLib.progress import Cancelled, Progress
from LMIALLib.study.case import Case
from LMIALLib.study.store import Study

CHANNELS = ("baseline", "follow_up", "difference")
MOST_NAMED = 3
"""Cases that cannot be used are named one by one up to here."""
VERSION = 1
"""Of what is written; a higher one makes a data set anew."""


@dataclass(frozen=True)
class Dataset:
    """A data set that lies in its place.

    Args:
        key: SHA-256 over everything that it was made from.
        members: its cases.
        splits: as handed to nnU-Net.
        left_out: case to the sentence why it is not in.
    """

    key: str
    members: tuple[Member, ...]
    splits: tuple[Split, ...]
    left_out: dict[str, str]


def channels(pair: Pair) -> np.ndarray:
    """Baseline, follow-up and difference, float32 (3, slices, rows, columns), 0 outside the brain region.

    nnU-Net crops to what is not 0, and so to the brain.
    """
    inside = pair.stack(pair.mask)
    images = (pair.stack(volume) for volume in (pair.baseline, pair.follow_up, pair.difference))
    return np.stack([np.where(inside, image, np.float32(0)) for image in images])


def stacked_grid(grid: Grid, axis: int) -> Grid:
    """The grid of a volume (k, j, i) whose array axis ``axis`` was moved to the front: the same points in space."""
    i, j, k = [2 - other for other in (2, 1, 0) if other != axis] + [2 - axis]
    direction = np.array(grid.direction).reshape(3, 3)[:, [i, j, k]]
    size, spacing = grid.size, grid.spacing
    return replace(
        grid,
        size=(size[i], size[j], size[k]),
        spacing=(spacing[i], spacing[j], spacing[k]),
        direction=tuple(direction.ravel().tolist()),
    )


def write_dataset(
    study: Study,
    work: WorkFolder,
    source: LabelSource,
    split: Callable[[Sequence[Member]], list[Split]],
    *,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Dataset:
    """Write a study as a data set, unless the very same one lies there already.

    Args:
        study: an open study.
        work: where to; what came of another data set of that name goes, once the new one proved usable.
        source: labels; cases without any are left out.
        split: makes the splits that nnU-Net is given.

    Raises BadInput where no case is left, no brain was found in any, or the subjects are too few; Cancelled.
    """
    keys = {case.name: source.key(case) for case in study.cases.all()}
    chosen = [case for case in study.cases.all() if keys[case.name] is not None]
    whole = [VERSION, [(case.name, case.subject, case.split, case.digest, keys[case.name]) for case in chosen]]
    key = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
    record = read_record(work.raw) if is_whole(work.root, work.raw) else None
    place = work.raw
    if record is None or record["key"] != key:
        place = work.raw.with_name(f".new-{work.number}")
        shutil.rmtree(place, ignore_errors=True)
        with disk_errors("writing the data set of nnU-Net"):
            record = _written(study, place, source, chosen, key, progress, cancelled)
    members = tuple(Member(**{name: one[name] for name in Member.__annotations__}) for one in record["cases"])
    if not members:
        raise _nothing(record["left_out"])
    splits = split(members)
    with written_whole(place / SPLITS) as temporary:
        temporary.write_text(json.dumps(splits, indent=1), encoding="utf-8")
    if place != work.raw:
        _put_in_place(work, place)
    return Dataset(key, members, tuple(splits), record["left_out"])


def _put_in_place(work: WorkFolder, place: Path) -> None:
    """Let a data set that can be used take the place of the one before, whose plan and trainings go."""
    for folder in (work.preprocessed, work.results, work.raw):
        (folder / RECORD).unlink(missing_ok=True)  # without it a folder counts as not made
        shutil.rmtree(folder, ignore_errors=True)
    os.replace(place, work.raw)
    note_folder(work.root, work.raw)


def _written(
    study: Study,
    place: Path,
    source: LabelSource,
    chosen: Sequence[Case],
    key: str,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    for folder in ("imagesTr", "labelsTr"):
        (place / folder).mkdir(parents=True)
    cases, left_out = [], {}
    for number, case in enumerate(chosen):
        if cancelled():
            raise Cancelled
        progress(f"data set: {case.name}", number, len(chosen))
        pair = study.cases.load_pair(case.name)
        if not pair.mask.any():
            left_out[case.name] = "no brain was found in it"
            continue
        labels = source.labels(case)
        member = Member(f"c{number:04d}", case.name, case.subject, case.split, bool((labels.values == CHANGE).any()))
        _write_case(place, member.id, pair, labels)
        marked = set(labels.read) | set(labels.pseudo)
        ignored = [k for k in range(case.n_slices) if k not in marked]
        slices = {"read": list(labels.read), "pseudo": list(labels.pseudo), "ignored": ignored}
        cases.append({**asdict(member), "pair": case.digest, **slices})
    _write_json(place, cases)
    record = {"key": key, "cases": cases, "left_out": left_out}
    write_record(place, record)
    return record


def _write_case(folder: Path, name: str, pair: Pair, labels: CaseLabels) -> None:
    grid = stacked_grid(pair.grid, pair.axis)
    for number, image in enumerate(channels(pair)):
        write_nrrd(folder / "imagesTr" / f"{name}_{number:04d}.nrrd", image, grid)
    write_nrrd(folder / "labelsTr" / f"{name}.nrrd", labels.values, grid)


def dataset_json(cases: Iterable[str]) -> dict[str, Any]:
    """The content of ``dataset.json`` for cases, by nnU-Net's names of them; files are named one by one, because
    nnU-Net would start twelve processes to find them."""
    files = {
        name: {
            "images": [f"imagesTr/{name}_{number:04d}.nrrd" for number in range(len(CHANNELS))],
            "label": f"labelsTr/{name}.nrrd",
        }
        for name in cases
    }
    return {
        "channel_names": {str(number): name for number, name in enumerate(CHANNELS)},
        "labels": {"background": 0, "change": CHANGE, "ignore": IGNORE},
        "numTraining": len(files),
        "file_ending": ".nrrd",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "description": f"A LMIAL study. Which slices were read and which carry pseudo-labels alone: {RECORD}.",
        "dataset": files,
    }


def _write_json(folder: Path, cases: Sequence[dict[str, Any]]) -> None:
    with written_whole(folder / "dataset.json") as temporary:
        temporary.write_text(json.dumps(dataset_json(one["id"] for one in cases), indent=1), encoding="utf-8")


def _nothing(left_out: dict[str, str]) -> BadInput:
    if left_out:
        named = [f"{case}: {why}" for case, why in left_out.items()]
        more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
        reasons = "; ".join([*named[:MOST_NAMED], *more])
        return BadInput(
            f"no case can be used: {reasons}.",
            "Give a mask of the brain.",
            Step(Do.ADD_WITH_MASK),
        )
    return BadInput("no case has labels to learn from.", "Let a teacher label the study, or read slices of it.")
