"""Checks of a volume's header before a single voxel is loaded, so that a lying header cannot exhaust the memory.

ITK reads a file that ends early as zeros, repairs spacings that are zero or negative without a word, and allocates
whatever a header asks for. So the header is read here first, and what it promises is compared with what the file holds.
"""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from LMIALLib.errors import BadInput

MAX_VOXELS = 1_000_000_000
"""More than any scan of a person has (a 1000 x 1000 x 1000 volume); a header that promises more is wrong or hostile."""
MIN_VOXELS_PER_AXIS = 4
"""Smoothing and spline interpolation need this many voxels along each axis."""
WORKING_BYTES_PER_VOXEL = 24
"""Raw voxels, two float32 copies, spline coefficients and a mask live at once while a pair is prepared."""
SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as a right angle (0.06 degrees; rounding in files stays below)."""


@dataclass(frozen=True)
class Header:
    """What a header promises.

    Args:
        size: voxels along each axis as written, at least one entry.
        spacing: mm along each axis as written, before any repair by ITK.
        voxel_bytes: bytes of one voxel, all components counted.
        components: values per voxel.
        data_file: the file that holds the voxels (the header's own file, or one beside it).
        offset: bytes before the first voxel; for "gzip-all" counted after decompression.
        compression: "raw", "zlib" (zlib or gzip, from ``offset`` on), "bzip2", or "gzip-all" (header included).
        axes: (3, 3) or None; column c is the direction of index axis c, with or without its spacing.
        kind: name of the format for sentences.
        hidden_type: type of floating point voxels where ITK's reader turns those that are no numbers into 0 (NIfTI).
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
    hidden_type: np.dtype[Any] | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of all voxels, uncompressed."""
        total = self.voxel_bytes
        for length in self.size:
            total *= length
        return total


def check_header(path: Path, header: Header) -> None:
    """Refuse a header that cannot describe one scalar 3-D volume, or promises more than its file holds.

    Raises BadInput with one sentence that names ``path``.
    """
    _check_size(path, header)
    _check_spacing(path, header.spacing[:3], header.kind)
    if header.axes is not None:
        check_axes(path, header.axes)
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


def _check_spacing(path: Path, spacing: tuple[float, ...], kind: str) -> None:
    if len(spacing) < 3 or not all(np.isfinite(value) and value > 0 for value in spacing):
        shown = " x ".join(f"{value:g}" for value in spacing) or "none"
        raise BadInput(
            f"{path}: its {kind} header gives the voxel spacing {shown} mm; three positive numbers are expected.",
            "Correct the spacing at the source: volumes and distances would be wrong.",
        )


def check_axes(path: Path, axes: np.ndarray) -> None:
    """Refuse axes (columns of a (3, 3) matrix, any positive length) that are not at right angles to one another."""
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(axes)) or np.any(lengths <= 0):
        raise BadInput(f"{path}: the directions of its axes are not three usable vectors ({axes.T.tolist()}).")
    unit = axes / lengths
    worst = float(np.abs(unit.T @ unit - np.eye(3)).max())
    if worst > SHEAR_TOLERANCE:
        angle = float(np.degrees(np.arcsin(min(1.0, worst))))
        raise BadInput(
            f"{path}: its axes are not at right angles (sheared by {angle:.2f} degrees); LMIAL reads regular grids.",
            "Resample it to a regular grid first.",
        )


def _check_memory(path: Path, header: Header) -> None:
    voxels = header.data_bytes // header.voxel_bytes
    needed = voxels * WORKING_BYTES_PER_VOXEL
    if voxels > MAX_VOXELS or needed > _memory_of_this_machine():
        raise BadInput(
            f"{path}: its header promises {' x '.join(map(str, header.size))} voxels"
            f" ({header.data_bytes / 1e9:,.1f} GB), more than LMIAL takes on this machine."
        )


def _memory_of_this_machine() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not every system tells; the cap on voxels still holds
        return float("inf")


def _check_payload(path: Path, header: Header) -> None:
    """Compare the voxels promised with the bytes there are; compressed ones are read through once, in small blocks."""
    held = header.data_file.stat().st_size
    wanted = header.data_bytes + (header.offset if header.compression in ("raw", "gzip-all") else 0)
    # Deflate shrinks at most 1032:1, bzip2 of zeros about 50000:1: a bound that costs nothing comes first.
    most = held * {"raw": 1, "bzip2": 60_000}.get(header.compression, 1032)
    found, no_numbers = most, 0
    if most >= wanted and (header.compression != "raw" or header.hidden_type is not None):
        found, no_numbers = _read_through(path, header, wanted)
    if found < wanted:
        raise BadInput(
            f"{path}: its header promises {' x '.join(map(str, header.size))} voxels ({wanted:,} bytes), but the file"
            f" holds {'no more than ' if found == most else ''}{found:,}; it is cut short or its header is wrong.",
            "Copy or export it again.",
        )
    if no_numbers:
        raise not_finite(path, no_numbers, header.data_bytes // header.voxel_bytes)


def not_finite(path: Path, count: int, total: int) -> BadInput:
    """The refusal of a volume in which ``count`` of ``total`` voxels are no numbers."""
    return BadInput(
        f"{path}: {count:,} of its {total:,} voxels are not a number or infinite.",
        "Replace them, for example with the background's value, and export it again.",
    )


def _read_through(path: Path, header: Header, wanted: int) -> tuple[int, int]:
    """Bytes that come out, up to a block more than ``wanted``, and voxels among them that are no numbers."""
    total = no_numbers = 0
    rest = b""
    try:
        with open(header.data_file, "rb") as file:
            if header.compression not in ("gzip-all", "raw"):
                file.seek(header.offset)
            stream = file if header.compression == "raw" else _decompressed(file, header.compression)
            while total <= wanted and (block := stream.read(1 << 20)):
                if header.hidden_type is not None:
                    voxels = rest + block[max(0, header.offset - total) : max(0, wanted - total)]
                    whole = len(voxels) // header.hidden_type.itemsize * header.hidden_type.itemsize
                    found = np.frombuffer(voxels[:whole], header.hidden_type)
                    no_numbers += int(found.size - np.count_nonzero(np.isfinite(found)))
                    rest = voxels[whole:]
                total += len(block)
    except EOFError:
        raise BadInput(
            f"{path}: its compressed data end after {total:,} of {wanted:,} bytes; it is cut short.",
            "Copy or export it again.",
        ) from None
    except (zlib.error, OSError) as error:  # gzip.BadGzipFile is an OSError
        if total < wanted:
            raise BadInput(
                f"{path}: its compressed data are damaged after {total:,} of {wanted:,} bytes.",
                "Copy or export it again.",
            ) from error
    return total, no_numbers


def _decompressed(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "bzip2":
        return cast(IO[bytes], bz2.open(file, "rb"))
    start = file.tell()
    magic = file.read(2)
    file.seek(start)
    if magic == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(file, "rb"))
    return cast(IO[bytes], _ZlibStream(file))


class _ZlibStream:
    """Reads a bare zlib stream block by block; raises EOFError where it ends too early."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(1 << 16)
            if not data:
                raise EOFError
            block = self._inflate.decompress(data, size)
            if block:
                return block
        return b""


def beside(path: Path, name: str) -> Path:
    """The data file that a detached header names, only where it truly lies in the header's own folder.

    Refused before anything is opened: else a header that came by mail could make LMIAL show any file of the reader's.
    Raises BadInput for lists and patterns of files, for names that lead elsewhere (``..``, absolute, symbolic link) and
    for a file that is missing.
    """
    name = name.strip()
    first = name.split(maxsplit=1)[0] if name else ""
    if not name or first.upper() == "LIST" or "%" in name:
        raise BadInput(
            f"{path}: its header names a list or pattern of data files ({name or 'empty'!r});"
            " LMIAL reads one data file beside its header.",
            "Save the volume as one file.",
        )
    folder = path.parent.resolve()
    try:
        target = (folder / name).resolve()
        inside = target.is_relative_to(folder) and not Path(name).is_absolute() and ".." not in Path(name).parts
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside or "\\" in name or ":" in name:
        raise BadInput(
            f"{path}: its header points to a data file outside its own folder ({name!r}), which LMIAL refuses to read.",
            "Put header and data into one folder, or save the volume as one file.",
        )
    if not target.is_file():
        raise BadInput(f"{path}: its data file {name!r} is missing from its folder.")
    return target
