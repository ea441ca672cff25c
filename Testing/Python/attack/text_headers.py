"""Volumes whose header is text: NRRD and MetaImage, taken apart into fields, spoiled, and written again."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from mutations import spoiled_bytes

NRRD_TYPES = {"uint8": "uint8", "int16": "short", "float32": "float", "float64": "double", "int32": "int"}
METAIMAGE_TYPES = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT", "float64": "MET_DOUBLE"}


@dataclass
class TextVolume:
    """A file in parts.

    Args:
        nrrd: NRRD, else MetaImage.
        fields: name and value, in the order of the file; `separator` stands between them.
        array: voxels (k, j, i).
        packed: how they are written: raw, gzip, bzip2 or zlib.
        beside: whether they lie in a file of their own.
        data_name: what the header calls that file; None: what it is.
    """

    nrrd: bool
    fields: list[list[str]]
    array: np.ndarray
    packed: str = "raw"
    beside: bool = False
    data_name: str | None = None
    separators: dict[str, str] = field(default_factory=dict)
    bomb: int = 0
    tail: list[Callable[[bytes], bytes]] = field(default_factory=list)
    must_refuse: bool = False

    def set(self, name: str, value: str) -> None:
        """Give a field another value, or add it."""
        for one in self.fields:
            if one[0] == name:
                one[1] = value
                return
        self.fields.append([name, value])


def nrrd_of(array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> TextVolume:
    """A NRRD as LMIAL and 3D Slicer write it."""
    directions = " ".join(
        "(" + ",".join(str(s if a == b else 0) for b in range(3)) + ")" for a, s in enumerate(spacing)
    )
    fields = [
        ["type", NRRD_TYPES[array.dtype.name]],
        ["dimension", "3"],
        ["space", "left-posterior-superior"],
        ["sizes", " ".join(map(str, array.shape[::-1]))],
        ["space directions", directions],
        ["kinds", "domain domain domain"],
        ["endian", "little"],
        ["encoding", "raw"],
        ["space origin", "(" + ",".join(map(str, origin)) + ")"],
    ]
    return TextVolume(True, fields, array)


def metaimage_of(array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> TextVolume:
    """A MetaImage as ITK writes it."""
    fields = [
        ["ObjectType", "Image"],
        ["NDims", "3"],
        ["BinaryData", "True"],
        ["BinaryDataByteOrderMSB", "False"],
        ["CompressedData", "False"],
        ["TransformMatrix", "1 0 0 0 1 0 0 0 1"],
        ["Offset", " ".join(map(str, origin))],
        ["ElementSpacing", " ".join(map(str, spacing))],
        ["DimSize", " ".join(map(str, array.shape[::-1]))],
        ["ElementType", METAIMAGE_TYPES[array.dtype.name]],
    ]
    return TextVolume(False, fields, array)


def write(random: Random, volume: TextVolume, folder: Path, stem: str) -> Path:
    """Write the file, or header and data file; returns the one to read."""
    data = _packed(volume)
    for change in volume.tail:
        data = change(data)
    attached, detached = (".nrrd", ".nhdr") if volume.nrrd else (".mha", ".mhd")
    path = folder / f"{stem}{detached if volume.beside else attached}"
    name = volume.data_name if volume.data_name is not None else f"{stem}.raw" if volume.beside else "LOCAL"
    fields = [list(one) for one in volume.fields]
    if volume.beside and volume.nrrd:
        fields.append(["data file", name])
    elif not volume.nrrd:
        fields.append(["ElementDataFile", name])
    between = ": " if volume.nrrd else " = "
    lines = [f"{name}{volume.separators.get(name, between)}{value}" for name, value in fields]
    start = ["NRRD0004"] if volume.nrrd else []
    end = "\n\n" if volume.nrrd else "\n"
    header = ("\n".join([*start, *lines]) + end).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        header = spoiled_bytes(random, header)
    path.write_bytes(header if volume.beside else header + data)
    if volume.beside:
        (folder / f"{stem}.raw").write_bytes(data)
    return path


def _packed(volume: TextVolume) -> bytes:
    data = np.ascontiguousarray(volume.array).tobytes()
    if volume.bomb:
        data += bytes(volume.bomb)
    if volume.packed == "gzip":
        return gzip.compress(data, 1)
    if volume.packed == "bzip2":
        return bz2.compress(data, 1)
    return zlib.compress(data, 1) if volume.packed == "zlib" else data
