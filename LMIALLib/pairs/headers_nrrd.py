"""The header of NRRD files (.nrrd, .nhdr): https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.detached_data import beside
from LMIALLib.pairs.headers import Header, straightened
from LMIALLib.pairs.headers_text import (
    DECIMAL,
    DECIMALS,
    LONG_TEXT,
    LONGEST_ENTRY,
    LONGEST_HEADER,
    LONGEST_NAME,
    MOST_LINES,
    NAMES,
    TEXT,
    VECTORS,
    WHOLE,
    WHOLES,
    WORD,
    WORDS,
    Form,
    checked_field,
    decimal,
    decimals,
    shown,
    wholes,
)

_FIELDS: dict[str, Form] = {
    "dimension": WHOLE,
    "type": WORDS,
    "sizes": WHOLES,
    "encoding": WORD,
    "endian": WORD,
    "datafile": TEXT,
    "lineskip": WHOLE,
    "byteskip": WHOLE,
    "number": WHOLE,
    "content": LONG_TEXT,
    "min": DECIMAL,
    "max": DECIMAL,
    "oldmin": DECIMAL,
    "oldmax": DECIMAL,
    "sampleunits": TEXT,
    "spacings": DECIMALS,
    "thicknesses": DECIMALS,
    "axismins": DECIMALS,
    "axismaxs": DECIMALS,
    "centers": WORDS,
    "centerings": WORDS,
    "kinds": WORDS,
    "labels": NAMES,
    "units": NAMES,
    "space": WORD,
    "spacedimension": WHOLE,
    "spaceunits": NAMES,
    "spaceorigin": VECTORS,
    "spacedirections": VECTORS,
    "measurementframe": VECTORS,
}
"""Every field of the format but "block size" (LMIAL reads no blocks), in small letters without blanks."""
_PER_AXIS = ("sizes", "spacings", "thicknesses", "axismins", "axismaxs", "centers", "centerings", "kinds")
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE = {name: code for code, names in _TYPES.items() for name in names.split("|")}
_COMPRESSION = {"raw": "raw", "gz": "zlib", "gzip": "zlib", "bz2": "bzip2", "bzip2": "bzip2"}
_ORDER = {"little": "<", "big": ">"}
_SCALAR_KINDS = {"domain", "space", "time", "???", "none"}
_MOST_AXES = 16
_RAS, _LAS, _LPS, _OTHER = (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)
_SPACES = {
    "right-anterior-superior": _RAS,
    "left-anterior-superior": _LAS,
    "left-posterior-superior": _LPS,
    "scanner-xyz": _OTHER,
    "3d-right-handed": _OTHER,
    "3d-left-handed": _OTHER,
}
"""Signs that turn a space's axes into LPS. Of the last three nobody knows how the patient lay; nothing is turned."""
_SPACES |= {f"{name}-time": signs for name, signs in _SPACES.items()}
_SPACES |= {"ras": _RAS, "las": _LAS, "lps": _LPS, "rast": _RAS, "last": _LAS, "lpst": _LPS}


def read_nrrd_header(path: Path) -> Header:
    """What a NRRD, attached or detached, promises. BadInput where it is none or its data file lies elsewhere."""
    lines, end = _header_lines(path)
    fields = _fields(path, lines)
    data_file = path
    if "datafile" in fields:
        data_file, end = beside(path, fields["datafile"]), 0
    size = _sizes(path, fields)
    encoding = fields.get("encoding", "").lower()
    if encoding not in _COMPRESSION:
        raise BadInput(f"{path}: its NRRD encoding is {encoding or 'missing'!r}; LMIAL reads raw, gzip and bzip2.")
    # Components lie along an axis of their own: which one it is, its kind says, or that it has no place in space. One
    # of length 1, as a list of one volume has it, makes no vector of a scan.
    axes = _space_directions(path, fields, len(size))
    kinds, steps = fields.get("kinds", "").lower().split(), decimals(fields, "spacings")
    vector = [
        index
        for index in range(len(size))
        if (kinds and kinds[index] not in _SCALAR_KINDS)
        or (axes is not None and axes[index] is None)
        or (steps and math.isnan(steps[index]) and (len(size) > 3 or size[index] == 1))
    ]
    components = math.prod(size[index] for index in vector)
    spatial = [index for index in range(len(size)) if index not in vector]
    spacing, matrix, origin = _geometry(path, fields, axes, spatial)
    voxel = _voxel(path, fields)
    header = Header(
        size=tuple(size[index] for index in spatial) or size,
        spacing=spacing,
        voxel_bytes=voxel.itemsize * max(1, components),
        components=components,
        data_file=data_file,
        offset=_offset(path, fields, end),
        compression=_COMPRESSION[encoding],
        axes=matrix,
        kind="NRRD",
        voxel=voxel,
        origin=origin,
    )
    return straightened(path, header)


