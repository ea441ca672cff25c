"""Voxels of NRRD and MetaImage files read without ITK, whose readers a hostile header can crash.

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

    Axes of length one behind the third are dropped. Raises BadInput with one sentence that names ``path`` where the
    data end early or are damaged, or where the memory does not suffice.
    """
    if header.voxel is None:
        raise ValueError(f"the voxels of a {header.kind} file are read by ITK")
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
    return flat.reshape(header.size[:3][::-1])


def _fill(path: Path, header: Header, file: IO[bytes], place: memoryview) -> None:
    """Read bytes into ``place`` until it is full."""
    total, wanted = 0, len(place)
    try:
        file.seek(header.offset) if header.offset >= 0 else file.seek(-wanted, 2)
        if header.compression == "raw":
            while total < wanted and (read := cast(RawIOBase, file).readinto(place[total:])):
                total += read
        else:
            stream = decompressed(file, header.compression)
            while total < wanted and (block := stream.read(min(_BLOCK, wanted - total))):
                place[total : total + len(block)] = block
                total += len(block)
            if total == wanted:
                stream.read(1)  # the checksum stands behind the last byte
    except (EOFError, zlib.error, OSError) as error:
        raise damaged(path, error, total, wanted) from error
    if total < wanted:
        raise too_short(path, header, wanted, total)
