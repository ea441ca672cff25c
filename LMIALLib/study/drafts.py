"""Drafts: what a reader has drawn on a slice and not yet said. A draft trains nothing and is exported nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LMIALLib.study.annotations import Annotations, check_slice
from LMIALLib.study.clock import now
from LMIALLib.study.names import checked_person
from LMIALLib.study.packing import pack_mask


@dataclass(frozen=True)
class Draft:
    """The unfinished mask (rows, columns) of a slice, uint8 values of the label schema, with who drew it and when."""

    case: str
    slice: int
    mask: np.ndarray
    reader: str
    saved_at: str


class Drafts(Annotations):
    """Keeping drafts, one a slice; saving an answer drops the slice's draft."""

    def save_draft(self, case: str, slice: int, mask: np.ndarray, reader: str) -> None:  # noqa: A002
        """Keep a draft, flushed, in place of any earlier one of this slice. BadInput as for ``save_annotation``."""
        known = self.case(case)
        check_slice(known, slice)
        checked = self.label_schema.checked_mask(mask, known.slice_shape, f"slice {slice} of {known.name}")
        packed = pack_mask(checked)
        reader = checked_person(reader, "reader")
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (known.name, slice, packed.blob, packed.rows, packed.columns, packed.digest, reader, now()),
            )

    def draft(self, case: str, slice: int) -> Draft | None:  # noqa: A002
        """The draft of a slice, or None."""
        return next((d for d in self.drafts(case) if d.slice == slice), None)

    def drafts(self, case: str) -> tuple[Draft, ...]:
        """All drafts of a case, by slice."""
        known = self.case(case)
        found = []
        for row in self._rows("SELECT * FROM drafts WHERE case_name = ? ORDER BY slice", (known.name,)):
            check_slice(known, row["slice"])
            mask = self.stored_mask(row, known, "a draft")
            assert mask is not None  # the column takes no NULL
            found.append(Draft(known.name, row["slice"], mask, row["reader"], row["saved_at"]))
        return tuple(found)

    def drop_draft(self, case: str, slice: int) -> None:  # noqa: A002
        """Forget the draft of a slice, if there is one."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM drafts WHERE case_name = ? AND slice = ?", (self.case(case).name, slice))
