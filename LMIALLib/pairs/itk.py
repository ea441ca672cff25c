"""Calls into ITK whose messages must not reach a person: no warning on the screen, no C++ file names in a sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput, written_in_utf8


@contextmanager
def without_warnings() -> Iterator[None]:
    """Switch ITK's warnings off for a while; they are printed by C++ and no Python stream could catch them."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def read_dicom_slice(folder: Path, file: str) -> np.ndarray:
    """Read one DICOM file whose structure was checked: (rows, columns), rescaled as its own header says.

    Raises BadInput with one sentence in place of ITK's own message.
    """
    import SimpleITK as sitk

    with without_warnings(), names_for_itk([file]) as (name,):
        try:
            voxels = sitk.GetArrayFromImage(sitk.ReadImage(name, imageIO="GDCMImageIO"))
        except (RuntimeError, MemoryError, TypeError, UnicodeError) as error:
            raise BadInput(
                f"{folder}: the voxels of its file {Path(file).name} cannot be read; it may be compressed in a way that"
                " LMIAL does not know."
            ) from error
    return voxels.reshape(voxels.shape[-2:]) if voxels.size == np.prod(voxels.shape[-2:]) else voxels


@contextmanager
def names_for_itk(files: Sequence[str]) -> Iterator[list[str]]:
    """Names under which ITK can open files: their own, or links where a name is not written in UTF-8.

    ITK takes names as UTF-8 only. Others are possible on Linux and macOS, where anybody may make links.
    """
    if not all(written_in_utf8(file) for file in files):
        with tempfile.TemporaryDirectory() as folder:
            links = [str(Path(folder, f"{number:06d}.dcm")) for number in range(len(files))]
            for link, file in zip(links, files, strict=True):
                os.symlink(os.path.abspath(file), link)
            yield links
    else:
        yield list(files)