def _header_lines(path: Path) -> tuple[list[str], int]:
    with open(path, "rb") as file:
        raw = file.read(LONGEST_HEADER)
    if not re.match(rb"NRRD000[1-5]\r?\n", raw):
        raise BadInput(f"{path}: its content is not NRRD although its name says so; it may be another file renamed.")
    # A header ends at the first empty line; a detached one may end with the file.
    found = re.search(rb"\n\r?\n", raw)
    if found is None and len(raw) == LONGEST_HEADER:
        raise BadInput(f"{path}: its NRRD header does not end within a megabyte.")
    end = found.end() if found else len(raw)
    lines = raw[:end].split(b"\n")
    if len(lines) > MOST_LINES:
        raise BadInput(f"{path}: its NRRD header has {len(lines):,} lines; LMIAL takes up to {MOST_LINES:,}.")
    longest = max(len(line) for line in lines)
    if longest > LONGEST_ENTRY:
        raise BadInput(f"{path}: its NRRD header has a line of {longest:,} bytes; LMIAL takes up to {LONGEST_ENTRY:,}.")
    return [line.decode("utf-8", errors="replace").rstrip("\r") for line in lines[1:]], end


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    """Checked fields; names in small letters without blanks. Comments and ``key:=value`` are not used."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line or line.startswith("#") or _is_further_entry(line):
            continue
        name, colon, value = line.partition(":")
        key = re.sub(r"\s", "", name).lower()
        if not colon or not key or key in fields:
            raise BadInput(f"{path}: its NRRD header has a line that LMIAL does not understand ({shown(line)}).")
        if key not in _FIELDS:
            raise BadInput(f"{path}: its NRRD header has the field {shown(name)}, which the format does not know.")
        fields[key] = checked_field(path, "NRRD", name, value.strip(), _FIELDS[key])
    return fields


def _is_further_entry(line: str) -> bool:
    """Whether a line is a ``key:=value``, of which 3D Slicer writes many; a field's colon has a blank behind it."""
    mark, colon = line.find(":="), line.find(": ")
    return 0 < mark <= LONGEST_NAME and not 0 <= colon < mark


def _sizes(path: Path, fields: dict[str, str]) -> tuple[int, ...]:
    """Length of each axis, after checking that every field has one entry for each axis."""
    for name in ("sizes", "dimension"):
        if name not in fields:
            raise BadInput(f"{path}: its NRRD header has no usable field {name!r}.")
    size, dimension = wholes(fields, "sizes"), int(fields["dimension"])
    if len(size) != dimension or dimension > _MOST_AXES:
        raise BadInput(f"{path}: its NRRD header gives {len(size)} sizes for dimension {dimension}.")
    for name in _PER_AXIS:
        if name in fields and len(fields[name].split()) != dimension:
            raise BadInput(f"{path}: its NRRD header gives other than one entry for each of {dimension} axes ({name}).")
    return size


def _voxel(path: Path, fields: dict[str, str]) -> np.dtype[Any]:
    wanted = " ".join(fields.get("type", "").lower().split())
    if wanted not in _TYPE:
        raise BadInput(f"{path}: its NRRD voxel type is {wanted or 'missing'!r}; LMIAL reads integers and floats.")
    order = fields.get("endian", "").lower()
    if order not in _ORDER and (order or not _TYPE[wanted].endswith("1")):
        raise BadInput(f"{path}: its NRRD byte order (endian) is {order or 'missing'!r}; expected little or big.")
    return np.dtype(_ORDER.get(order, "") + _TYPE[wanted])


def _offset(path: Path, fields: dict[str, str], end: int) -> int:
    """Byte of the first voxel; -1 where the voxels end with the file."""
    skip = int(fields.get("byteskip", "0"))
    if int(fields.get("lineskip", "0")) or skip not in (0, -1):
        raise BadInput(f"{path}: its NRRD header skips parts of its data file; LMIAL reads plain data only.")
    return end if skip == 0 or fields["encoding"].lower() != "raw" else -1


