"""Reading one volume from disk, with every check that can be made before anybody works with it.

Formats: NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) and a folder with one DICOM series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput, Do, NeedsAlignment, NeedsConfirmation, Step
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.headers import (
    Header,
    check_axes,
    check_extent,
    check_header,
    check_position,
    check_spacing,
    not_finite,
)
from LMIALLib.pairs.headers_metaimage import read_metaimage_header
from LMIALLib.pairs.headers_nifti import read_nifti_header
from LMIALLib.pairs.headers_nrrd import read_nrrd_header
from LMIALLib.pairs.voxels import read_voxels

if TYPE_CHECKING:
    import SimpleITK as sitk

HEADERS: dict[str, Callable[[Path], Header]] = {
    ".nii": read_nifti_header,
    ".nii.gz": read_nifti_header,
    ".nrrd": read_nrrd_header,
    ".nhdr": read_nrrd_header,
    ".mha": read_metaimage_header,
    ".mhd": read_metaimage_header,
}
FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or a DICOM series folder"
LARGEST_VALUE = 1e30
"""Of a voxel: differences and squares of larger ones overflow in single precision; mostly they mark a gap."""
LEAST_OVERLAP = 0.01
"""Share of the follow-up's field of view that must lie inside the baseline's for the two to be of one place."""


@dataclass(frozen=True)
class Volume:
    """One time point as it lies on disk.

    Args:
        image: 3-D, scalar, pixel type as stored (integers stay integers), no metadata.
        grid: its grid.
        subject_key: 16 hexadecimal characters that are equal for two scans of one DICOM patient; None where unknown.
            Only to compare two inputs: never stored, never shown.
        date: day of acquisition as "2014-03-02" where the file holds it, else None.
        description: what was read, for example "NIfTI" or "DICOM series of 46 files"; never identifying.
        digest: SHA-256 over grid and voxels; equal where two inputs are the same image.
        remarks: sentences on what was guessed or left out in reading, to be shown; never identifying.
    """

    image: sitk.Image
    grid: Grid
    subject_key: str | None
    date: str | None
    description: str
    digest: str
    remarks: tuple[str, ...] = ()


def read_volume(path: Path | str, *, series: str | None = None, may_be_empty: bool = False) -> Volume:
    """Read and check one volume; ``series`` chooses one of several in a DICOM folder (a key of ``dicom.volumes_in``).

    ``may_be_empty``: whether all voxels may have one value, as in a label in which nothing is marked.
    Raises BadInput with one sentence that names ``path`` as given, before any large allocation.
    """
    path = Path(path)
    try:
        if path.is_dir():
            from LMIALLib.pairs.dicom import read_series

            found = read_series(path, series=series)
            image, grid = found.image, Grid.of(found.image)
            volume = Volume(image, grid, found.subject_key, found.date, found.description, "", found.remarks)
        else:
            image, header = _read_file(path)
            volume = Volume(image, header.grid, None, None, header.kind, "", header.remarks)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path}: it cannot be read ({error.strerror or 'unknown reason'}).") from error
    return _checked(path, volume, may_be_empty)


def _read_file(path: Path) -> tuple[sitk.Image, Header]:
    if not path.exists():
        raise BadInput(f"{path}: there is no such file or folder.")
    if not path.is_file():
        raise BadInput(f"{path}: it is neither a file nor a folder.")
    if suffix_of(path) is None:
        with open(path, "rb") as file:
            if file.read(132)[128:] == b"DICM":
                raise BadInput(
                    f"{path}: it is a single DICOM file (one slice, or a multi-frame object).",
                    "Give the folder of the series.",
                )
        raise BadInput(f"{path}: its name ends in {path.suffix or 'nothing'!r}; LMIAL reads {FORMATS}.")
    return _read_image(path)


def suffix_of(path: Path) -> str | None:
    """The ending in ``HEADERS`` that a file's name has, or None."""
    return next((s for s in sorted(HEADERS, key=len, reverse=True) if path.name.lower().endswith(s)), None)


def read_image(path: Path) -> tuple[sitk.Image, str]:
    """Read a file whose name ends as one of ``HEADERS``: a 3-D image with one value per voxel, and its format's name.

    Raises BadInput with one sentence, before any large allocation. ITK reads none of it.
    """
    image, header = _read_image(path)
    return image, header.kind


