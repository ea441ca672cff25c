"""The header of NIfTI-1 files (.nii, .nii.gz): https://nifti.nimh.nih.gov/nifti-1."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.headers import Header, check_axes, check_position

_COMPLEX_OR_COLOUR = {32: 2, 1792: 2, 2048: 2, 128: 3, 2304: 4}
_SCALAR_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}

_FLOATS = {16: "f4", 64: "f8"}


def read_nifti_header(path: Path) -> Header:
    """What a NIfTI file promises. Raises BadInput where it is no NIfTI file, or its two voxel sizes disagree."""
    raw, compressed = _first_bytes(path)
    if len(raw) < 348:
        raise BadInput(f"{path}: it is too short to be a NIfTI file ({len(raw)} bytes, a header has 348).")
    for order in "<>":
        kind = struct.unpack_from(order + "i", raw)[0]
        if kind == 348:
            return _nifti1(path, raw, order, compressed)
        if kind == 540:  # ITK's reader knows it not, and says so past every stream of Python
            raise BadInput(
                f"{path}: it is a NIfTI-2 file; LMIAL reads NIfTI-1, as nearly every tool writes it.",
                "Save it as NIfTI-1 or NRRD.",
            )
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
            return file.read(348), False
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(348), True
    except (EOFError, zlib.error, OSError) as error:
        raise BadInput(
            f"{path}: its gzip data are cut short or damaged within the header.", "Copy or export it again."
        ) from error


def _nifti1(path: Path, raw: bytes, order: str, compressed: bool) -> Header:
    magic = raw[344:348]
    if magic != b"n+1\0":
        found = "a detached header (.hdr/.img)" if magic == b"ni1\0" else "an ANALYZE file or another file renamed"
        raise BadInput(f"{path}: it is {found}; LMIAL reads NIfTI in one file, whose orientation is known.")
    dim = struct.unpack_from(order + "8h", raw, 40)
    datatype = struct.unpack_from(order + "h", raw, 70)[0]
    pixdim = struct.unpack_from(order + "8f", raw, 76)
    offset = struct.unpack_from(order + "f", raw, 108)[0]
    _check_scaling(path, struct.unpack_from(order + "2f", raw, 112))
    codes = struct.unpack_from(order + "2h", raw, 252)
    _check_places(path, codes, struct.unpack_from(order + "6f", raw, 256), struct.unpack_from(order + "12f", raw, 280))
    rows = struct.unpack_from(order + "12f", raw, 280)
    return _header(path, order, dim, datatype, pixdim, _begin(path, offset), codes[1], rows, compressed)


def _begin(path: Path, offset: float) -> int:
    """The byte of the first voxel. Within the header it cannot lie: ITK would take the header's end for voxels."""
    if not 352 <= offset < 1 << 62:
        raise BadInput(f"{path}: its NIfTI header says that voxels begin at byte {offset:g}; the header ends at 352.")
    return int(offset)


def _header(
    path: Path,
    order: str,
    dim: tuple[int, ...],
    datatype: int,
    pixdim: tuple[float, ...],
    offset: int,
    sform_code: int,
    rows: tuple[float, ...],
    compressed: bool,
) -> Header:
    dimensions = dim[0]
    if not 1 <= dimensions <= 7:
        raise BadInput(f"{path}: its NIfTI header gives {dimensions} dimensions; 1 to 7 are possible.")
    components = _COMPLEX_OR_COLOUR.get(datatype, 1)
    voxel_bytes = components if datatype in (128, 2304) else components * _SCALAR_BYTES.get(datatype, 4)
    if datatype not in _SCALAR_BYTES and datatype not in _COMPLEX_OR_COLOUR:
        raise BadInput(f"{path}: its NIfTI voxel type {datatype} is none that LMIAL reads (integers and floats).")
    size = tuple(int(length) for length in dim[1 : dimensions + 1])
    if len(size) == 5 and size[3] == 1 and size[4] > 1:  # the fifth axis holds the components of a vector
        components, voxel_bytes, size = components * size[4], voxel_bytes * size[4], size[:3]
    axes = None
    if sform_code > 0:
        axes = np.array(rows, dtype=float).reshape(3, 4)[:, :3]
        _check_sform_spacing(path, axes, pixdim[1:4])
    return Header(
        size=size,
        spacing=tuple(float(value) for value in pixdim[1 : max(dimensions, 3) + 1]),
        voxel_bytes=voxel_bytes,
        components=components,
        data_file=path,
        offset=offset,
        compression="gzip-all" if compressed else "raw",
        axes=axes,
        kind="NIfTI",
        hidden_type=np.dtype(order + _FLOATS[datatype]) if datatype in _FLOATS else None,
    )


def _check_scaling(path: Path, scaling: tuple[float, ...]) -> None:
    if not np.all(np.isfinite(scaling)):
        raise BadInput(
            f"{path}: its NIfTI header scales the voxels by {scaling[0]:g} and adds {scaling[1]:g}, which makes none of"
            " them a number."
        )


def _check_places(path: Path, codes: tuple[int, ...], quaternion: tuple[float, ...], rows: tuple[float, ...]) -> None:
    """Refuse positions and turns that are no usable numbers, on which ITK would print warnings or read another grid.

    Args:
        codes: of the qform and the sform; 0 and less: it is not used.
        quaternion: b, c, d and the position of the qform; rows: of the sform, its position in every fourth number.
    """
    if codes[0] > 0:
        check_position(path, quaternion[3:])
        if not sum(value**2 for value in quaternion[:3]) <= 1 + 1e-3:  # a comparison with NaN is false
            raise BadInput(f"{path}: its NIfTI header turns the scan by a quaternion (qform) that is none.")
    if codes[1] > 0:
        check_position(path, rows[3::4])
        check_axes(path, np.array(rows, dtype=float).reshape(3, 4)[:, :3])


def _check_sform_spacing(path: Path, axes: np.ndarray, pixdim: tuple[float, ...]) -> None:
    """ITK takes the spacing from pixdim and the direction from the sform: where they disagree it reads a wrong size."""
    lengths = np.linalg.norm(axes, axis=0)
    stated = np.array(pixdim)
    if not np.all(np.isfinite(lengths)) or not np.all(np.isfinite(stated)) or np.any(stated <= 0):
        return  # refused by the checks of spacing and axes, with their own sentence
    if np.any(np.abs(lengths - stated) > 1e-3 * stated) and np.all(lengths > 0):
        raise BadInput(
            f"{path}: its NIfTI header gives two voxel sizes,"
            f" {' x '.join(f'{v:.4g}' for v in stated)} mm (pixdim) and"
            f" {' x '.join(f'{v:.4g}' for v in lengths)} mm (sform).",
            "Write the file again with one size.",
        )
