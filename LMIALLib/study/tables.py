"""Tables for people: one row a lesion, one row a slice; each shows what a person read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.study.case import Case
from LMIALLib.study.lesion import Lesion
from LMIALLib.study.store import Study

LESION_COLUMNS = (
    "case", "subject", "lesion", "class", "other_classes", "confirmed_class", "proposed_class", "status", "volume_ml",
    "voxels", "slices", "first_slice", "last_slice", "centroid_l_mm", "centroid_p_mm", "centroid_s_mm", "place_r_mm",
    "place_a_mm", "place_s_mm", "diameter_mm", "difference_sd", "confidence",
)  # fmt: skip
SLICE_COLUMNS = (
    "case", "subject", "slice", "answer", "reader", "seconds", "version", "drawn", "suggestion_seen",
    "accepted_unchanged", "model", "ranking", "query_rank", "saved_at", "voxels", "volume_ml", "viewed_share", "viewed",
)  # fmt: skip
SUGGESTED = "suggested"
"""Class of a lesion of which no voxel was read: the model's suggestion, not a label."""


def lesion_rows(case: Case, lesions: Iterable[Lesion]) -> list[dict[str, Any]]:
    """One row for each lesion of a case; see ``Lesion`` for what the columns mean.

    "class" is the commonest class among the voxels that somebody read, "suggested" where nobody read any.
    "confirmed_class" is the kind of change that a reader gave, "proposed_class" the kind that the two scans suggest.
    """
    rows = []
    for one in lesions:
        row: dict[str, Any] = {"case": case.name, "subject": case.subject, "lesion": one.number}
        row |= {"class": one.classes[0] if one.classes else SUGGESTED, "other_classes": ";".join(one.classes[1:])}
        row |= {"confirmed_class": one.confirmed, "proposed_class": one.proposed, "status": one.status}
        row |= {name: getattr(one, name) for name in ("voxels", "slices", "first_slice", "last_slice")}
        row["volume_ml"] = round(one.volume_ml, 6)
        row |= {f"centroid_{axis}_mm": round(value, 3) for axis, value in zip("lps", one.centroid_lps, strict=True)}
        row |= {f"place_{axis}_mm": round(value, 3) for axis, value in zip("ras", one.place_ras, strict=True)}
        row |= {name: round(getattr(one, name), 3) for name in ("diameter_mm", "difference_sd")}
        if one.confidence is not None:
            row["confidence"] = round(one.confidence, 4)
        rows.append(row)
    return rows


def slice_rows(study: Study, case: Case, reader: str | None = None) -> list[dict[str, Any]]:
    """One row for every slice of a case, in order; a slice without an answer says "not read", or "viewed" where it was
    looked at in a sweep. The column "viewed" holds the seconds that all sweeps showed it."""
    looks: dict[int, float] = {}
    for one in study.sweeps.all(case.name):
        looks[one.slice] = looks.get(one.slice, 0.0) + one.seconds
    current = study.answers.current(case.name, reader=reader)
    rows = []
    for number in range(case.n_slices):
        row: dict[str, Any] = {"case": case.name, "subject": case.subject, "slice": number}
        row["answer"] = "viewed" if number in looks else "not read"
        row |= {"viewed": round(looks[number], 2)} if number in looks else {}
        answer = current.get(number)
        if answer:
            row |= {name: getattr(answer, name) for name in SLICE_COLUMNS[3:14]}
            if answer.viewed_share is not None:
                row["viewed_share"] = round(answer.viewed_share, 4)
            mask = answer.mask if answer.answer == "mask" else None
            voxels = 0 if mask is None else int(np.count_nonzero(mask))
            row |= {"voxels": voxels, "volume_ml": round(voxels * case.grid.voxel_ml, 6)}
        rows.append(row)
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV (UTF-8, comma, header line); a missing value is an empty cell. Overwrites."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
