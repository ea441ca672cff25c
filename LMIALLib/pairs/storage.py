"""Pairs on disk: ``baseline.nrrd``, ``follow_up.nrrd``, ``mask.nrrd`` and ``registration.json``, read back exactly."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.files import flush_file, written_whole
from LMIALLib.json_data import Limits, read_json, shaped
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import check_header
from LMIALLib.pairs.headers_nrrd import read_nrrd_header
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.registration_record import check_registration
from LMIALLib.pairs.voxels import read_voxels

LARGEST_RECORD = 4 << 20
GRID_TOLERANCE_MM = 1e-4
"""How far (mm) a corner of an exported volume may lie from its place."""
FORMAT = 1
"""Version of ``registration.json``; a higher one was written by a newer LMIAL."""


def write_nrrd(
    path: Path, array: np.ndarray, grid: Grid, *, fields: dict[str, str] | None = None, compressed: bool = True
) -> None:
    """Write an array (k, j, i) on its grid as NRRD in LPS, with nothing but the geometry; gzip of level 1, or as it is.

    ``fields`` are further ``key:=value`` entries. The bytes are flushed. Raises OSError where the disk refuses.
    """
    import nrrd

    header: OrderedDict[str, Any] = OrderedDict()
    header["space"] = "left-posterior-superior"
    header["space directions"] = (np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing)).T
    header["kinds"] = ["domain", "domain", "domain"]
    header["space origin"] = np.array(grid.origin)
    header["encoding"] = "gzip" if compressed else "raw"
    for key, value in (fields or {}).items():
        header[key] = value
    values = array.astype(np.uint8) if array.dtype == bool else np.ascontiguousarray(array)
    nrrd.write(str(path), values, header, compression_level=1, index_order="C")
    flush_file(path)


def write_image(path: Path, array: np.ndarray, grid: Grid, fields: dict[str, str] | None = None) -> None:
    """Write an array (k, j, i) on its grid for other programs, compressed, as NIfTI or NRRD by the suffix of ``path``.

    ``fields`` go into the header of a NRRD. Raises LMIALError where the format cannot hold the grid, RuntimeError where
    the disk refuses.
    """
    import SimpleITK as sitk

    image = grid.image_of(array)
    if path.suffix == ".nrrd":
        for key, value in (fields or {}).items():
            image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=True)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    found = Grid(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
    if not found.same_as(grid, GRID_TOLERANCE_MM):
        raise LMIALError(f"the grid cannot be stored in {path.name} to {GRID_TOLERANCE_MM} mm.", "Export as nrrd.")


def read_nrrd(path: Path) -> tuple[np.ndarray, Grid]:
    """Read an array (k, j, i) and its grid back. Raises BadInput where the file is missing, broken or too short."""
    if not path.is_file():
        raise BadInput(f"{path}: this file of the pair is missing.")
    try:
        header = read_nrrd_header(path)
        check_header(path, header)
        return read_voxels(path, header), header.grid
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error


def save_pair(pair: Pair, folder: Path) -> None:
    """Write a pair into a folder, which is made if needed. Raises OSError where the disk refuses."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_nrrd(folder / "baseline.nrrd", pair.baseline.astype(np.float32, copy=False), pair.grid)
    write_nrrd(folder / "follow_up.nrrd", pair.follow_up.astype(np.float32, copy=False), pair.grid)
    write_nrrd(folder / "mask.nrrd", pair.mask, pair.grid)
    record = {
        "format": FORMAT,
        "digest": pair.digest(),
        "axis": pair.axis,
        "grid": pair.grid.to_dict(),
        "registration": pair.registration,
        "scaling": pair.scaling,
    }
    with written_whole(folder / "registration.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_pair(folder: Path) -> Pair:
    """Read a pair back, equal to the one saved (same digest). Raises BadInput where a file is missing or broken."""
    folder = Path(folder)
    record = _record(folder / "registration.json")
    grid = Grid.from_dict(record.grid, f"{folder / 'registration.json'}: its grid")
    check_registration(record.registration, f"{folder / 'registration.json'}: registration")
    arrays = []
    for name, kind in (("baseline", np.float32), ("follow_up", np.float32), ("mask", np.uint8)):
        path = folder / f"{name}.nrrd"
        array, found = read_nrrd(path)
        # The exact grid stands in the JSON: spacing and direction taken apart from a NRRD differ in the last digit.
        if not found.same_as(grid) or array.dtype != kind:
            raise BadInput(f"{path}: it does not belong to the pair that registration.json describes.")
        arrays.append(array)
    return Pair(arrays[0], arrays[1], arrays[2] > 0, grid, record.axis, record.registration, record.scaling)


def load_registration(folder: Path) -> dict[str, Any]:
    """What a stored pair keeps of its registration, without its images. Raises BadInput as ``load_pair`` does."""
    return _record(Path(folder) / "registration.json").registration


@dataclass(frozen=True)
class _Version:
    format: int


@dataclass(frozen=True)
class _Record:
    """What ``registration.json`` holds beside its digest."""

    axis: Annotated[int, Limits(least=0, most=2)]
    grid: dict[str, Any]
    registration: dict[str, Any]
    scaling: dict[str, Any]


def _record(path: Path) -> _Record:
    try:
        values = read_json(path, dict[str, Any], most_bytes=LARGEST_RECORD)
    except FileNotFoundError:
        raise BadInput(f"{path}: this file of the pair is missing.") from None
    version = shaped(values, _Version, str(path)).format
    if version > FORMAT:
        raise BadInput(f"{path}: it was written by a newer LMIAL (format {version}); this one reads {FORMAT}.")
    return shaped(values, _Record, str(path))
