"""What a reader can export, the one list that every face shows, and the exports by way of the worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.loop.learning import Learning
from LMIALLib.loop.queue import core_set_waits, of_another_model
from LMIALLib.study.labels import UNREAD
from LMIALLib.worker.client import Job
from LMIALLib.worker.requests import Export, Exported


@dataclass(frozen=True)
class Kind:
    """One thing that can be exported: its id, what and format for ``study.exports``, and words for a face.

    ``suggestions``: whether it holds what the model suggests where nobody read.
    """

    id: str
    what: str
    format: str | None
    title: str
    tip: str
    suggestions: bool = False


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
    Kind(
        "lesions",
        "lesions",
        "seg.nrrd",
        "Lesions one by one",
        "A numbered segment for each that was read or accepted, and a CSV",
    ),
    Kind("lesions-nifti", "lesions", "nifti", "Lesions as NIfTI", "Each by its number, 65535 = not read; and a CSV"),
    Kind("table", "table", None, "Tables", "Lesions and slices as CSV: what was read or accepted"),
    Kind("report", "report", None, "Report", "One HTML file: what was read, every lesion, pictures of the change"),
    Kind(
        "lesions-suggested",
        "lesions",
        "seg.nrrd",
        "Lesions, suggested ones too",
        "As above; what nobody read is marked as the model's alone",
        suggestions=True,
    ),
    Kind(
        "report-suggested",
        "report",
        None,
        "Report, suggested lesions too",
        "As above; what nobody read is marked as the model's alone",
        suggestions=True,
    ),
    Kind("suggestion", "suggestion", "nifti", "Suggestion of the network", "Probability of change, NIfTI"),
    Kind("uncertainty", "uncertainty", "nifti", "Uncertainty", "The map that was ranked, NIfTI"),
)


def request_export(
    learning: Learning,
    out: Path,
    *,
    case: str | None = None,
    what: str = "labels",
    file_format: str | None = None,
    reader: str | None = None,
    unread: int = UNREAD,
    suggestions: bool = False,
) -> Job[Exported]:
    """Ask the worker to write exports of one case, or of all, into folder ``out``; see ``study.exports``.

    The suggestion and the uncertainty are those of the last ranking, whichever model made it.
    """
    if reader is not None and reader not in (known := sorted({one.reader for one in learning.study.answers.all()})):
        raise BadInput(f"nobody of the name {reader!r} has read here; there are: {', '.join(known) or 'no readers'}.")
    keep_numbers = not learning.study.read_only
    return learning.worker.submit(Export(str(out), what, file_format, case, reader, unread, suggestions, keep_numbers))


def export_files(learning: Learning, out: Path, *, what: str = "labels", **options: Any) -> list[Path]:
    """Do ``request_export`` and wait for the files.

    Where there is no ranking yet, or an older model made it, the pool is ranked first for the suggestion and the
    uncertainty (not in a study that can only be read, nor while a core-set waits, whose place that would take).

    Args:
        learning: of an open session.
        out: a folder, made where it is missing.
        what: one of ``study.exports.WHAT``.
        options: as in ``request_export``.

    Returns the files that were written. Raises what the export raises, see ``study.exports.export``.

    Example:
        >>> with Study.open(Path("study"), reader="anna") as study:
        ...     session = Session(study, reader="anna", settings=LoopSettings(train=False))
        ...     files = export_files(session.learning, Path("out"), what="labels", file_format="nifti")
        ...     session.close()
        >>> [file.name for file in files]
        ['patient-1-labels.nii.gz', 'patient-1-labels.nii.gz.json']
    """
    needs_maps = what in ("suggestion", "uncertainty", "delivered") and not learning.study.read_only
    stale = of_another_model(learning.study) or (what == "delivered" and learning.answered_since())
    if needs_maps and stale and not core_set_waits(learning.study):
        learning.wait(learning.request_ranking(keep=True))
    result = learning.wait(request_export(learning, out, what=what, **options))
    return [Path(file) for file in result.files]