def _read_image(path: Path) -> tuple[sitk.Image, Header]:
    header = HEADERS[suffix_of(path) or ""](path)
    check_header(path, header)
    return header.grid.image_of(read_voxels(path, header)), header


def _checked(path: Path, volume: Volume, may_be_empty: bool) -> Volume:
    import SimpleITK as sitk

    image, grid = volume.image, volume.grid
    check_spacing(path, grid.spacing, volume.description.split()[0])
    check_extent(path, grid.size, grid.spacing)
    check_axes(path, np.array(grid.direction).reshape(3, 3))
    check_position(path, grid.origin)
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f" and not np.all(np.isfinite(voxels)):
        raise not_finite(path, int(voxels.size - np.count_nonzero(np.isfinite(voxels))), voxels.size)
    low, high = voxels.min(), voxels.max()
    if max(abs(float(low)), abs(float(high))) > LARGEST_VALUE:
        raise BadInput(
            f"{path}: its voxels go from {low:.3g} to {high:.3g}; LMIAL takes values up to {LARGEST_VALUE:g}.",
            "Replace them, for example with the background's value, and export it again.",
        )
    if low == high and not may_be_empty:
        raise BadInput(f"{path}: all its voxels have the same value ({low}); there is nothing to compare.")
    digest = hashlib.sha256(repr(grid).encode())
    digest.update(np.ascontiguousarray(voxels).data)
    return replace(volume, digest=digest.hexdigest())


def overlap(first: Grid, second: Grid) -> float:
    """Share of the first grid's extent, in [0, 1], that lies inside the second's (on a lattice of 17^3 points)."""
    steps = [np.linspace(-0.5, length - 0.5, 17) for length in first.size]
    index = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = np.array(first.origin) + (index * first.spacing) @ np.array(first.direction).reshape(3, 3).T
    inverse = np.linalg.inv(np.array(second.direction).reshape(3, 3))
    there = (points - second.origin) @ inverse.T / second.spacing
    inside = np.all((there >= -0.5) & (there <= np.array(second.size) - 0.5), axis=1)
    return float(inside.mean())


def centre_of(grid: Grid) -> np.ndarray:
    """LPS position in mm of the middle of a grid."""
    return np.asarray(grid.corners().mean(axis=0))


def moved(volume: Volume, by: np.ndarray) -> Volume:
    """The volume at another place: ``by`` is LPS, in mm. Voxels and digest stay."""
    import SimpleITK as sitk

    if not np.any(by):
        return volume
    image = sitk.Image(volume.image)
    image.SetOrigin((np.array(volume.grid.origin) + by).tolist())
    return replace(volume, image=image, grid=Grid.of(image))


def check_two_visits(baseline: Volume, follow_up: Volume) -> None:
    """Refuse two scans that cannot be a pair, and ask about two that probably are none.

    Raises NeedsAlignment where they do not overlap in space; NeedsConfirmation for the same image twice, for different
    DICOM patients, and for a follow-up dated before the baseline.
    """
    if (
        overlap(follow_up.grid, baseline.grid) < LEAST_OVERLAP
        and overlap(baseline.grid, follow_up.grid) < LEAST_OVERLAP
    ):
        away = np.linalg.norm(centre_of(baseline.grid) - centre_of(follow_up.grid))
        raise NeedsAlignment(
            f"baseline and follow-up do not overlap in space (headers place their centres {away:.0f} mm apart); if both"
            " show the same part of the body and a tool has lost their positions, their centres can be laid on each"
            " other before they are registered.",
            "",
            Step(Do.ALIGN_CENTRES),
        )
    if baseline.digest == follow_up.digest:
        raise NeedsConfirmation("baseline and follow-up are the same image, voxel for voxel; nothing could differ.")
    if baseline.subject_key and follow_up.subject_key and baseline.subject_key != follow_up.subject_key:
        raise NeedsConfirmation("baseline and follow-up belong to different patients, as their DICOM headers say.")
    if baseline.date and follow_up.date and follow_up.date < baseline.date:
        raise NeedsConfirmation(
            f"the follow-up was acquired on {follow_up.date}, before the baseline ({baseline.date}); are they swapped?"
        )
