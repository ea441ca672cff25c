"""What leaves a study: labels, lesions, suggestion and uncertainty of the model as volumes, tables; with provenance."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, Do, Step, WrongUse, disk_errors
from LMIALLib.files import flush_file, flush_folder, rename
from LMIALLib.pairs.storage import write_image
from LMIALLib.study.case import Case
from LMIALLib.study.delivered import ORIGINS, delivered_label
from LMIALLib.study.labels import UNREAD
from LMIALLib.study.lesions import THRESHOLD, CaseLesions
from LMIALLib.study.provenance import header_fields, provenance
from LMIALLib.study.report import report_page
from LMIALLib.study.segmentation_file import Segment, write_segmentation
from LMIALLib.study.store import Study
from LMIALLib.study.tables import LESION_COLUMNS, SLICE_COLUMNS, lesion_rows, slice_rows, write_table
from LMIALLib.study.targets import label_volume

WHAT = ("labels", "delivered", "lesions", "suggestion", "uncertainty", "table", "report")
SUFFIXES = {"seg.nrrd": ".seg.nrrd", "nrrd": ".nrrd", "nifti": ".nii.gz"}
_NAMED = {"delivered": "delivered label"}

_REVIEWED = (0.60, 0.60, 0.60)
_SUGGESTION = (1.00, 0.95, 0.20)


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Args:
        what: "labels", "delivered" (what was read as it was read, all else as suggested, and which is which),
            "lesions" (each by its number, a table beside them), "suggestion", "uncertainty", "table" or "report".
        format: "seg.nrrd", "nrrd" or "nifti" for volumes; None: seg.nrrd, or nrrd for uncertainty; tables are CSV,
            reports HTML.
        case: one case; None means all.
        reader: only answers by this reader; None means the newest by any.
        unread: value in plain label volumes of voxels that nobody read: 255, or 0 when that is chosen. In
            volumes of lesions 65535 stands for 255, and the highest value of 32 bits where a number needs them.
        maps: case -> float (k, j, i) on the pair's grid: probability in [0, 1] for "suggestion", "delivered" and, if
            given, for "lesions", "table" and "report"; uncertainty (nats) for "uncertainty".
        model: id of the model that made the maps.
        estimates: case -> how good its delivered label is expected to be, JSON-ready; written into its header.
        suggestions: whether "lesions", "table" and "report" hold what the model suggests where nobody read.
        keep_numbers: store the numbers of lesions, which only the session that annotates may do.
    """

    what: str = "labels"
    format: str | None = None
    case: str | None = None
    reader: str | None = None
    unread: int = UNREAD
    maps: Mapping[str, np.ndarray] | None = None
    model: str | None = None
    estimates: Mapping[str, Mapping[str, Any]] | None = None
    suggestions: bool = True
    keep_numbers: bool = False


def export(study: Study, out: Path, request: ExportRequest) -> tuple[Path, ...]:
    """Write the files of ``request`` into the folder ``out`` and return their paths.

    All are written to a temporary folder inside ``out`` first and moved when all are complete; files of the same
    names from an earlier export are replaced, nothing else is touched. Beside each volume lies its provenance as JSON.

    Raises WrongUse for options that do not go together, BadInput for an unknown case, maps of another shape, nothing to
    export, or a disk that is full or may not be written to.
    """
    _check_request(request, out)
    cases = (study.cases.get(request.case),) if request.case is not None else study.cases.all()
    if not cases:
        step = Step(Do.ADD, str(study.folder))
        raise BadInput(f"the study {study.folder} has no case to export.", "Add one.", step)
    with disk_errors(f"exporting to {out}"):
        out.mkdir(parents=True, exist_ok=True)
        place = out / f".export-{uuid.uuid4().hex[:8]}"
        place.mkdir()
        try:
            if request.what == "table":
                _write_tables(study, cases, request, place)
            elif request.what == "report":
                _write_report(study, cases, request, place)
            else:
                for case in cases:
                    _write_volume(study, case, request, place)
            written = _move_into_place(place, out)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    if not study.read_only:
        study.log.record("export", what=request.what, files=[path.name for path in written])
    return written