def _vectors(text: str) -> list[tuple[float, ...] | None]:
    """The vectors of a field that was checked; None for "none" and for one of NaN alone, which means the same."""
    words = re.findall(r"none|\([^)]*\)", text, flags=re.IGNORECASE)
    vectors = [() if word.lower() == "none" else tuple(decimal(v) for v in word[1:-1].split(",")) for word in words]
    return [None if all(map(math.isnan, vector)) else vector for vector in vectors]


def _space_directions(path: Path, fields: dict[str, str], dimension: int) -> list[tuple[float, ...] | None] | None:
    """The vector of each axis in the header's own space, None for an axis without one; None without any space."""
    if "space" in fields and fields["space"].lower() not in _SPACES:
        raise BadInput(f"{path}: its NRRD space is {shown(fields['space'])}, which the format does not know.")
    known = "space" in fields or "spacedimension" in fields
    if "spacedirections" not in fields and not known:
        return None
    found = _vectors(fields.get("spacedirections", ""))
    lengths = {len(vector) for vector in found if vector is not None}
    if len(found) != dimension or len(lengths) != 1 or "spacings" in fields or not known:
        raise BadInput(f"{path}: its NRRD header gives space directions that LMIAL does not understand.")
    return found


def _geometry(
    path: Path, fields: dict[str, str], axes: list[tuple[float, ...] | None] | None, spatial: list[int]
) -> tuple[tuple[float, ...], np.ndarray | None, tuple[float, ...]]:
    """Spacing, axes of length 1 as columns in LPS, and origin; of the axes that are no components."""
    if axes is None:
        return _plain_geometry(path, fields, spatial)
    vectors = [vector for index in spatial if (vector := axes[index]) is not None]
    if not vectors:
        return (), None, (0.0, 0.0, 0.0)
    # Written out as ITK does it, so that the same file keeps the same digest.
    lengths = tuple(_length(vector) for vector in vectors)
    if len(vectors) != len(vectors[0]):
        raise BadInput(f"{path}: its NRRD header has {len(vectors)} axes in a space of {len(vectors[0])} dimensions.")
    if len(vectors) < 3 or not all(0 < length < math.inf for length in lengths):
        return lengths, None, (0.0, 0.0, 0.0)
    signs = _SPACES[fields["space"].lower()] if "space" in fields else _OTHER
    columns = [
        [value * (1.0 / length) * sign for value, sign in zip(vector, signs, strict=False)]
        for vector, length in zip(vectors[:3], lengths, strict=False)
    ]
    origin = (0.0, 0.0, 0.0)
    if "spaceorigin" in fields:
        given = _vectors(fields["spaceorigin"])
        if len(given) != 1 or given[0] is None or len(given[0]) != len(vectors[0]):
            raise BadInput(f"{path}: its NRRD space origin is not one position of {len(vectors[0])} numbers.")
        x, y, z = (value * sign for value, sign in zip(given[0], signs, strict=False))
        origin = (x, y, z)
    return lengths, np.array(columns).T, origin


def _length(vector: tuple[float, ...]) -> float:
    """Length of a vector, added up in order: ``sum`` of Python 3.12 rounds otherwise than ITK and Python 3.11."""
    total = 0.0
    for value in vector:
        total += value * value
    return math.sqrt(total)


def _plain_geometry(
    path: Path, fields: dict[str, str], spatial: list[int]
) -> tuple[tuple[float, ...], np.ndarray, tuple[float, ...]]:
    """Geometry of a header without a space: spacings, and perhaps where each axis begins."""
    spacings, starts = decimals(fields, "spacings"), decimals(fields, "axismins")
    if not spacings:
        raise BadInput(f"{path}: its NRRD header gives no voxel spacing (neither 'space directions' nor 'spacings').")
    centres = fields.get("centers", fields.get("centerings", "")).lower().split()
    spacing = tuple(spacings[index] for index in spatial)
    origin = [0.0] * len(spatial)
    if starts and all(math.isfinite(starts[index]) for index in spatial):
        for place, index in enumerate(spatial):
            at_node = bool(centres) and centres[index] == "node"
            origin[place] = starts[index] + (0.0 if at_node else spacings[index] / 2)
    return spacing, np.eye(3), tuple(origin[:3])


def read_nrrd_entries(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Fields of a NRRD header (checked, names in small letters) and its further entries (``key:=value``) as text."""
    lines, _ = _header_lines(path)
    further = (line.partition(":=") for line in lines if not line.startswith("#") and _is_further_entry(line))
    return _fields(path, lines), {name.strip(): value.strip() for name, _, value in further}
