"""Reading segmentations: DICOM SEG (``dicom_seg``), and ``.seg.nrrd`` as 3D Slicer writes it, layers of labels whose
header describes each segment.

Format of the latter: Slicer's documentation, developer guide, "Segmentation labelmap file format". What lies outside of
the stored box is outside of every segment: Slicer cuts the box to what is drawn.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.dicom_seg import read_dicom_seg
from LMIALLib.pairs.dicom_structure import is_segmentation_object
from LMIALLib.pairs.headers import check_axes, check_plane, check_position, check_spacing
from LMIALLib.pairs.headers_nrrd import read_nrrd_entries, read_nrrd_header
from LMIALLib.pairs.headers_text import shown
from LMIALLib.pairs.label_volume import NOT_READ, LabelVolume, whole_numbers
from LMIALLib.pairs.reading import suffix_of
from LMIALLib.pairs.segments import MOST_SEGMENTS, NamedSegment, Segmentation
from LMIALLib.pairs.voxels import read_voxels

REVIEWED = "reviewed"
"""The segment of LMIAL's own exports that marks what was read; no lesion."""


def is_segmentation(path: Path) -> bool:
    """Whether a path is a segmentation: by its name (``.seg.nrrd``), or a DICOM SEG or a folder that holds one alone.

    Raises BadInput for a DICOM file that is damaged.
    """
    return _is_seg_nrrd(path) or segmentation_object(path) is not None


def segmentation_object(path: Path) -> Path | None:
    """The DICOM SEG that a path is or, where it is a folder, holds alone; else None."""
    try:
        if path.is_dir():
            files = [one for one in list(islice(path.iterdir(), 3)) if one.is_file()]
            return segmentation_object(files[0]) if len(files) == 1 else None
        named_otherwise = suffix_of(path) is not None
        return path if path.is_file() and not named_otherwise and is_segmentation_object(path) else None
    except OSError:
        return None


def _is_seg_nrrd(path: Path) -> bool:
    return path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))


def read_segmentation(path: Path) -> Segmentation:
    """Read all segments. Raises BadInput with one sentence that names ``path``."""
    try:
        found = None if _is_seg_nrrd(path) else segmentation_object(path)
        if found is not None:
            return read_dicom_seg(found)
        return _read(Path(path))
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error


def one_segment(path: Path, segmentation: Segmentation) -> LabelVolume:
    """The label that a segmentation of one segment is: 0, 1, and ``NOT_READ`` outside of a segment "reviewed" where it
    has one. Raises BadInput where several are drawn."""
    drawn = [one for one in segmentation.segments if one.name.casefold() != REVIEWED and one.inside.any()]
    if len(drawn) > 1:
        names = ", ".join(shown(one.name) for one in drawn[:6])
        raise BadInput(
            f"{path}: it is a segmentation of several segments ({names}), and LMIAL cannot know which one is the"
            " label.",
            "Export the segment as a label map (in 3D Slicer: Segmentations, Export to files, NRRD).",
        )
    i, j, k = segmentation.grid.size
    inside = drawn[0].inside if drawn else np.zeros((k, j, i), bool)
    values = inside.astype(np.uint8)
    reviewed = segmentation.named(REVIEWED)
    if reviewed is not None:
        values[~inside & ~reviewed] = NOT_READ
    return LabelVolume(values, segmentation.grid)


def _read(path: Path) -> Segmentation:
    header = read_nrrd_header(path)
    fields, further = read_nrrd_entries(path)
    sizes = [int(word) for word in fields["sizes"].split()]
    if len(sizes) not in (3, 4) or header.voxel is None:
        raise BadInput(f"{path}: it has {len(sizes)} dimensions; a segmentation has three, or four with its layers.")
    layers_last = len(sizes) == 4 and fields.get("kinds", "list").lower().split()[-1] not in ("domain", "space")
    spatial = (sizes[:3] if layers_last else sizes[-3:]) if len(sizes) == 4 else sizes
    flat = replace(
        header,
        size=(sizes[0] * sizes[1], sizes[2], sizes[3]) if len(sizes) == 4 else tuple(sizes),
        components=1,
        voxel_bytes=header.voxel.itemsize,
    )
    check_plane(path, flat)
    check_spacing(path, header.spacing[:3], header.kind)
    check_position(path, header.origin)
    if header.axes is not None:
        check_axes(path, header.axes)
    array = whole_numbers(path, read_voxels(path, flat)).reshape(sizes[::-1])
    layers = [array] if len(sizes) == 3 else list(np.moveaxis(array, 0 if layers_last else -1, 0))
    grid = replace(header, size=(spatial[0], spatial[1], spatial[2])).grid
    return Segmentation(tuple(_segments(path, layers, further)), grid)


def _segments(path: Path, layers: list[np.ndarray], further: dict[str, str]) -> list[NamedSegment]:
    numbers = sorted(int(found[1]) for key in further if (found := re.fullmatch(r"Segment(\d{1,6})_ID", key)))
    if not numbers or len(numbers) > MOST_SEGMENTS:
        raise BadInput(
            f"{path}: its name says that it is a segmentation, but its header describes {len(numbers)} segments.",
            "Export it again, or name a label map .nrrd.",
        )
    segments: list[NamedSegment] = []
    for place, number in enumerate(numbers):
        start = f"Segment{number}_"
        name = further.get(f"{start}Name") or further[f"{start}ID"]
        # Until 2020 each segment had a layer of its own, with the value 1, and the header named neither.
        layer = further.get(f"{start}Layer", str(place))
        value = further.get(f"{start}LabelValue", "1")
        if not (re.fullmatch(r"\d{1,6}", layer) and re.fullmatch(r"\d{1,9}", value)) or int(layer) >= len(layers):
            raise BadInput(f"{path}: it has no layer {shown(layer)} with a label {shown(value)} for {shown(name)}.")
        segments.append(NamedSegment(name, layers[int(layer)] == int(value)))
    return segments
