"""The header of NIfTI-1 and NIfTI-2 files (.nii, .nii.gz): https://nifti.nimh.nih.gov.

Its length and its magic are checked here before nibabel takes it apart, and its numbers before anything uses them.

A file may say twice where it lies. One rule holds for every volume, scan, mask and truth alike, and it is nibabel's:
the sform where its code is above 0, else the qform where its code is above 0, else neither.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import farthest_mm
from LMIALLib.pairs.headers import SHEAR_TOLERANCE, UNSEEN_MM, Header, check_axes, check_position, straightened

_COMPONENTS = {32: 2, 1792: 2, 2048: 2, 128: 3, 2304: 4}
"""Values per voxel of complex and colour types."""
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_TYPES |= {32: "f4", 1792: "f8", 128: "u1", 2304: "u1", 2048: "f8"}
_MAGIC = {348: b"n+1\0", 540: b"n+2\0\r\n\x1a\n"}
"""What a header of each length holds in its own place; 540 bytes are NIfTI-2."""
_MILLIMETRES = {1: 1e3, 3: 1e-3}
"""Of the units metre and micrometre; the others are millimetres, or unknown."""
_DIFFERENT_MM = 0.1
"""Distance of a voxel's two places above which the two forms differ; below lies the rounding of their numbers."""
_CODES = {1: "scanner", 2: "another scan", 3: "Talairach", 4: "MNI", 5: "a template"}
"""What the positions are those of, by a form's code."""
_LPS = np.array([-1.0, -1.0, 1.0])
"""NIfTI's axes point right, anterior, superior."""


def read_nifti_header(path: Path) -> Header:
    """What a NIfTI file promises. Raises BadInput where it is no NIfTI file, or its two voxel sizes disagree."""
    raw, compressed = _first_bytes(path)
    if len(raw) < 348:
        raise BadInput(f"{path}: it is too short to be a NIfTI file ({len(raw)} bytes, a header has 348).")
    for order in ("little", "big"):
        length = int.from_bytes(raw[:4], order)  # type: ignore[arg-type]  # mypy takes the loop's words for any text
        if length in _MAGIC:
            return _header(path, _fields(path, raw, length, order), compressed)
    raise BadInput(f"{path}: its content is not NIfTI although its name says so; it may be another file renamed.")


def _first_bytes(path: Path) -> tuple[bytes, bool]:
    with open(path, "rb") as file:
        magic = file.read(2)
    if magic != b"\x1f\x8b":
        if path.name.lower().endswith(".gz"):
            raise BadInput(
                f"{path}: its content is not gzip-compressed although its name ends in .gz;"
                " it may be another file renamed."
            )
        with open(path, "rb") as file:
            return file.read(540), False
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(540), True
    except (EOFError, zlib.error, OSError) as error:
        raise BadInput(
            f"{path}: its gzip data are cut short or damaged within the header.", "Copy or export it again."
        ) from error


def _fields(path: Path, raw: bytes, length: int, order: str) -> Any:
    """nibabel's view of the header's bytes, fields by name; its own checks repair in silence and are not used."""
    if len(raw) < length:
        raise BadInput(f"{path}: it is too short to be a NIfTI-2 file ({len(raw)} bytes, a header has {length}).")
    magic = raw[344:348] if length == 348 else raw[4:12]
    if magic != _MAGIC[length]:
        found = "a detached header (.hdr/.img)" if magic[:2] == b"ni" else "an ANALYZE file or another file renamed"
        raise BadInput(f"{path}: it is {found}; LMIAL reads NIfTI in one file, whose orientation is known.")
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
    except ImportError as error:  # in 3D Slicer it may have been declined
        raise BadInput(
            f"{path}: NIfTI files are read with the Python package nibabel, which is not installed.",
            "Install it (pip install nibabel), or save the scan as NRRD.",
        ) from error
    return (Nifti1Header if length == 348 else Nifti2Header)(raw[:length], endianness=order, check=False)


def _header(path: Path, fields: Any, compressed: bool) -> Header:
    dim = [int(length) for length in fields["dim"]]
    if not 1 <= dim[0] <= 7:
        raise BadInput(f"{path}: its NIfTI header gives {dim[0]} dimensions; 1 to 7 are possible.")
    datatype = int(fields["datatype"])
    if datatype not in _TYPES:
        raise BadInput(f"{path}: its NIfTI voxel type {datatype} is none that LMIAL reads (integers and floats).")
    components, size = _COMPONENTS.get(datatype, 1), tuple(dim[1 : dim[0] + 1])
    if len(size) == 5 and size[3] == 1 and size[4] > 1:  # the fifth axis holds the components of a vector
        components, size = components * size[4], size[:3]
    voxel = np.dtype(fields.endianness + _TYPES[datatype])
    millimetres = _MILLIMETRES.get(int(fields["xyzt_units"]) & 7, 1.0)
    scaling, remarks = _scaling(path, float(fields["scl_slope"]), float(fields["scl_inter"]))
    header = Header(
        size=size,
        spacing=tuple(float(value) * millimetres for value in fields["pixdim"][1 : max(dim[0], 3) + 1]),
        voxel_bytes=components * voxel.itemsize,
        components=components,
        data_file=path,
        offset=_begin(path, float(fields["vox_offset"]), len(fields.binaryblock) + 4),
        compression="gzip-all" if compressed else "raw",
        axes=None,
        kind="NIfTI",
        voxel=voxel,
        scaling=scaling,
        remarks=remarks,
    )
    return _placed(path, header, fields, millimetres)


