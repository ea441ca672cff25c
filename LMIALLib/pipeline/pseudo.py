"""Pseudo-labels of every slice of a case, made by a teacher. They lie beside the study's answers, never among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import Natural, read_json
from LMIALLib.study.inside import inside
from LMIALLib.study.kept import PSEUDO_LABELS
from LMIALLib.study.names import checked_file_name
from LMIALLib.study.store import Study

RECORD = "pseudo.json"


@dataclass(frozen=True)
class Pseudo:
    """Pseudo-labels of one pair.

    Attributes:
        probability: of change, float32 (k, j, i) on the pair's grid, 0 to 1; 0 on slices that are not ``done``.
        confidence: in that probability, float32 (k, j, i), 0 to 1.
        done: bool, one a slice of the pair's slice axis: whether the slice has a pseudo-label. A slice on which the
            teacher failed, or that it did not see, is not "no change".
        failed: slice number to the sentence why the teacher failed on it.
        made_by: the teacher, its weights' digest and its settings.
    """

    probability: np.ndarray
    confidence: np.ndarray
    done: np.ndarray
    failed: Mapping[int, str]
    made_by: Mapping[str, Any]


def pseudo_folder(study: Study, teacher: str, case: str) -> Path:
    """``pseudo/<teacher>/<case>/pair-<n>`` of a study, for the newest pair of the case."""
    found = study.cases.get(case)
    checked_file_name(teacher, "teacher id")
    return inside(study.folder, f"{PSEUDO_LABELS}/{teacher}/{found.name}/pair-{found.pair_number}")


def write_pseudo(study: Study, teacher: str, case: str, pseudo: Pseudo) -> None:
    """Write pseudo-labels; those of the same teacher and pair are replaced. LMIALError when the disk refuses."""
    from LMIALLib.pairs.storage import write_nrrd

    folder, grid = pseudo_folder(study, teacher, case), study.cases.get(case).grid
    with disk_errors(f"writing the pseudo-labels of {case}"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)  # without its record a folder counts as not made
        for name, volume in (("probability", pseudo.probability), ("confidence", pseudo.confidence)):
            with written_whole(folder / f"{name}.nrrd") as temporary:
                write_nrrd(temporary, np.ascontiguousarray(volume, dtype=np.float32), grid)
        record = {
            "made_by": dict(pseudo.made_by),
            "done": [int(number) for number in np.flatnonzero(pseudo.done)],
            "slices": len(pseudo.done),
            "failed": {str(number): why for number, why in sorted(pseudo.failed.items())},
        }
        with written_whole(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")


def read_pseudo(study: Study, teacher: str, case: str) -> Pseudo | None:
    """Pseudo-labels of the newest pair of a case, or None where there are none."""
    from LMIALLib.pairs.storage import read_nrrd

    record = read_pseudo_record(study, teacher, case)
    if record is None:
        return None
    folder, grid = pseudo_folder(study, teacher, case), study.cases.get(case).grid
    done = np.zeros(record.slices, dtype=bool)
    done[record.done] = True
    probability, confidence = (read_nrrd(folder / f"{name}.nrrd")[0] for name in ("probability", "confidence"))
    if any(volume.shape != grid.shape or not _is_share(volume) for volume in (probability, confidence)):
        raise BadInput(f"{folder} holds no pseudo-labels of this pair.", *_again(study))
    failed = {int(number): why for number, why in record.failed.items()}
    return Pseudo(probability, confidence, done, failed, record.made_by)


@dataclass(frozen=True)
class PseudoRecord:
    """The record that is stored beside pseudo-labels.

    Args:
        made_by: see `Pseudo`.
        done: slices that have a pseudo-label.
        slices: of the pair.
        failed: slice number, as text, to the sentence why there is nothing.
    """

    made_by: dict[str, Any]
    done: list[Natural]
    slices: Natural
    failed: dict[str, str]


def read_pseudo_record(study: Study, teacher: str, case: str) -> PseudoRecord | None:
    """The record of the pseudo-labels of a case's newest pair, None where there is none. Raises BadInput for one that
    is broken or of a pair with another number of slices."""
    file = pseudo_folder(study, teacher, case) / RECORD
    try:
        record = read_json(file, PseudoRecord)
    except FileNotFoundError:
        return None
    slices = {str(number) for number in range(study.cases.get(case).n_slices)}
    if record.slices != len(slices) or not {*map(str, record.done), *record.failed} <= slices:
        raise BadInput(f"{file} names slices that {case} does not have.", *_again(study))
    return record


def _again(study: Study) -> tuple[str, Step]:
    return "Let the teacher label the study again.", Step(Do.PSEUDO_LABEL_AGAIN, str(study.folder))


def _is_share(volume: np.ndarray) -> bool:
    """Whether all values lie within 0 and 1."""
    return volume.dtype.kind == "f" and bool(((volume >= 0) & (volume <= 1)).all())
