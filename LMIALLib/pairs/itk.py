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


def read_with_itk(path: Path, reader: str) -> sitk.Image:
    """Read an image with one named ITK reader ("NiftiImageIO", "NrrdImageIO", "MetaImageIO"), never a guessed one.

    Raises BadInput with one sentence in place of ITK's own message.
    """
    import SimpleITK as sitk

    with without_warnings():
        try:
            return sitk.ReadImage(str(path), imageIO=reader)
        except (RuntimeError, MemoryError, TypeError, UnicodeError) as error:
            kind = reader.removesuffix("ImageIO").replace("Nifti", "NIfTI").replace("Nrrd", "NRRD")
            raise BadInput(
                f"{path}: it could not be read as {kind}; the file is damaged or of a variant that LMIAL does not know."
            ) from error
