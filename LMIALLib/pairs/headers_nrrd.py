"""The header of NRRD files (.nrrd, .nhdr): https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers import Header, beside

_MAX_HEADER = 1 << 20
_ONE = "signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t"
_TWO = "short|short int|signed short|signed short int|int16|int16_t"
_TWO_UNSIGNED = "ushort|unsigned short|unsigned short int|uint16|uint16_t"
_FOUR = "int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float"
_EIGHT = "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t"
_EIGHT_UNSIGNED = "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|double"
_BYTES = {
    1: _ONE.split("|"),
    2: f"{_TWO}|{_TWO_UNSIGNED}".split("|"),
    4: _FOUR.split("|"),
    8: f"{_EIGHT}|{_EIGHT_UNSIGNED}".split("|"),
}
_COMPRESSION = {"raw": "raw", "gz": "zlib", "gzip": "zlib", "bz2": "bzip2", "bzip2": "bzip2"}
_SCALAR_KINDS = {"domain", "space", "time", "???", "none"}


def read_nrrd_header(path: Path) -> Header:
    """What a NRRD, attached or detached, promises. BadInput where it is none or its data file lies elsewhere."""
    lines, end = _header_lines(path)
    fields = _fields(path, lines)
    data_file = path
    if "datafile" in fields:
        data_file, end = beside(path, fields["datafile"]), 0
    size = _integers(path, fields, "sizes")
    if len(size) != _integers(path, fields, "dimension")[0]:
        raise BadInput(f"{path}: its NRRD header gives {len(size)} sizes for dimension {fields['dimension']}.")
    encoding = fields.get("encoding", "").lower()
    if encoding not in _COMPRESSION:
        raise BadInput(f"{path}: its NRRD encoding is {encoding or 'missing'!r}; LMIAL reads raw, gzip and bzip2.")
    # Components lie along an axis of their own: which one it is, its kind says, or that it has no place in space.
    axes = _space_directions(path, fields, len(size))
    kinds = fields.get("kinds", "").lower().split()
    vector = [
        index
        for index in range(len(size))
        if (index < len(kinds) and kinds[index] not in _SCALAR_KINDS) or (axes is not None and axes[index] is None)
    ]
    components = int(np.prod([size[index] for index in vector], dtype=object)) if vector else 1
    spatial = [index for index in range(len(size)) if index not in vector]
    spacing, matrix = _geometry(path, fields, axes, spatial)
    return Header(
        size=tuple(size[index] for index in spatial) or size,
        spacing=spacing,
        voxel_bytes=_voxel_bytes(path, fields) * max(1, components),
        components=components,
        data_file=data_file,
        offset=_offset(path, fields, data_file, end),
        compression=_COMPRESSION[encoding],
        axes=matrix,
        kind="NRRD",
    )


def _header_lines(path: Path) -> tuple[list[str], int]:
    with open(path, "rb") as file:
        raw = file.read(_MAX_HEADER)
    if not re.match(rb"NRRD000[1-5]\r?\n", raw):
        raise BadInput(f"{path}: its content is not NRRD although its name says so; it may be another file renamed.")
    # A header ends at the first empty line; a detached one may end with the file.
    found = re.search(rb"\n\r?\n", raw)
    if found is None and len(raw) == _MAX_HEADER:
        raise BadInput(f"{path}: its NRRD header does not end within a megabyte.")
    end = found.end() if found else len(raw)
    return raw[:end].decode("utf-8", errors="replace").splitlines()[1:], end


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    """Field names in lower case without blanks. What this reader does not understand, ITK shall not read either."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line or line.startswith("#") or re.match(r"[^:]*:=", line):
            continue
        name, colon, value = line.partition(":")
        key = re.sub(r"\s", "", name).lower()
        if not colon or not key or key in fields:
            raise BadInput(f"{path}: its NRRD header has a line that LMIAL does not understand ({line[:60]!r}).")
        fields[key] = value.strip()
    return fields


def _integers(path: Path, fields: dict[str, str], name: str) -> tuple[int, ...]:
    try:
        values = tuple(int(word) for word in fields[name].split())
    except (KeyError, ValueError):
        values = ()
    if not values:
        raise BadInput(f"{path}: its NRRD header has no usable field {name!r}.")
    return values


def _voxel_bytes(path: Path, fields: dict[str, str]) -> int:
    wanted = fields.get("type", "").lower()
    for size, names in _BYTES.items():
        if wanted in names:
            return size
    raise BadInput(f"{path}: its NRRD voxel type is {wanted or 'missing'!r}; LMIAL reads integers and floats.")


def _offset(path: Path, fields: dict[str, str], data_file: Path, end: int) -> int:
    if fields.get("lineskip", "0") != "0" or fields.get("byteskip", "0") not in ("0", "-1"):
        raise BadInput(f"{path}: its NRRD header skips parts of its data file; LMIAL reads plain data only.")
    return end if data_file == path else 0


def _space_directions(path: Path, fields: dict[str, str], dimension: int) -> list[np.ndarray | None] | None:
    if "spacedirections" not in fields:
        return None
    words = re.findall(r"none|\([^)]*\)", fields["spacedirections"], flags=re.IGNORECASE)
    try:
        found = [
            None if word.lower() == "none" else np.array([float(v) for v in word[1:-1].split(",")]) for word in words
        ]
    except ValueError:
        found = []
    if len(found) != dimension:
        raise BadInput(f"{path}: its NRRD header gives space directions that LMIAL does not understand.")
    return found


def _geometry(
    path: Path, fields: dict[str, str], axes: list[np.ndarray | None] | None, spatial: list[int]
) -> tuple[tuple[float, ...], np.ndarray | None]:
    if axes is None:
        try:
            spacings = [float(word) for word in fields.get("spacings", "").split()]
        except ValueError:
            spacings = []
        if not spacings:
            raise BadInput(
                f"{path}: its NRRD header gives no voxel spacing (neither 'space directions' nor 'spacings')."
            )
        return tuple(spacings[index] for index in spatial if index < len(spacings)), None
    columns = [axes[index] for index in spatial]
    lengths = tuple(float(np.linalg.norm(column)) for column in columns if column is not None)
    if len(columns) != 3 or any(column is None or column.shape != (3,) for column in columns):
        return lengths, None
    return lengths, np.stack([column for column in columns if column is not None], axis=1)
