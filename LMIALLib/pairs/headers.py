"""Checks of a volume's header before a single voxel is loaded, so that a lying header cannot exhaust the memory.

ITK reads a file that ends early as zeros, repairs spacings that are zero or negative without a word, allocates whatever
a header asks for, and writes behind its memory where a field of NRRD or MetaImage is over-long. So the header is read
here, what it promises is compared with what the file holds, and LMIAL reads the voxels too (``voxels.py``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid, farthest_mm, nearest_rotation

MAX_VOXELS = 1_000_000_000
"""More than any scan of a person has (a 1000 x 1000 x 1000 volume); a header that promises more is wrong or hostile."""
MIN_VOXELS_PER_AXIS = 4
"""Smoothing and spline interpolation need this many voxels along each axis."""
READING_BYTES_PER_VOXEL = 8
"""While a scan is read: its voxels as they are stored, and as float32. What preparing takes is checked where both scans
are known (``memory.check_memory``)."""
SPACING_MM = (1e-4, 1e4)
"""Smallest and largest distance of voxels that a scan of a person can have; beyond them arithmetic overflows."""
EXTENT_MM = (2.0, 1e4)
"""Smallest and largest length of a scan along an axis; over less, margins in mm become millions of voxels."""
FARTHEST_MM = 1e7
"""Largest distance of a scan from the origin of its space, ten kilometres."""
SHEAR_TOLERANCE = 1e-2
"""Largest cosine between two axes (0.6 degrees) that may come from a header written to few decimals."""
MOST_MOVED_MM = 1.0
"""Largest way of a voxel from where its header puts it to a regular grid. Over that the grid is another one."""
UNSEEN_MM = 1e-3
"""Ways below are roundings of single precision and are not worth a word."""


@dataclass(frozen=True)
class Header:
    """What a header promises.

    Args:
        size: voxels along each axis as written, at least one entry.
        spacing: mm along each axis as written, before any repair by ITK.
        voxel_bytes: bytes of one voxel, all components counted.
        components: values per voxel.
        data_file: the file that holds the voxels (the header's own file, or one beside it).
        offset: bytes before the first voxel, -1 where the voxels end with the file; for "gzip-all" counted after
            decompression.
        compression: "raw", "zlib" (zlib or gzip, from ``offset`` on), "bzip2", or "gzip-all" (header included).
        axes: (3, 3) or None; column c is the direction of index axis c, with or without its spacing.
        kind: name of the format for sentences.
        voxel: type and byte order of the voxels as stored.
        origin: LPS position (mm) of the first voxel, three entries; meaningless where ``axes`` is None.
        scaling: slope and intercept by which stored numbers become grey values; None: they are the grey values.
        remarks: sentences on what was guessed, without the file's name.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    voxel_bytes: int
    components: int
    data_file: Path
    offset: int
    compression: str
    axes: np.ndarray | None
    kind: str
    voxel: np.dtype[Any]
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    scaling: tuple[float, float] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def data_bytes(self) -> int:
        """Bytes of all voxels, uncompressed."""
        total = self.voxel_bytes
        for length in self.size:
            total *= length
        return total

    @property
    def grid(self) -> Grid:
        """Where the voxels lie in LPS, once ``check_header`` found three axes."""
        i, j, k = self.size[:3]
        x, y, z = self.spacing[:3]
        direction = np.eye(3) if self.axes is None else self.axes
        a, b, c = self.origin
        return Grid((i, j, k), (x, y, z), (a, b, c), tuple(direction.ravel().tolist()))


def check_header(path: Path, header: Header) -> None:
    """Refuse a header that cannot describe one scalar 3-D volume, or promises more than its file holds.

    Raises BadInput with one sentence that names ``path``.
    """
    _check_size(path, header)
    check_spacing(path, header.spacing[:3], header.kind)
    if header.axes is not None:
        check_axes(path, header.axes)
    check_position(path, header.origin)
    _check_memory(path, header)
    check_extent(path, header.size[:3], header.spacing[:3])
    _check_payload(path, header)


def check_plane(path: Path, header: Header) -> None:
    """Refuse a header that cannot describe one plane with one value per pixel, or promises more than its file holds."""
    if len(header.size) < 2 or header.components != 1 or any(length < 1 for length in header.size):
        raise BadInput(
            f"{path}: it is not one plane with one value a pixel (its size is {' x '.join(map(str, header.size))},"
            f" with {header.components} values a pixel)."
        )
    _check_memory(path, header)
    _check_payload(path, header)


def _check_size(path: Path, header: Header) -> None:
    size = header.size
    shown = " x ".join(str(length) for length in size)
    if any(length < 1 for length in size):
        raise BadInput(f"{path}: its header gives the size {shown}; every axis needs at least one voxel.")
    if header.components != 1:
        raise BadInput(
            f"{path}: it holds {header.components} values per voxel (a colour, vector or complex image);"
            " LMIAL reads one grey value per voxel.",
            "Export a single channel.",
        )
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) > 3:
        raise BadInput(
            f"{path}: it has {len(size)} dimensions ({shown}), probably a time series or several channels;"
            " LMIAL reads one 3-D volume.",
            "Export one time frame.",
        )
    if len(size) < 3 or min(size) == 1:
        raise BadInput(f"{path}: it is a 2-D image ({shown}); LMIAL reads 3-D volumes.")
    if min(size) < MIN_VOXELS_PER_AXIS:
        raise BadInput(
            f"{path}: its size is {shown}; LMIAL needs at least {MIN_VOXELS_PER_AXIS} voxels along each axis."
        )


