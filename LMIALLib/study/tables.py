"""Tables for people: one row a lesion, one row a slice; each says what was read by a person."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.study.cases import Case
from LMIALLib.study.labels import UNREAD, LabelSchema
from LMIALLib.study.targets import Targets

LESION_COLUMNS = (
    "case", "subject", "lesion", "class", "other_classes", "status", "volume_ml", "voxels", "slices", "first_slice",
    "last_slice", "centroid_l_mm", "centroid_p_mm", "centroid_s_mm",
)  # fmt: skip
SLICE_COLUMNS = (
    "case", "subject", "slice", "answer", "reader", "seconds", "version", "drawn", "suggestion_seen",
    "accepted_unchanged", "model", "ranking", "query_rank", "saved_at", "voxels", "volume_ml",
)  # fmt: skip
SUGGESTED = "suggested"
"""Class of a lesion of which no voxel was read: the model's opinion, not a label."""


def lesion_rows(
    case: Case, schema: LabelSchema, values: np.ndarray, suggestion: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """One row for each connected change (26 neighbours) of a case.

    Args:
        values: uint8 (k, j, i), see ``label_volume``: schema values, 0 = read and no change, 255 = not read.
        suggestion: bool (k, j, i), the model's change, used only where nobody read; None leaves it out.

    "status" is "read" when every voxel of the lesion and every neighbour of them was read, "model's alone" when none of
    its voxels was, else "partly read". "class" is the commonest class among its read voxels. Centroids are in LPS mm.
    """
    from scipy import ndimage

    unread = values == UNREAD
    change = (values != 0) & ~unread
    if suggestion is not None:
        change |= unread & suggestion
    around = np.ones((3, 3, 3), bool)
    numbered, count = ndimage.label(change, structure=around)
    doubtful = ndimage.binary_dilation(unread, structure=around)
    rows = []
    for number, box in enumerate(ndimage.find_objects(numbered, max_label=count), start=1):
        inside = numbered[box] == number
        index = np.argwhere(inside) + np.array([part.start for part in box])
        classes = values[box][inside]
        row = {"case": case.name, "subject": case.subject, "lesion": number}
        row |= _classes(classes, schema) | {"status": _status(classes, doubtful[box][inside])}
        rows.append(row | _place_and_size(case, index))
    return rows


def _classes(values: np.ndarray, schema: LabelSchema) -> dict[str, str]:
    found, counts = np.unique(values[values != UNREAD], return_counts=True)
    by_count = [schema.name_of(int(found[n])) for n in np.argsort(-counts, kind="stable")]
    return {"class": by_count[0] if by_count else SUGGESTED, "other_classes": ";".join(by_count[1:])}


def _status(values: np.ndarray, beside_unread: np.ndarray) -> str:
    if (values == UNREAD).all():
        return "model's alone"
    return "partly read" if beside_unread.any() else "read"


def _place_and_size(case: Case, index: np.ndarray) -> dict[str, Any]:
    """Volume, slices and centroid of voxels given by array index (n, 3) in the order k, j, i."""
    grid = case.grid
    middle = index.mean(axis=0)[::-1] * np.array(grid.spacing)
    left, posterior, superior = np.array(grid.origin) + np.array(grid.direction).reshape(3, 3) @ middle
    slices = np.unique(index[:, case.axis])
    return {
        "volume_ml": round(len(index) * grid.voxel_ml, 6),
        "voxels": len(index),
        "slices": len(slices),
        "first_slice": int(slices[0]),
        "last_slice": int(slices[-1]),
        "centroid_l_mm": round(float(left), 3),
        "centroid_p_mm": round(float(posterior), 3),
        "centroid_s_mm": round(float(superior), 3),
    }


def slice_rows(study: Targets, case: Case, reader: str | None = None) -> list[dict[str, Any]]:
    """One row for every slice of a case, in order; a slice without an answer says "not read"."""
    current = study.current(case.name, reader=reader)
    rows = []
    for number in range(case.n_slices):
        row: dict[str, Any] = {"case": case.name, "subject": case.subject, "slice": number, "answer": "not read"}
        annotation = current.get(number)
        if annotation:
            row |= {name: getattr(annotation, name) for name in SLICE_COLUMNS[3:14]}
            mask = annotation.mask if annotation.answer == "mask" else None
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
