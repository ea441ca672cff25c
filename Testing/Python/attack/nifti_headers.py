"""NIfTI-1 and NIfTI-2 files, packed field by field from a table, so that each field can be spoiled."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from mutations import several, some_number, some_text, spoiled_bytes

NIFTI1 = (
    *(("sizeof_hdr", "i"), ("data_type", "10s"), ("db_name", "18s"), ("extents", "i"), ("session_error", "h")),
    *(("regular", "c"), ("dim_info", "B"), ("dim", "8h"), ("intent_p", "3f"), ("intent_code", "h"), ("datatype", "h")),
    *(("bitpix", "h"), ("slice_start", "h"), ("pixdim", "8f"), ("vox_offset", "f"), ("scl_slope", "f")),
    *(("scl_inter", "f"), ("slice_end", "h"), ("slice_code", "B"), ("xyzt_units", "B"), ("cal", "2f")),
    *(("slice_duration", "f"), ("toffset", "f"), ("glmax", "i"), ("glmin", "i"), ("descrip", "80s")),
    *(("aux_file", "24s"), ("qform_code", "h"), ("sform_code", "h"), ("quatern", "3f"), ("qoffset", "3f")),
    *(("srow", "12f"), ("intent_name", "16s"), ("magic", "4s")),
)
NIFTI2 = (
    *(("sizeof_hdr", "i"), ("magic", "8s"), ("datatype", "h"), ("bitpix", "h"), ("dim", "8q"), ("intent_p", "3d")),
    *(("pixdim", "8d"), ("vox_offset", "q"), ("scl_slope", "d"), ("scl_inter", "d"), ("cal", "2d")),
    *(("slice_duration", "d"), ("toffset", "d"), ("slice_start", "q"), ("slice_end", "q"), ("descrip", "80s")),
    *(("aux_file", "24s"), ("qform_code", "i"), ("sform_code", "i"), ("quatern", "3d"), ("qoffset", "3d")),
    *(("srow", "12d"), ("slice_code", "i"), ("xyzt_units", "i"), ("intent_code", "i"), ("intent_name", "16s")),
    *(("dim_info", "B"), ("unused", "15s")),
)
TYPES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64}
ALL_TYPES = (*TYPES.values(), 0, 1, 32, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 255, 5000, -1)


@dataclass
class NiftiVolume:
    """A file in parts: fields by name, voxels (k, j, i), and how both are written."""

    fields: dict[str, list[float] | bytes]
    array: np.ndarray
    second: bool = False
    order: str = "<"
    packed: bool = True
    extension: bytes = b"\0\0\0\0"
    cut: float = 1.0
    bomb: int = 0
    flipped: bool = False


def nifti_of(array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> NiftiVolume:
    """A NIfTI file as converters write it; ``origin`` in LPS."""
    x, y, z = -origin[0], -origin[1], origin[2]
    a, b, c = spacing
    fields: dict[str, list[float] | bytes] = {
        "dim": [3, *array.shape[::-1], 1, 1, 1, 1],
        "datatype": [TYPES[array.dtype.name]],
        "bitpix": [array.dtype.itemsize * 8],
        "pixdim": [1, a, b, c, 1, 1, 1, 1],
        "scl_slope": [1],
        "xyzt_units": [2],
        "qform_code": [1],
        "sform_code": [1],
        "quatern": [0, 0, 1],
        "qoffset": [x, y, z],
        "srow": [-a, 0, 0, x, 0, -b, 0, y, 0, 0, c, z],
    }
    return NiftiVolume(fields, array)


def spoil(random: Random, volume: NiftiVolume) -> None:
    """Change how a valid file is written, and then, four times in five, spoil one to three parts of it."""
    if random.random() < 0.8:
        several(random, volume, LEGAL)
    if random.random() < 0.8:
        several(random, volume, BAD)


def write(random: Random, volume: NiftiVolume, folder: Path, stem: str) -> Path:
    """Write the file and return it."""
    table = NIFTI2 if volume.second else NIFTI1
    start = 544 if volume.second else 352
    fields = {
        "sizeof_hdr": [540 if volume.second else 348],
        "vox_offset": [start if len(volume.extension) == 4 else start + len(volume.extension) - 4],
        "magic": b"n+2\0\r\n\x1a\n" if volume.second else b"n+1\0",
        **volume.fields,
    }
    header = b"".join(_field(volume.order, form, fields.get(name, b"")) for name, form in table)
    if volume.flipped:
        header = spoiled_bytes(random, header)
    voxels = volume.array.astype(volume.array.dtype.newbyteorder(volume.order)).tobytes() + bytes(volume.bomb)
    whole = header + volume.extension + voxels
    data = gzip.compress(whole, 1) if volume.packed else whole
    path = folder / f"{stem}{'.nii.gz' if volume.packed else '.nii'}"
    path.write_bytes(data[: int(len(data) * volume.cut)])
    return path


def _field(order: str, form: str, value: list[float] | bytes) -> bytes:
    """One field; numbers that do not fit wrap around as they would in C."""
    if form[-1] in "sc":
        return struct.pack(order + form, value if isinstance(value, bytes) and (value or form != "c") else b"\0")
    count, kind = int(form[:-1] or 1), form[-1]
    numbers = (list(value) if not isinstance(value, bytes) else [])[:count]
    numbers += [0] * (count - len(numbers))
    size = struct.calcsize(order + kind)
    found = b""
    for number in numbers:
        if kind in "fd":
            try:
                found += struct.pack(order + kind, float(number))
            except OverflowError:
                found += struct.pack(order + kind, float("inf"))
        else:
            whole = number if isinstance(number, int) else int(number) if np.isfinite(number) else 0
            found += struct.pack(order + kind.upper(), whole % 256**size)
    return found


def _legal_second(random: Random, volume: NiftiVolume) -> None:
    volume.second = True


def _legal_order(random: Random, volume: NiftiVolume) -> None:
    volume.order = ">"


def _legal_plain(random: Random, volume: NiftiVolume) -> None:
    volume.packed = False


def _legal_type(random: Random, volume: NiftiVolume) -> None:
    name = random.choice(sorted(TYPES))
    volume.array = volume.array.astype(name)
    volume.fields["datatype"], volume.fields["bitpix"] = [TYPES[name]], [volume.array.dtype.itemsize * 8]


def _legal_extension(random: Random, volume: NiftiVolume) -> None:
    volume.extension = b"\1\0\0\0" + struct.pack("<ii", 32, 6) + b"a comment".ljust(24, b"\0")


def _legal_form(random: Random, volume: NiftiVolume) -> None:
    volume.fields[random.choice(("qform_code", "sform_code"))] = [random.choice((0, 2, 4))]


def _legal_words(random: Random, volume: NiftiVolume) -> None:
    volume.fields[random.choice(("descrip", "aux_file", "intent_name"))] = b"a head"


def _bad_number(random: Random, volume: NiftiVolume) -> None:
    numbers = [name for name, form in (NIFTI2 if volume.second else NIFTI1) if form[-1] not in "sc"]
    name = random.choice(numbers if random.random() < 0.5 else sorted(volume.fields))
    before = volume.fields.get(name, [0])
    found = list(before) if not isinstance(before, bytes) else [0]
    found[random.randrange(len(found))] = some_number(random)
    volume.fields[name] = found


def _bad_words(random: Random, volume: NiftiVolume) -> None:
    words = [name for name, form in (NIFTI2 if volume.second else NIFTI1) if form[-1] in "s"]
    volume.fields[random.choice(words)] = some_text(random).encode("utf-8", "surrogatepass")


def _bad_dim(random: Random, volume: NiftiVolume) -> None:
    size = list(volume.array.shape[::-1])
    volume.fields["dim"] = random.choice(
        (
            [2, *size, 1, 1, 1, 1],
            [4, *size, 1, 1, 1, 1],
            [4, *size, 2, 1, 1, 1],
            [5, *size, 1, 3, 1, 1],
            [7, *size, 1, 1, 1, 1],
            [0, *size, 1, 1, 1, 1],
            [8, *size, 1, 1, 1, 1],
            [3, 32767, 32767, 32767, 1, 1, 1, 1],
            [3, size[0], size[1], size[2] * 2, 1, 1, 1, 1],
            [3, size[0], size[1], -size[2], 1, 1, 1, 1],
            [5, *size, -1, 1, 1, 1],
            [7, *size, 32767, 32767, 32767, 32767],
            [5, *size, 0, 0, 0, 0],
        )
    )


def _bad_type(random: Random, volume: NiftiVolume) -> None:
    volume.fields["datatype"] = [random.choice(ALL_TYPES)]
    if random.random() < 0.5:
        volume.fields["bitpix"] = [random.choice((0, 1, 8, 16, 32, 64, 128, 24, -8, 32767))]


def _bad_geometry(random: Random, volume: NiftiVolume) -> None:
    name = random.choice(("pixdim", "quatern", "qoffset", "srow"))
    found = list(volume.fields[name])
    kind = random.randrange(3)
    for index in range(len(found)) if kind == 0 else [random.randrange(len(found))]:
        found[index] = some_number(random) if kind == 1 else random.choice((0.0, 1.0, -1.0, 0.5, 1e-6, 1e6, 1e38))
    volume.fields[name] = found


def _bad_cut(random: Random, volume: NiftiVolume) -> None:
    volume.cut = random.random()


def _bad_bytes(random: Random, volume: NiftiVolume) -> None:
    volume.flipped = True


def _bad_extension(random: Random, volume: NiftiVolume) -> None:
    size = random.choice((0, -1, 7, 16, 2**31 - 1, 1 << 20))
    volume.extension = b"\1\0\0\0" + struct.pack("<ii", size, random.choice((4, 6, -1))) + b"x" * 24
    if random.random() < 0.5:
        volume.fields["vox_offset"] = [random.choice((0, 1, 348, 352, 353, 10**6, -352, 4e9, float("nan")))]


def _bad_bomb(random: Random, volume: NiftiVolume) -> None:
    volume.bomb, volume.packed = random.choice((10**6, 2 * 10**7)), True
    if random.random() < 0.5:
        side = round((volume.bomb // 2) ** (1 / 3))
        volume.fields["dim"] = [3, side, side, side, 1, 1, 1, 1]


def _bad_voxels(random: Random, volume: NiftiVolume) -> None:
    volume.array = volume.array.astype(np.float32)
    volume.fields["datatype"], volume.fields["bitpix"] = [16], [32]
    volume.array[0, 0, random.randrange(4)] = random.choice((np.nan, np.inf, 3e38, 1e-45))


LEGAL = (_legal_second, _legal_order, _legal_plain, _legal_type, _legal_extension, _legal_form, _legal_words)
BAD = (
    *(_bad_number, _bad_number, _bad_words, _bad_dim, _bad_type, _bad_geometry, _bad_geometry, _bad_cut, _bad_bytes),
    *(_bad_extension, _bad_bomb, _bad_voxels),
)
