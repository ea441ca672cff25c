"""What a reader can export, in words: the one list that every face shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One thing that can be exported: its id, what and format for ``study.exports``, and words for a face."""

    id: str
    what: str
    format: str | None
    title: str
    tip: str


KINDS = (
    Kind("labels", "labels", "seg.nrrd", "Labels for 3D Slicer", ".seg.nrrd with a second segment: reviewed"),
    Kind("labels-nifti", "labels", "nifti", "Labels as NIfTI", "255 = not read by anybody"),
    Kind(
        "delivered",
        "delivered",
        "seg.nrrd",
        "Delivered label for 3D Slicer",
        "Read slices as read, the rest as suggested; a segment says which",
    ),
    Kind(
        "delivered-nifti",
        "delivered",
        "nifti",
        "Delivered label as NIfTI",
        "The same, and a second file that says which voxel was read",
    ),
    Kind("lesions", "lesions", "seg.nrrd", "Lesions one by one", "A numbered segment for each, and a table as CSV"),
    Kind("lesions-nifti", "lesions", "nifti", "Lesions as NIfTI", "Each by its number, 65535 = not read; and a CSV"),
    Kind("table", "table", None, "Tables", "Lesions and slices as CSV: read, partly read, or the model's alone"),
    Kind("report", "report", None, "Report", "One HTML file: what was read, every lesion, pictures of the change"),
    Kind("suggestion", "suggestion", "nifti", "Suggestion of the network", "Probability of change, NIfTI"),
    Kind("uncertainty", "uncertainty", "nifti", "Uncertainty", "The map that was ranked, NIfTI"),
)