def _begin(path: Path, offset: float, least: int) -> int:
    """The byte of the first voxel, which cannot lie within the header."""
    if not least <= offset < 1 << 62:
        raise BadInput(
            f"{path}: its NIfTI header says that voxels begin at byte {offset:g}; the header ends at {least}."
        )
    return int(offset)


def _scaling(path: Path, slope: float, intercept: float) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """How stored numbers become grey values, as nibabel and ITK do it; None: they are the grey values.

    A slope of 0 means unscaled by the format; one that is no number is taken so, and an intercept that is none for 0.
    """
    if not math.isfinite(slope):
        odd = f"its header scales grey values by {slope:g} and adds {intercept:g}; they were read as they are stored."
        return None, (odd,)
    if slope == 0:
        return None, ()
    odd = f"its header adds {intercept:g} to grey values; nothing was added."
    remarks = () if math.isfinite(intercept) else (odd,)
    intercept = intercept if math.isfinite(intercept) else 0.0
    return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept), remarks


def _placed(path: Path, header: Header, fields: Any, millimetres: float) -> Header:
    """The header with its place in space by the rule of this module. Raises BadInput for a place that is none."""
    sform_code, qform_code = int(fields["sform_code"]), int(fields["qform_code"])
    if len(header.size) < 3 or not all(0 < value < math.inf for value in header.spacing[:3]):
        return header  # a plane needs no place; the others are refused
    qform = _qform(path, fields, header.spacing, millimetres) if qform_code > 0 else None
    sform = _sform(path, fields, header.spacing, millimetres) if sform_code > 0 else None
    form = qform if sform is None else sform
    if form is None:
        remark = (
            "its header does not say where it lies (neither sform nor qform); its axes are taken to run from the"
            " patient's right to the left, from front to back and upwards."
        )
        return replace(header, axes=np.eye(3), remarks=(*header.remarks, remark))
    remarks = list(header.remarks)
    if sform is not None:
        lengths = np.linalg.norm(sform[:, :3], axis=0)
        # Closer than that, both are roundings of one number, and the shorter one is kept.
        if farthest_mm(header.size, np.diag(lengths), np.diag(header.spacing[:3])) > UNSEEN_MM:
            header = replace(header, spacing=(*lengths.tolist(), *header.spacing[3:]))
    if sform is not None and qform is not None:
        off = farthest_mm(header.size, sform[:, :3], qform[:, :3], sform[:, 3] - qform[:, 3])
        if off > _DIFFERENT_MM:
            remark = (
                f"its header gives two places, up to {off:.2g} mm apart: sform ({_code(sform_code)}) and qform"
                f" ({_code(qform_code)}); the sform was used."
            )
            remarks.append(remark)
    given = form[:, :3] * _LPS[:, None]
    x, y, z = (form[:, 3] * _LPS + 0.0).tolist()
    axes = given / np.linalg.norm(given, axis=0)
    return straightened(path, replace(header, axes=axes, origin=(x, y, z), remarks=tuple(remarks)), given)


def _code(code: int) -> str:
    return f"code {code}, {_CODES[code]}" if code in _CODES else f"code {code}"


def _sform(path: Path, fields: Any, spacing: tuple[float, ...], millimetres: float) -> np.ndarray:
    """(3, 4) matrix from index to mm (RAS), after checking it against the voxel size that the header gives as well."""
    rows = np.array([fields[name] for name in ("srow_x", "srow_y", "srow_z")], dtype=float) * millimetres
    check_position(path, tuple(rows[:, 3]))
    check_axes(path, rows[:, :3])
    lengths, stated = np.linalg.norm(rows[:, :3], axis=0), np.array(spacing[:3])
    if np.any(np.abs(lengths - stated) > SHEAR_TOLERANCE * stated):  # less comes from few decimals: see straightened
        raise BadInput(
            f"{path}: its NIfTI header gives two voxel sizes,"
            f" {' x '.join(f'{v:.4g}' for v in stated)} mm (pixdim) and"
            f" {' x '.join(f'{v:.4g}' for v in lengths)} mm (sform).",
            "Write the file again with one size.",
        )
    return rows


def _qform(path: Path, fields: Any, spacing: tuple[float, ...], millimetres: float) -> np.ndarray:
    """(3, 4) matrix from index to mm (RAS) of a quaternion b, c, d with a position."""
    from nibabel.quaternions import quat2mat

    origin = np.array([fields[name] for name in ("qoffset_x", "qoffset_y", "qoffset_z")], dtype=float) * millimetres
    check_position(path, tuple(origin))
    turn = np.array([fields[name] for name in ("quatern_b", "quatern_c", "quatern_d")], dtype=float)
    square = float(turn @ turn) if np.all(np.abs(turn) <= 2) else math.inf  # a comparison with NaN is false
    if square > 1 + 1e-3:
        raise BadInput(f"{path}: its NIfTI header turns the scan by a quaternion (qform) that is none.")
    axes = quat2mat([math.sqrt(max(0.0, 1 - square)), *turn])  # of any length: it is taken as its direction
    axes[:, 2] *= -1 if fields["pixdim"][0] < 0 else 1
    return np.column_stack([axes * spacing[:3], origin])
