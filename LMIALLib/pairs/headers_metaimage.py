"""The header of MetaImage files (.mha, .mhd): https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers import Header, beside

_MAX_HEADER = 1 << 16
_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4}
_BYTES |= {"LONG": 8, "ULONG": 8, "LONG_LONG": 8, "ULONG_LONG": 8, "DOUBLE": 8}
_LAST = b"ElementDataFile"


def read_metaimage_header(path: Path) -> Header:
    """What a MetaImage promises. Raises BadInput where it is no MetaImage or its data file lies elsewhere."""
    fields, end = _fields(path)
    name = fields["ElementDataFile"]
    attached = name.upper() == "LOCAL"
    data_file = path if attached else beside(path, name)
    if fields.get("BinaryData", "True").lower() not in ("true", "1", "t"):
        raise BadInput(f"{path}: its voxels are written as text; LMIAL reads binary MetaImage files.")
    if fields.get("HeaderSize", "0") not in ("0", "-1"):
        raise BadInput(f"{path}: its header skips parts of its data file; LMIAL reads plain data only.")
    size = tuple(int(value) for value in _numbers(path, fields, "DimSize"))
    if len(size) != int(_numbers(path, fields, "NDims")[0]):
        raise BadInput(f"{path}: its MetaImage header gives {len(size)} sizes for NDims {fields['NDims']}.")
    channels = int(_numbers(path, fields, "ElementNumberOfChannels")[0]) if "ElementNumberOfChannels" in fields else 1
    type_name = fields.get("ElementType", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
    if type_name not in _BYTES:
        raise BadInput(f"{path}: its MetaImage voxel type is {type_name or 'missing'!r}; LMIAL reads numbers.")
    compressed = fields.get("CompressedData", "False").lower() in ("true", "1", "t")
    spacing_field = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    return Header(
        size=size,
        spacing=tuple(_numbers(path, fields, spacing_field)),
        voxel_bytes=_BYTES[type_name] * max(1, channels),
        components=channels,
        data_file=data_file,
        offset=end if attached else 0,
        compression="zlib" if compressed else "raw",
        axes=_axes(path, fields),
        kind="MetaImage",
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields and the byte after it. What this reader does not understand, ITK shall not read either."""
    with open(path, "rb") as file:
        raw = file.read(_MAX_HEADER)
    fields: dict[str, str] = {}
    position = 0
    while (newline := raw.find(b"\n", position)) >= 0 or position < len(raw):
        end = newline + 1 if newline >= 0 else len(raw)
        line = raw[position:end]
        match = re.fullmatch(rb"\s*([A-Za-z][A-Za-z0-9_ -]*?)\s*[=:]\s*([^\x00]*?)\s*", line)
        if match is None and line.strip():
            break
        position = end
        if match is None:
            continue
        if _LAST in line and match[1] != _LAST:
            break
        fields.setdefault(match[1].decode("ascii"), match[2].decode("utf-8", errors="replace"))
        if match[1] == _LAST:
            return fields, position
    if "NDims" not in fields and "ObjectType" not in fields:
        raise BadInput(
            f"{path}: its content is not MetaImage although its name says so; it may be another file renamed."
        )
    raise BadInput(f"{path}: its MetaImage header is damaged or does not name its data (ElementDataFile).")


def _numbers(path: Path, fields: dict[str, str], name: str) -> list[float]:
    try:
        values = [float(word) for word in fields[name].split()]
        if name in ("DimSize", "NDims", "ElementNumberOfChannels") and not all(v == int(v) for v in values):
            values = []
    except (KeyError, ValueError, OverflowError):
        values = []
    if not values:
        raise BadInput(f"{path}: its MetaImage header has no usable field {name}.")
    return values


def _axes(path: Path, fields: dict[str, str]) -> np.ndarray | None:
    for name in ("TransformMatrix", "Rotation", "Orientation"):
        if name in fields:
            values = _numbers(path, fields, name)
            if len(values) == 9:
                return np.array(values).reshape(3, 3).T  # written axis after axis, so a row here is a column there
    return None
