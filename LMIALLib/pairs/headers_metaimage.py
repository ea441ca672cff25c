"""The header of MetaImage files (.mha, .mhd): https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.detached_data import beside
from LMIALLib.pairs.headers import SHEAR_TOLERANCE, Header, straightened
from LMIALLib.pairs.headers_text import (
    DECIMAL,
    DECIMALS,
    LONGEST_ENTRY,
    LONGEST_HEADER,
    LONGEST_NAME,
    MOST_LINES,
    TEXT,
    WHOLE,
    WHOLES,
    WORD,
    Form,
    checked_field,
    decimals,
    shown,
    wholes,
)

_YES_NO = Form("True or False", "true|false|t|f|0|1", 10)
_FIELDS: dict[str, Form] = {
    "ObjectType": WORD,
    "ObjectSubType": WORD,
    "TransformType": WORD,
    "FileFormatVersion": WHOLE,
    "Comment": TEXT,
    "Name": TEXT,
    "ID": WHOLE,
    "ParentID": WHOLE,
    "AcquisitionDate": TEXT,
    "Color": DECIMALS,
    "BinaryData": _YES_NO,
    "BinaryDataByteOrderMSB": _YES_NO,
    "ElementByteOrderMSB": _YES_NO,
    "CompressedData": _YES_NO,
    "CompressedDataSize": DECIMAL,
    "CompressionLevel": WHOLE,
    "NDims": WHOLE,
    "DimSize": WHOLES,
    "Position": DECIMALS,
    "Origin": DECIMALS,
    "Offset": DECIMALS,
    "TransformMatrix": DECIMALS,
    "Rotation": DECIMALS,
    "Orientation": DECIMALS,
    "CenterOfRotation": DECIMALS,
    "DistanceUnits": WORD,
    "AnatomicalOrientation": TEXT,
    "HeaderSize": WHOLE,
    "HeaderSizePerSlice": WHOLE,
    "Modality": WORD,
    "SequenceID": DECIMALS,
    "ElementMin": DECIMAL,
    "ElementMax": DECIMAL,
    "ElementNumberOfChannels": WHOLE,
    "ElementSize": DECIMALS,
    "ElementSpacing": DECIMALS,
    "ElementToIntensityFunctionSlope": DECIMAL,
    "ElementToIntensityFunctionOffset": DECIMAL,
    "ElementType": WORD,
    "ElementDataFile": TEXT,
}
"""The format's own fields. Others may follow (ITK writes DICOM tags so); they are bounded, and not used."""
_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4"}
_TYPES |= {"LONG": "i4", "ULONG": "u4"}  # four bytes to MetaIO on every machine
_TYPES |= {"LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}
_LAST = "ElementDataFile"
_YES = ("true", "t", "1")
_MOST_AXES = 10


def read_metaimage_header(path: Path) -> Header:
    """What a MetaImage promises. Raises BadInput where it is no MetaImage or its data file lies elsewhere."""
    fields, end = _fields(path)
    attached = fields[_LAST].upper() == "LOCAL"
    data_file = path if attached else beside(path, fields[_LAST])
    if not _says(fields, "BinaryData", default=True):
        raise BadInput(f"{path}: its voxels are written as text; LMIAL reads binary MetaImage files.")
    size = _sizes(path, fields)
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    type_name = fields.get("ElementType", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
    if type_name not in _TYPES:
        raise BadInput(f"{path}: its MetaImage voxel type is {type_name or 'missing'!r}; LMIAL reads numbers.")
    big = _says(fields, "BinaryDataByteOrderMSB", default=_says(fields, "ElementByteOrderMSB"))
    voxel = np.dtype((">" if big else "<") + _TYPES[type_name])
    compressed = _says(fields, "CompressedData")
    header = Header(
        size=size,
        spacing=decimals(fields, "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"),
        voxel_bytes=voxel.itemsize * max(1, channels),
        components=channels,
        data_file=data_file,
        offset=_offset(path, fields, end if attached else 0, compressed),
        compression="zlib" if compressed else "raw",
        axes=_axes(path, fields, len(size)),
        kind="MetaImage",
        voxel=voxel,
        origin=_origin(path, fields, len(size)),
    )
    return straightened(path, header)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The checked fields and the byte after the header."""
    with open(path, "rb") as file:
        raw = file.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    position = lines = 0
    while position < len(raw) and lines < MOST_LINES:
        newline = raw.find(b"\n", position)
        end = newline + 1 if newline >= 0 else len(raw)
        line = raw[position:end]
        match = re.fullmatch(rb"\s*([^\x00-\x20=:][^\x00-\x1f=:]*?)\s*[=:]\s*([^\x00]*?)\s*", line)
        if match is None and line.strip():
            break
        position, lines = end, lines + 1
        if match is None:
            continue
        name, value = (part.decode("utf-8", errors="replace") for part in match.groups())
        if _LAST in name and name != _LAST:
            break
        _take(path, fields, name, value)
        if name == _LAST:
            return fields, position
    if "NDims" not in fields and "ObjectType" not in fields:
        raise BadInput(
            f"{path}: its content is not MetaImage although its name says so; it may be another file renamed."
        )
    raise BadInput(f"{path}: its MetaImage header is damaged or does not name its data (ElementDataFile).")


def _take(path: Path, fields: dict[str, str], name: str, value: str) -> None:
    """Check one field and keep it where it is one of the format's own."""
    if name in fields:
        raise BadInput(f"{path}: its MetaImage header gives the field {name} twice.")
    if name in _FIELDS:
        fields[name] = checked_field(path, "MetaImage", name, value, _FIELDS[name])
    elif len(name) > LONGEST_NAME or len(value) > LONGEST_ENTRY:
        raise BadInput(
            f"{path}: its MetaImage header has a further field {shown(name)} of {len(name) + len(value):,} characters;"
            f" LMIAL takes names up to {LONGEST_NAME:,} and values up to {LONGEST_ENTRY:,}."
        )


def _says(fields: dict[str, str], name: str, *, default: bool = False) -> bool:
    return fields[name].lower() in _YES if name in fields else default


def _sizes(path: Path, fields: dict[str, str]) -> tuple[int, ...]:
    size, axes = wholes(fields, "DimSize"), wholes(fields, "NDims")
    for name, found in (("DimSize", size), ("NDims", axes)):
        if not found:
            raise BadInput(f"{path}: its MetaImage header has no usable field {name}.")
    if len(size) != axes[0] or axes[0] > _MOST_AXES:
        raise BadInput(f"{path}: its MetaImage header gives {len(size)} sizes for NDims {axes[0]}.")
    for name in ("ElementSpacing", "ElementSize"):
        if name in fields and len(decimals(fields, name)) != axes[0]:
            raise BadInput(f"{path}: its MetaImage header gives other than one {name} for each of {axes[0]} axes.")
    if "ElementSpacing" not in fields and "ElementSize" not in fields:
        raise BadInput(f"{path}: its MetaImage header has no usable field ElementSpacing.")
    return size


def _offset(path: Path, fields: dict[str, str], begin: int, compressed: bool) -> int:
    """Byte of the first voxel; -1 where the voxels end with the file."""
    skip = int(fields.get("HeaderSize", "0"))
    if skip not in (0, -1) or int(fields.get("HeaderSizePerSlice", "0")) or (skip and compressed):
        raise BadInput(f"{path}: its header skips parts of its data file; LMIAL reads plain data only.")
    return begin if skip == 0 else -1


def _one_of(path: Path, fields: dict[str, str], names: tuple[str, ...], count: int) -> tuple[float, ...] | None:
    """The numbers of the one field that is there. Raises BadInput where two differ, or another count is given."""
    found = {decimals(fields, name) for name in names if name in fields}
    if len(found) > 1:
        raise BadInput(f"{path}: its MetaImage header gives different numbers as {', '.join(names)}.")
    if found and len(next(iter(found))) != count:
        raise BadInput(f"{path}: its MetaImage header has other than {count} numbers as {' or '.join(names)}.")
    # Adding 0 makes -0 to 0, as ITK does, so that the same file keeps the same digest.
    return tuple(value + 0.0 for value in found.pop()) if found else None


def _axes(path: Path, fields: dict[str, str], dimensions: int) -> np.ndarray | None:
    """Directions of the first three axes as columns; None for fewer axes."""
    values = _one_of(path, fields, ("TransformMatrix", "Rotation", "Orientation"), dimensions**2)
    if dimensions < 3:
        return None
    if values is None:
        return np.eye(3)
    axes = np.array(values).reshape(dimensions, dimensions)[:3, :3].T  # written axis after axis: a row is a column here
    if np.all(np.abs(axes) <= 2) and np.any(np.abs(np.linalg.norm(axes, axis=0) - 1) > SHEAR_TOLERANCE):
        raise BadInput(
            f"{path}: the directions of its axes (TransformMatrix) are not of length 1.",
            "Correct them at the source: volumes and distances would be wrong.",
        )
    return axes


def _origin(path: Path, fields: dict[str, str], dimensions: int) -> tuple[float, ...]:
    values = _one_of(path, fields, ("Offset", "Position", "Origin"), dimensions) or (0.0,) * dimensions
    return (*values, 0.0, 0.0, 0.0)[:3]
