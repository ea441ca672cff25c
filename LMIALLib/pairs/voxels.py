"""Voxels of NIfTI, NRRD and MetaImage files read without ITK, whose readers a hostile header can crash.

The header was checked (``headers.check_header``), and the voxels come from the one file that was checked with it.
"""

from __future__ import annotations

import zlib
from io import RawIOBase
from pathlib import Path
from typing import IO, cast

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.compressed import decompressed
from LMIALLib.pairs.headers import Header, damaged, too_short

_BLOCK = 1 << 20


def read_voxels(path: Path, header: Header) -> np.ndarray:
    """Read what a header promises as an array with axes in reverse order: (k, j, i), in the machine's byte order.

    Axes of length one behind the third are dropped; grey values are scaled as the header says. Raises BadInput with one
    sentence that names ``path`` where the data end early or are damaged, or where the memory does not suffice.
    """
    try:
        flat = np.empty(header.data_bytes // header.voxel.itemsize, header.voxel)
    except MemoryError as error:
        raise BadInput(
            f"{path}: its {header.data_bytes / 1e9:,.1f} GB of voxels do not fit into the memory that is free."
        ) from error
    with open(header.data_file, "rb", buffering=0 if header.compression == "raw" else -1) as file:
        _fill(path, header, file, flat.data.cast("B"))
    if not flat.dtype.isnative:
        flat = flat.byteswap(inplace=True).view(flat.dtype.newbyteorder("="))
    voxels = flat.reshape(header.size[:3][::-1])
    return voxels if header.scaling is None else _scaled(voxels, *header.scaling)


def _scaled(voxels: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Grey values as float32, or float64 where stored numbers have more digits than float32; plane by plane."""
    scaled = np.empty(voxels.shape, np.float32 if voxels.dtype.itemsize <= 2 or voxels.dtype == np.float32 else float)
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is refused by the reader
        for plane, stored in zip(scaled, voxels, strict=True):
            plane[...] = stored.astype(float) * slope + intercept
    return scaled


def _fill(path: Path, header: Header, file: IO[bytes], place: memoryview) -> None:
    """Read bytes into ``place`` until it is full."""
    total, wanted = 0, len(place)
    try:
        whole_file = header.compression == "gzip-all"
        file.seek(-wanted, 2) if header.offset < 0 else file.seek(0 if whole_file else header.offset)
        if header.compression == "raw":
            while total < wanted and (read := cast(RawIOBase, file).readinto(place[total:])):
                total += read
        else:
            stream = decompressed(file, "zlib" if whole_file else header.compression)
            _pass_over(stream, header.offset if whole_file else 0)
            while total < wanted and (block := stream.read(min(_BLOCK, wanted - total))):
                place[total : total + len(block)] = block
                total += len(block)
            # The checksum stands behind the last byte, and damage may have made more bytes than there were.
            for _ in range(16 if total == wanted else 0):
                if not stream.read(_BLOCK):
                    break
    except (EOFError, zlib.error, OSError) as error:
        raise damaged(path, error, total, wanted) from error
    if total < wanted:
        raise too_short(path, header, wanted, total)


def _pass_over(stream: IO[bytes], count: int) -> None:
    """Read and forget bytes. Raises EOFError where there are fewer."""
    while count > 0:
        block = stream.read(min(_BLOCK, count))
        if not block:
            raise EOFError
        count -= len(block)
