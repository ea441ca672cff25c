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
from LMIALLib.study.cases import Cases
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.kept import MAPS
from LMIALLib.study.names import checked_file_name
from LMIALLib.study.rankings import Rankings, StoredRanking

RECORD = "made_by.json"
"""Beside the maps: the conditions under which they were made, and a digest of each."""
ADAPTED = 4
"""Maps of per-patient heads that are kept of a case: the newest, and those that a reader may still look at."""
FROZEN = ("mean", "expected_entropy", "variance")
"""The network's own maps that a per-patient head is fitted to."""
STORED_MAPS = ("mean", "expected_entropy", "variance", "vote_entropy")
"""What must lie there of a model that goes by stored maps."""


class Maps:
    """``study.maps``: writing and finding maps. They are files alone, without a row."""

    def __init__(self, database: StudyDatabase, cases: Cases, rankings: Rankings) -> None:
        self._folder = database.folder / MAPS
        self._cases, self._rankings = cases, rankings

    def folder(self, model: str, case: str) -> Path:
        """Where the maps of a model and of the newest pair of a case lie, or will lie."""
        found = self._cases.get(case)
        return self._folder / checked_file_name(model, "model id") / found.name / f"pair-{found.pair_number}"

    def read(self, model: str, case: str, measure: str) -> np.ndarray | None:
        """A map, float32 (k, j, i) on the pair's grid, or None where it was never made or was deleted."""
        from LMIALLib.pairs.storage import read_nrrd

        file = self.folder(model, case) / f"{checked_file_name(measure, 'measure')}.nrrd"
        if not file.is_file():
            return None
        values, grid = read_nrrd(file)
        if values.dtype != np.float32 or not grid.same_as(self._cases.get(case).grid):
            raise BadInput(f"{file} does not lie on the pair of {case}.", "Delete it: it can be made again.")
        return values

    def suggested(self, case: str) -> np.ndarray | None:
        """Probability of change that the newest ranking saw, float32 (k, j, i), or None where there is none."""
        stored = self._rankings.latest()
        return self.probability(stored, case) if stored is not None else None

    def probability(self, ranking: StoredRanking, case: str) -> np.ndarray | None:
        """Probability of change that a ranking saw, float32 (k, j, i): of the per-patient head where it had one."""
        return self.read(ranking.suggested_by, case, ranking.map_of(case))

    def doubt(self, ranking: StoredRanking, case: str) -> np.ndarray | None:
        """The map that a ranking added up, float32 (k, j, i) on the pair's grid, or None where there is none.

        A ranking that finishes a patient adds up min(p, 1 - p) of the probability, which is not stored again.
        """
        if not ranking.finishes:
            return self.read(ranking.suggested_by, case, ranking.strategy)
        probability = self.probability(ranking, case)
        return None if probability is None else np.minimum(probability, np.float32(1.0) - probability)

    def put_adapted(self, model: str, case: str, name: str, volume: np.ndarray) -> None:
        """Write the map of a per-patient head, float32 (k, j, i), beside the model's; the oldest of `ADAPTED` go.

        Uncompressed, because a reader waits for it: that is six times as fast to write, and twenty times to read.
        """
        from LMIALLib.pairs.storage import write_nrrd

        folder, values = self.folder(model, case), np.ascontiguousarray(volume, dtype=np.float32)
        file = folder / f"{checked_file_name(name, 'map')}.nrrd"
        with disk_errors(f"writing the maps of {case}"):
            folder.mkdir(parents=True, exist_ok=True)
            with written_whole(file) as temporary:
                write_nrrd(temporary, values, self._cases.get(case).grid, compressed=False)
            made = sorted(folder.glob("adapted-*.nrrd"), key=lambda one: (one.stat().st_mtime_ns, one.name))
            for old in made[:-ADAPTED]:
                old.unlink(missing_ok=True)

    def has(self, model: str, case: str, measures: Collection[str]) -> bool:
        """Whether these maps of a model lie there for the newest pair of a case, with their record."""
        folder = self.folder(model, case)
        return all((folder / name).is_file() for name in (RECORD, *(f"{measure}.nrrd" for measure in measures)))

    def write(self, model: str, case: str, maps: Mapping[str, np.ndarray], made_by: Mapping[str, Any]) -> None:
        """Write maps (k, j, i) on the pair's grid, and beside them their record."""
        from LMIALLib.pairs.storage import write_nrrd

        folder, grid = self.folder(model, case), self._cases.get(case).grid
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

    def add(self, model: str, case: str, measure: str, volume: np.ndarray) -> None:
        """Write one more map (k, j, i) beside those that ``write`` left, whose record stays and names it as well."""
        from LMIALLib.pairs.storage import write_nrrd

        made_by = self.made_by(model, case)
        assert made_by is not None  # its maps were just read
        folder, values = self.folder(model, case), np.ascontiguousarray(volume, dtype=np.float32)
        with disk_errors(f"writing the maps of {case}"):
            with written_whole(folder / f"{checked_file_name(measure, 'measure')}.nrrd") as temporary:
                write_nrrd(temporary, values, self._cases.get(case).grid)
            made_by["sha256"][measure] = hashlib.sha256(values.tobytes()).hexdigest()
            with written_whole(folder / RECORD) as temporary:
                temporary.write_text(json.dumps(made_by, indent=1), encoding="utf-8")

    def made_by(self, model: str, case: str) -> dict[str, Any] | None:
        """Under which conditions the maps of a model and case were made; None where they were not, or were deleted."""
        file = self.folder(model, case) / RECORD
        if not file.is_file():
            return None
        try:
            made_by = read_json(file, dict[str, Any])
            shaped(made_by.get("sha256", {}), dict[str, str], f"{file}: sha256")
        except BadInput as damage:
            hint = f"Delete the folder {file.parent}; its maps can be made again."
            raise BadInput(damage.sentence, hint) from damage
        return made_by