def _check_request(request: ExportRequest, out: Path) -> None:
    if request.what not in WHAT:
        raise WrongUse(f"cannot export {request.what!r}; choose one of {', '.join(WHAT)}.")
    if request.what == "table":
        if request.format not in (None, "csv"):
            raise WrongUse(f"a table is written as csv, not as {request.format}.")
    elif request.what == "report":
        if request.format not in (None, "html"):
            raise WrongUse(f"a report is written as html, not as {request.format}.")
    elif request.format is not None and request.format not in SUFFIXES:
        raise WrongUse(f"the format {request.format!r} is unknown; choose one of {', '.join(SUFFIXES)}.")
    if request.what == "uncertainty" and request.format == "seg.nrrd":
        raise WrongUse("an uncertainty map is no segmentation.", "Choose the format nrrd or nifti.")
    if request.unread not in (0, UNREAD):
        raise WrongUse(f"unread voxels can be written as {UNREAD} or 0, not as {request.unread}.")
    if request.what in ("suggestion", "uncertainty", "delivered") and not request.maps:
        raise BadInput(f"there is no {_NAMED.get(request.what, request.what)} yet.", "Rank first.", Step(Do.RANK))
    if out.is_file() or out.name.endswith((*SUFFIXES.values(), ".nii", ".csv", ".json")):
        raise WrongUse(f"{out} names a file; an export goes into a folder.", "Name a folder.")