def check_spacing(path: Path, spacing: tuple[float, ...], kind: str) -> None:
    """Refuse a spacing (mm) that is not three positive numbers of a size that scans have."""
    found = " x ".join(f"{value:g}" for value in spacing) or "none"
    hint = "Correct the spacing at the source: volumes and distances would be wrong."
    if len(spacing) < 3 or not all(np.isfinite(value) and value > 0 for value in spacing):
        raise BadInput(
            f"{path}: its {kind} header gives the voxel spacing {found} mm; three positive numbers are expected.", hint
        )
    least, most = SPACING_MM
    if not all(least <= value <= most for value in spacing):
        raise BadInput(
            f"{path}: its {kind} header gives the voxel spacing {found} mm; LMIAL takes {least:g} to {most:g} mm.", hint
        )


def check_extent(path: Path, size: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    """Refuse a scan (voxels, and mm from one to the next) that is shorter or longer than any of a person."""
    extent = [length * step for length, step in zip(size, spacing, strict=True)]
    least, most = EXTENT_MM
    if not all(least <= value <= most for value in extent):
        raise BadInput(
            f"{path}: it shows {' x '.join(f'{value:.3g}' for value in extent)} mm; LMIAL takes scans of {least:g} to"
            f" {most:,.0f} mm along each axis.",
            "Check the unit of its voxel spacing, which is millimetres.",
        )


def check_position(path: Path, origin: tuple[float, ...]) -> None:
    """Refuse a position (mm) that is not three numbers, or so far away that arithmetic loses the voxels."""
    if len(origin) != 3 or not all(abs(value) <= FARTHEST_MM for value in origin):  # a comparison with NaN is false
        found = ", ".join(f"{value:g}" for value in origin)
        raise BadInput(
            f"{path}: its position in space is ({found}) mm; three numbers up to {FARTHEST_MM:,.0f} are expected."
        )


def check_axes(path: Path, axes: np.ndarray) -> None:
    """Refuse axes (columns of a (3, 3) matrix, any positive length) that are not at right angles to one another."""
    usable = bool(np.all(np.abs(axes) <= SPACING_MM[1]))  # a comparison with NaN is false
    lengths = np.linalg.norm(axes, axis=0) if usable else np.zeros(3)
    if np.any(lengths <= 0):
        raise BadInput(f"{path}: the directions of its axes are not three usable vectors ({axes.T.tolist()}).")
    unit = axes / lengths
    worst = float(np.abs(unit.T @ unit - np.eye(3)).max())
    if worst > SHEAR_TOLERANCE:
        angle = float(np.degrees(np.arcsin(min(1.0, worst))))
        raise BadInput(
            f"{path}: its axes are not at right angles (sheared by {angle:.2f} degrees); LMIAL reads regular grids.",
            "Resample it to a regular grid first.",
        )


def straightened(path: Path, header: Header, given: np.ndarray | None = None) -> Header:
    """The header with the nearest axes at right angles, and a remark how far that moves a voxel, if it is to be seen.

    Axes written to three decimals, say, are not quite at right angles; ITK refuses some of them and shears others.

    Args:
        given: (3, 3), in mm; column c leads from a voxel to the next along index axis c, as the header says. None: the
            header's axes times its spacing.

    Raises BadInput where a voxel would move by more than ``MOST_MOVED_MM``. What is no usable geometry at all is left
    as it is, for the checks.
    """
    if header.axes is None or len(header.size) < 3 or len(header.spacing) < 3:
        return header
    spacing = np.array(header.spacing[:3])
    if not np.all((spacing > 0) & (spacing <= SPACING_MM[1])):
        return header
    given = header.axes * spacing if given is None else given
    if not np.all(np.abs(given) <= SPACING_MM[1]):
        return header
    lengths = np.linalg.norm(given, axis=0)
    if np.any(lengths <= 0) or np.abs((given / lengths).T @ (given / lengths) - np.eye(3)).max() > SHEAR_TOLERANCE:
        return header
    axes = nearest_rotation(given / lengths)
    off = farthest_mm(header.size[:3], given, axes * spacing)
    if off <= UNSEEN_MM:
        return header
    if off > MOST_MOVED_MM:
        raise BadInput(
            f"{path}: its axes are not at right angles, or their length differs from its voxel size; the nearest"
            f" regular grid would move its farthest voxel by {off:.2g} mm.",
            "Resample it to a regular grid first, or write its header with more decimals.",
        )
    remark = f"its axes are given to few decimals; the nearest regular grid moves no voxel by more than {off:.2g} mm."
    return replace(header, axes=axes, remarks=(*header.remarks, remark))


def _check_memory(path: Path, header: Header) -> None:
    voxels = header.data_bytes // header.voxel_bytes
    needed = voxels * READING_BYTES_PER_VOXEL
    if voxels > MAX_VOXELS or needed > _memory_of_this_machine():
        raise BadInput(
            f"{path}: its header promises {' x '.join(map(str, header.size))} voxels"
            f" ({header.data_bytes / 1e9:,.1f} GB), more than LMIAL takes on this machine."
        )


def _memory_of_this_machine() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not every system reports it; the limit on voxels still holds
        return float("inf")


def _check_payload(path: Path, header: Header) -> None:
    """Compare the voxels promised with the bytes there can be; the rest is checked while they are read."""
    held = header.data_file.stat().st_size
    wanted = header.data_bytes + (max(0, header.offset) if header.compression in ("raw", "gzip-all") else 0)
    # Deflate shrinks at most 1032:1, bzip2 of zeros about 50000:1.
    most = held * {"raw": 1, "bzip2": 60_000}.get(header.compression, 1032)
    if most < wanted:
        raise too_short(path, header, wanted, most, at_most=True)


def too_short(path: Path, header: Header, wanted: int, found: int, *, at_most: bool = False) -> BadInput:
    """The refusal of a file that holds fewer bytes of voxels than promised."""
    return BadInput(
        f"{path}: its header promises {' x '.join(map(str, header.size))} voxels ({wanted:,} bytes), but the file"
        f" holds {'no more than ' if at_most else ''}{found:,}; it is cut short or its header is wrong.",
        "Copy or export it again.",
    )


def not_finite(path: Path, count: int, total: int) -> BadInput:
    """The refusal of a volume in which ``count`` of ``total`` voxels are no numbers."""
    return BadInput(
        f"{path}: {count:,} of its {total:,} voxels are not a number or infinite.",
        "Replace them, for example with the background's value, and export it again.",
    )


def damaged(path: Path, error: Exception, total: int, wanted: int) -> BadInput:
    """The refusal of compressed data that end or break after ``total`` of ``wanted`` bytes."""
    what = "end" if isinstance(error, EOFError) else "are damaged"
    cut = "; it is cut short." if isinstance(error, EOFError) else "."
    return BadInput(
        f"{path}: its compressed data {what} after {total:,} of {wanted:,} bytes{cut}", "Copy or export it again."
    )
