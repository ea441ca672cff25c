"""Reading a DICOM segmentation (SEG): frames of one bit a pixel, each with its segment and its place in space.

DICOM PS3.3, A.51 and C.8.20. Only binary segmentations without compression are read. The structure of the file was
walked (``dicom_structure``) before pydicom sees its header; the bits are unpacked here.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import MAX_VOXELS, check_axes, check_position, check_spacing
from LMIALLib.pairs.segments import MOST_SEGMENTS, NamedSegment, Segmentation

PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
FIELDS = (
    *("SegmentationType", "BitsAllocated", "Columns", "Rows", "NumberOfFrames", "SegmentSequence", "PixelData"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
"""All that is taken out of a file."""
EVEN_MM = 0.1
"""Largest distance of a frame from its place in an even stack, and of its corner from the stack's."""


@dataclass(frozen=True)
class _Frame:
    """One frame: number of its segment, position (mm) of its first pixel, cosines of a row and a column, pixel (mm)."""

    segment: int
    position: np.ndarray
    cosines: np.ndarray
    pixel: np.ndarray
    between: float


def read_dicom_seg(path: Path) -> Segmentation:
    """Read all segments of a file that ``is_segmentation_object``. Raises BadInput naming ``path``."""
    try:
        import pydicom
    except ImportError as error:
        raise BadInput(
            f"{path}: DICOM files are read with the Python package pydicom, which is not installed.",
            "Install it (pip install pydicom), or export the segmentation as .seg.nrrd.",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = pydicom.dcmread(path, specific_tags=list(FIELDS))
            plain = str(data.file_meta.TransferSyntaxUID) in PLAIN
            binary = data.SegmentationType == "BINARY" and data.BitsAllocated == 1
            size = int(data.Columns), int(data.Rows), int(data.get("NumberOfFrames", 0) or 0)
            frames = _frames(data) if plain and binary else []
            names = _names(data)
            stored = bytes(data.PixelData) if plain and binary else b""
        except Exception as error:  # pydicom raises whatever it meets in a header that is wrong
            raise BadInput(f"{path}: this DICOM segmentation is damaged, or its position is missing.") from error
    if not (plain and binary):
        raise BadInput(
            f"{path}: this DICOM segmentation is compressed or fractional; LMIAL reads plain binary ones.",
            "Export it as .seg.nrrd.",
        )
    if len(frames) != size[2] or not frames or min(size) < 1 or len(names) > MOST_SEGMENTS:
        raise BadInput(f"{path}: this DICOM segmentation describes {len(frames)} of its {size[2]} frames.")
    if len(stored) * 8 < math.prod(size):
        raise BadInput(f"{path}: this DICOM segmentation is cut short.", "Copy or export it again.")
    grid, heights = _stack(path, frames, size[:2])
    if math.prod(grid.size) * max(1, len(names)) > MAX_VOXELS:
        raise BadInput(f"{path}: this DICOM segmentation holds more voxels than LMIAL takes.")
    bits = np.unpackbits(np.frombuffer(stored, np.uint8), count=math.prod(size), bitorder="little")
    pictures = bits.reshape(size[::-1]).astype(bool)
    inside = {number: np.zeros(grid.shape, bool) for number in names}
    for frame, height, picture in zip(frames, heights, pictures, strict=True):
        if frame.segment not in inside:
            raise BadInput(f"{path}: this DICOM segmentation has a frame of segment {frame.segment}, which it lacks.")
        inside[frame.segment][height] |= picture
    return Segmentation(tuple(NamedSegment(names[number], inside[number]) for number in names), grid)


def _names(data: Any) -> dict[int, str]:
    return {
        int(one.SegmentNumber): str(one.get("SegmentLabel", "") or f"segment {int(one.SegmentNumber)}")
        for one in data.SegmentSequence
    }


def _frames(data: Any) -> list[_Frame]:
    shared = data.SharedFunctionalGroupsSequence[0]

    def of(frame: Any, name: str) -> Any:
        return (frame.get(name) or shared.get(name))[0]

    found = []
    for frame in data.PerFrameFunctionalGroupsSequence:
        measures = of(frame, "PixelMeasuresSequence")
        between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0
        found.append(
            _Frame(
                int(of(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber),
                _numbers(of(frame, "PlanePositionSequence").ImagePositionPatient, 3),
                _numbers(of(frame, "PlaneOrientationSequence").ImageOrientationPatient, 6),
                _numbers(measures.PixelSpacing, 2),
                float(between),
            )
        )
    return found


def _numbers(values: Any, count: int) -> np.ndarray:
    """Finite numbers. Raises ValueError for another count, or what is none."""
    found = np.array([float(value) for value in values])
    if found.shape != (count,) or not np.isfinite(found).all():
        raise ValueError("no finite numbers")
    return found


def _stack(path: Path, frames: list[_Frame], plane: tuple[int, int]) -> tuple[Grid, list[int]]:
    """The grid that all frames lie on, and the slice (k) of each frame; slices without a frame are empty."""
    first = frames[0]
    same = all(np.allclose(f.cosines, first.cosines, atol=1e-4) and np.allclose(f.pixel, first.pixel) for f in frames)
    row, column = first.cosines[:3], first.cosines[3:]
    normal = np.cross(row, column)
    axes = np.stack([row, column, normal], axis=1)
    check_axes(path, axes)
    axes = axes / np.linalg.norm(axes, axis=0)
    heights = np.array([frame.position @ axes[:, 2] for frame in frames])
    gaps = np.diff(np.unique(np.round(heights, 3)))
    gaps = gaps[gaps > EVEN_MM]
    spacing = first.between if first.between > 0 else float(gaps.min()) if gaps.size else 1.0
    if gaps.size and np.abs(gaps / spacing - np.round(gaps / spacing)).max() * spacing > EVEN_MM:
        spacing = float(gaps.min())  # a thickness may be written that is not the distance
    check_spacing(path, (float(first.pixel[1]), float(first.pixel[0]), spacing), "DICOM")
    lowest = int(np.argmin(heights))
    steps = (heights - heights[lowest]) / spacing
    aside = np.array([frame.position - frames[lowest].position for frame in frames]) @ axes[:, :2]
    even = np.abs(steps - np.round(steps)).max() * spacing <= EVEN_MM and np.abs(aside).max() <= EVEN_MM
    count = round(float(steps.max())) + 1
    if not (same and even) or plane[0] * plane[1] * count > MAX_VOXELS:
        raise BadInput(f"{path}: the frames of this DICOM segmentation do not lie on one regular grid.")
    x, y, z = (float(value) for value in frames[lowest].position)
    check_position(path, (x, y, z))
    grid = Grid(
        (*plane, count),
        (float(first.pixel[1]), float(first.pixel[0]), spacing),
        (x, y, z),
        tuple(axes.ravel().tolist()),
    )
    return grid, [round(float(step)) for step in steps]
