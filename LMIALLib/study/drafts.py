"""Drafts: what a reader has drawn on a slice and not yet saved as an answer. No training or export uses a draft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.cases import Cases
from LMIALLib.study.clock import now
from LMIALLib.study.database import StudyDatabase
from LMIALLib.study.names import checked_person
from LMIALLib.study.packing import pack_mask, stored_mask


@dataclass(frozen=True)
class Draft:
    """The unfinished mask (rows, columns) of a slice, uint8 values of the label schema, with who drew it and when."""

    case: str
    slice: int
    mask: np.ndarray
    reader: str
    saved_at: str


class Drafts:
    """``study.drafts``: keeping drafts, one a slice; saving an answer drops the slice's draft. Table ``drafts``."""

    def __init__(self, database: StudyDatabase, cases: Cases) -> None:
        self._database, self._cases = database, cases

    def save(self, case: str, slice: int, mask: np.ndarray, reader: str) -> None:  # noqa: A002
        """Keep a draft, flushed, in place of any earlier one of this slice. BadInput as for ``study.answers.save``."""
        known = self._cases.get(case)
        known.check_slice(slice)
        checked = self._database.label_schema.checked_mask(mask, known.slice_shape, f"slice {slice} of {known.name}")
        packed = pack_mask(checked)
        reader = checked_person(reader, "reader")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (known.name, slice, packed.blob, packed.rows, packed.columns, packed.digest, reader, now()),
            )

    def get(self, case: str, slice: int) -> Draft | None:  # noqa: A002
        """The draft of a slice, or None."""
        return next((d for d in self.all(case) if d.slice == slice), None)

    def all(self, case: str) -> tuple[Draft, ...]:
        """All drafts of a case, by slice."""
        known = self._cases.get(case)
        found = []
        for row in self._database.rows("SELECT * FROM drafts WHERE case_name = ? ORDER BY slice", (known.name,)):
            known.check_slice(row["slice"])
            where = f"slice {row['slice']} of {known.name}, a draft"
            mask = stored_mask(row, known.slice_shape, self._database.label_schema, where)
            assert mask is not None  # the column takes no NULL
            found.append(Draft(known.name, row["slice"], mask, row["reader"], row["saved_at"]))
        return tuple(found)

    def drop(self, case: str, slice: int) -> None:  # noqa: A002
        """Forget the draft of a slice, if there is one."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM drafts WHERE case_name = ? AND slice = ?", (self._cases.get(case).name, slice)
            )
