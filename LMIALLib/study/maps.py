"""Maps that a ranking saw: ``maps/<model>/<case>/pair-<n>/<measure>.nrrd`` in the study. They may be deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json, shaped
from LMIALLib.study.names import checked_file_name
from LMIALLib.study.store import Study

RECORD = "made_by.json"
"""Beside the maps: the conditions under which they were made, and a digest of each."""
STORED_MAPS = ("mean", "expected_entropy", "variance", "vote_entropy")
"""What must lie there of a model that goes by stored maps."""


def map_folder(study: Study, model: str, case: str) -> Path:
    """Where the maps of a model and of the newest pair of a case lie, or will lie."""
    found = study.case(case)
    return study.folder / "maps" / checked_file_name(model, "model id") / found.name / f"pair-{found.pair_number}"


def read_map(study: Study, model: str, case: str, measure: str) -> np.ndarray | None:
    """A map, float32 (k, j, i) on the pair's grid, or None where it was never made or was deleted."""
    from LMIALLib.pairs.storage import read_nrrd

    file = map_folder(study, model, case) / f"{checked_file_name(measure, 'measure')}.nrrd"
    if not file.is_file():
        return None
    values, grid = read_nrrd(file)
    if values.dtype != np.float32 or not grid.same_as(study.case(case).grid):
        raise BadInput(f"{file} does not lie on the pair of {case}.", "Delete it: it can be made again.")
    return values


def suggested_map(study: Study, case: str) -> np.ndarray | None:
    """Mean probability of change that the newest ranking saw, float32 (k, j, i), or None where there is none."""
    stored = study.latest_ranking()
    return read_map(study, stored.suggested_by, case, "mean") if stored is not None else None


def has_maps(study: Study, model: str, case: str, measures: Collection[str]) -> bool:
    """Whether these maps of a model lie there for the newest pair of a case, with their record."""
    folder = map_folder(study, model, case)
    return all((folder / name).is_file() for name in (RECORD, *(f"{measure}.nrrd" for measure in measures)))


def write_maps(study: Study, model: str, case: str, maps: Mapping[str, np.ndarray], made_by: Mapping[str, Any]) -> None:
    """Write maps (k, j, i) on the pair's grid, and beside them their record."""
    from LMIALLib.pairs.storage import write_nrrd

    folder, grid = map_folder(study, model, case), study.case(case).grid
    digests = {}
    with disk_errors(f"writing the maps of {case}"):
        folder.mkdir(parents=True, exist_ok=True)
        for measure, volume in maps.items():
            values = np.ascontiguousarray(volume, dtype=np.float32)
            digests[measure] = hashlib.sha256(values.tobytes()).hexdigest()
            with written_whole(folder / f"{checked_file_name(measure, 'measure')}.nrrd") as temporary:
                write_nrrd(temporary, values, grid)
        with written_whole(folder / RECORD) as temporary:
            temporary.write_text(json.dumps({**made_by, "sha256": digests}, indent=1), encoding="utf-8")


def add_map(study: Study, model: str, case: str, measure: str, volume: np.ndarray) -> None:
    """Write one more map (k, j, i) beside those that ``write_maps`` left, whose record stays and names it as well."""
    from LMIALLib.pairs.storage import write_nrrd

    made_by = read_made_by(study, model, case)
    assert made_by is not None  # its maps were just read
    folder, values = map_folder(study, model, case), np.ascontiguousarray(volume, dtype=np.float32)
    with disk_errors(f"writing the maps of {case}"):
        with written_whole(folder / f"{checked_file_name(measure, 'measure')}.nrrd") as temporary:
            write_nrrd(temporary, values, study.case(case).grid)
        made_by["sha256"][measure] = hashlib.sha256(values.tobytes()).hexdigest()
        with written_whole(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(made_by, indent=1), encoding="utf-8")


def read_made_by(study: Study, model: str, case: str) -> dict[str, Any] | None:
    """Under which conditions the maps of a model and case were made, or None where they were not, or were deleted."""
    file = map_folder(study, model, case) / RECORD
    if not file.is_file():
        return None
    try:
        made_by = read_json(file, dict[str, Any])
        shaped(made_by.get("sha256", {}), dict[str, str], f"{file}: sha256")
    except BadInput as damage:
        hint = f"Delete the folder {file.parent}; its maps can be made again."
        raise BadInput(damage.sentence, hint) from damage
    return made_by
