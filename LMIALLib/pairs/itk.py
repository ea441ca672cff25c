"""Calls into ITK whose messages must not reach a person: no warning on the screen, no C++ file names in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from LMIALLib.errors import BadInput

if TYPE_CHECKING:
    import SimpleITK as sitk


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


def read_nifti_with_itk(path: Path) -> sitk.Image:
    """Read a NIfTI image whose header was checked, by ITK's reader for it and never a guessed one.

    Raises BadInput with one sentence in place of ITK's own message.
    """
    import SimpleITK as sitk

    with without_warnings():
        try:
            return sitk.ReadImage(str(path), imageIO="NiftiImageIO")
        except (RuntimeError, MemoryError, TypeError, UnicodeError) as error:
            raise BadInput(
                f"{path}: it could not be read as NIfTI; the file is damaged or of a variant that LMIAL does not know."
            ) from error