def _write_volume(study: Study, case: Case, request: ExportRequest, place: Path) -> None:
    chosen = request.format or ("nrrd" if request.what == "uncertainty" else "seg.nrrd")
    path = place / f"{case.name}-{request.what}{SUFFIXES[chosen]}"
    if request.what == "delivered":
        about = _write_delivered(study, case, replace(request, format=chosen), path)
        path = path.with_name(f"{about['file']}{SUFFIXES[chosen]}")
    elif request.what == "lesions":
        about = _write_lesions(study, case, replace(request, format=chosen), path)
    else:
        about = _about(study, case, replace(request, format=chosen))
        write: Callable[..., None] = _write_segments if chosen == "seg.nrrd" else _write_plain
        write(study, case, request, path, about)
    path.with_name(f"{path.name}.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _write_segments(study: Study, case: Case, request: ExportRequest, path: Path, about: dict[str, Any]) -> None:
    values, reviewed = label_volume(study, case.name, reader=request.reader)
    if request.what == "suggestion":
        labels = (_map_of(request, case) >= THRESHOLD).astype(np.uint8)
        segments = [Segment("suggestion", "suggestion (model)", _SUGGESTION, 0, 1)]
    else:
        labels = np.where(reviewed, values, 0).astype(np.uint8)
        present = set(np.unique(labels).tolist())
        classes = [c for c in study.label_schema.classes if c.value in present] or [study.label_schema.classes[0]]
        segments = [Segment(c.name, c.name, c.colour, 0, c.value) for c in classes]
    segments.append(Segment("reviewed", "reviewed", _REVIEWED, 1, 1))
    write_segmentation(path, [labels, reviewed.astype(np.uint8)], case.grid, segments, header_fields(about))


def _write_lesions(study: Study, case: Case, request: ExportRequest, path: Path) -> dict[str, Any]:
    """Lesions by their numbers and the table of them; returns the provenance."""
    found = _lesions(study, case, request)
    write_table(path.parent / f"{case.name}-lesions.csv", LESION_COLUMNS, lesion_rows(case, found.lesions))
    if request.format == "seg.nrrd":
        about = _about(study, case, request)
        colours = {one.name: one.colour for one in study.label_schema.classes}
        segments = [
            Segment(f"lesion-{one.number}", one.name, _shade(colours.get(one.kind, _SUGGESTION), n), 0, one.number)
            for n, one in enumerate(found.lesions)
        ]
        segments.append(Segment("reviewed", "reviewed", _REVIEWED, 1, 1))
        write_segmentation(path, [found.volume, found.reviewed], case.grid, segments, header_fields(about))
        return about
    kind = np.uint16 if found.volume.max(initial=0) < np.iinfo(np.uint16).max else np.uint32
    unread = int(np.iinfo(kind).max) if request.unread else 0
    about = _about(study, case, replace(request, unread=unread))
    array = found.volume.astype(kind)
    array[(found.volume == 0) & ~found.reviewed] = unread
    _write_image(array, case, path, about)
    return about


def _write_delivered(study: Study, case: Case, request: ExportRequest, path: Path) -> dict[str, Any]:
    """The delivered label, where each voxel of it comes from, and its lesions as a table; returns the provenance.

    The name says so where nobody has read anything of the patient.
    """
    found = delivered_label(study, case.name, _map_of(request, case), reader=request.reader)
    name = f"{case.name}-delivered" + ("" if found.slices_read else "-unread")
    about = _about(study, case, request) | {"file": name, "origins": {str(k): word for k, word in ORIGINS.items()}}
    about["estimate"] = dict((request.estimates or {}).get(case.name, {})) or None
    lesions = _lesions(study, case, request).lesions
    write_table(path.parent / f"{name}.csv", LESION_COLUMNS, lesion_rows(case, lesions))
    if request.format == "seg.nrrd":
        present = set(np.unique(found.values).tolist())
        classes = [c for c in study.label_schema.classes if c.value in present] or [study.label_schema.classes[0]]
        segments = [Segment(c.name, c.name, c.colour, 0, c.value) for c in classes]
        segments += [
            Segment(word.replace(" ", "-"), word, _shade(_REVIEWED, value), 1, value)
            for value, word in ORIGINS.items() if value
        ]  # fmt: skip
        write_segmentation(path.with_name(f"{name}.seg.nrrd"), [found.values, found.origin], case.grid, segments,
                           header_fields(about))  # fmt: skip
        return about
    _write_image(found.values, case, path.with_name(f"{name}{path.name.removeprefix(f'{case.name}-delivered')}"), about)
    _write_image(found.origin, case, path.with_name(f"{name}-origin{path.name.removeprefix(f'{case.name}-delivered')}"),
                 about)  # fmt: skip
    return about


def _shade(colour: tuple[float, float, float], n: int) -> tuple[float, float, float]:
    """Three shades of a class's colour in turn, so that neighbouring lesions look different."""
    red, green, blue = (part * (1.0 - 0.2 * (n % 3)) for part in colour)
    return red, green, blue


def _write_plain(study: Study, case: Case, request: ExportRequest, path: Path, about: dict[str, Any]) -> None:
    if request.what == "labels":
        array, reviewed = label_volume(study, case.name, reader=request.reader)
        array = np.where(reviewed, array, request.unread).astype(np.uint8)
    else:
        array = _map_of(request, case).astype(np.float32)
    _write_image(array, case, path, about)


def _write_image(array: np.ndarray, case: Case, path: Path, about: dict[str, Any]) -> None:
    write_image(path, array, case.grid, header_fields(about))


def _write_tables(study: Study, cases: tuple[Case, ...], request: ExportRequest, place: Path) -> None:
    lesions: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []
    for case in cases:
        lesions += lesion_rows(case, _lesions(study, case, request).lesions)
        slices += slice_rows(study, case, request.reader)
    write_table(place / "lesions.csv", LESION_COLUMNS, lesions)
    write_table(place / "slices.csv", SLICE_COLUMNS, slices)
    about = {"cases": [_about(study, case, request) for case in cases]}
    (place / "table.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _write_report(study: Study, cases: tuple[Case, ...], request: ExportRequest, place: Path) -> None:
    lesions = {case.name: _lesions(study, case, request).lesions for case in cases}
    page = report_page(study, cases, reader=request.reader, lesions=lesions)
    (place / "report.html").write_text(page, encoding="utf-8")


def _lesions(study: Study, case: Case, request: ExportRequest) -> CaseLesions:
    probability = _map_of(request, case) if request.maps is not None and case.name in request.maps else None
    return study.lesions.of_case(
        case.name,
        probability,
        reader=request.reader,
        keep=request.keep_numbers,
        suggestions=request.suggestions or request.what == "delivered",
    )


def _about(study: Study, case: Case, request: ExportRequest) -> dict[str, Any]:
    unread = None if request.format == "seg.nrrd" else request.unread
    found = provenance(study, case, what=request.what, reader=request.reader, unread=unread, model=request.model)
    with_lesions = request.what in ("lesions", "table")
    if not with_lesions:
        return found
    suggested = request.suggestions and bool(request.maps)
    return found | {"unread_suggestions": suggested} | ({} if suggested else {"made_by": "readers"})


def _map_of(request: ExportRequest, case: Case) -> np.ndarray:
    if request.maps is None or case.name not in request.maps:
        raise BadInput(f"there is no {request.what} of {case.name} yet.", "Rank first.", Step(Do.RANK))
    array = np.asarray(request.maps[case.name])
    if array.shape != case.grid.shape:
        raise BadInput(f"the map of {case.name} has shape {array.shape}; its pair has shape {case.grid.shape}.")
    return array


def _move_into_place(place: Path, out: Path) -> tuple[Path, ...]:
    files = sorted(place.iterdir())
    for file in files:
        flush_file(file)
    for file in files:
        rename(file, out / file.name)
    flush_folder(out)
    return tuple(out / file.name for file in files)
