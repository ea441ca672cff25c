"""What is known of a case from elsewhere: ``cases/<case>/truth.nrrd``. A truth is not an answer.

It never counts as read and never enters training; only the laboratory looks at it. Its row in ``files`` makes checks
and backups know it; which classes it covers stands with the case (``Case.covered``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, disk_errors
from LMIALLib.files import sha256_of, written_whole
from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.cases import Cases
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.labels import UNREAD, LabelSchema
from LMIALLib.study.log import Log

TRUTH = "truth.nrrd"


class Truths:
    """``study.truths``: storing and reading what is known of cases from elsewhere."""

    def __init__(self, database: StudyDatabase, log: Log, cases: Cases) -> None:
        self._database, self._log, self._cases = database, log, cases

    def read(self, case: str) -> np.ndarray | None:
        """The truth of a case, uint8 (k, j, i) on the pair's grid, or None where the case has none.

        Values of the label schema; 0 = no change of a covered class; 255 = not covered, to be left out of loss and
        measures. Raises BadInput for an unknown case and a missing or broken file.
        """
        from LMIALLib.pairs.storage import read_nrrd

        known = self._cases.get(case)
        if not self._is_stored(known.name):
            return None
        path = self._database.folder / "cases" / known.name / TRUTH
        values, _ = read_nrrd(path)
        if values.shape != known.grid.shape or values.dtype != np.uint8:
            raise BadInput(f"{path}: it does not lie on the pair's grid.", "Restore the study from a backup.")
        return values

    def write(self, case: str, volume: np.ndarray) -> None:
        """Store the truth of a case that has none, flushed before this returns.

        Args:
            volume: whole numbers (k, j, i) on the pair's grid: 0, values of the label schema, 255 = not covered.

        Raises BadInput for an unknown case, one that has a truth, another shape, other values, a read-only study or a
        full disk.
        """
        known = self._cases.get(case)
        if self._is_stored(known.name):
            raise BadInput(f"the case {known.name} has a truth already; a truth is never overwritten.")
        folder = self._database.folder / "cases" / known.name
        self._database.heartbeat()  # refuses a read-only or taken-over session before anything is written
        with disk_errors(f"saving the truth of {known.name}"):
            path = save_truth(folder, volume, known.grid, self._database.label_schema)
        row = (path.relative_to(self._database.folder).as_posix(), known.name, sha256_of(path), path.stat().st_size)
        with self._database.transaction(undo=lambda: path.unlink(missing_ok=True)) as connection:
            connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", row)
            self._log.note(connection, "truth added", case=known.name)

    def _is_stored(self, case: str) -> bool:
        return self._database.row("SELECT 1 FROM files WHERE path = ?", (f"cases/{case}/{TRUTH}",)) is not None


def save_truth(folder: Path, volume: np.ndarray, grid: Grid, schema: LabelSchema) -> Path:
    """Write a truth into a case's folder, also one that is still staged; see ``Truths.write``. Returns the file."""
    from LMIALLib.pairs.storage import write_nrrd

    volume = np.asarray(volume)
    if volume.shape != grid.shape:
        raise BadInput(f"the truth has shape {volume.shape}; the pair has shape {grid.shape}.")
    unknown = sorted(set(np.unique(volume).tolist()) - {0, UNREAD, *schema.values})
    if unknown:
        listed = ", ".join(str(value) for value in unknown[:5])
        raise BadInput(f"the truth holds {listed}; expected 0, {UNREAD} = not covered, or {schema.described()}.")
    with written_whole(folder / TRUTH) as temporary:
        write_nrrd(temporary, volume.astype(np.uint8), grid, fields={"LMIAL_values": schema.described()})
    return folder / TRUTH
