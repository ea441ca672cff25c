"""The open-ms longitudinal database as it lies on disk (Lesjak et al., Neuroinformatics 2016; CC-BY).

Each patient's folder holds two raw FLAIR scans, and the truth and a brain mask in a third, common space. The supplied
ITK transforms map points of the common space to points of a raw scan.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.transforms import read_transform

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class OpenMSPair:
    """Files of one patient with two time points."""

    name: str
    folder: Path

    @property
    def baseline(self) -> Path:
        """The earlier raw FLAIR."""
        return self.folder / "study1_FLAIR.nii.gz"

    @property
    def follow_up(self) -> Path:
        """The later raw FLAIR."""
        return self.folder / "study2_FLAIR.nii.gz"

    def truth_on(self, reference: sitk.Image) -> np.ndarray:
        """Expert mask of all change, bool (k, j, i), nearest neighbour on the follow-up's raw grid ``reference``."""
        return self._from_common_space("gt.nii.gz", reference)

    def brain_on(self, reference: sitk.Image) -> np.ndarray:
        """Supplied brain mask, bool (k, j, i), nearest neighbour on the follow-up's raw grid ``reference``."""
        return self._from_common_space("brainmask.nii.gz", reference)

    def baseline_from_follow_up(self) -> sitk.Transform:
        """The supplied transforms, composed: maps points of the follow-up to points of the baseline (LPS, mm)."""
        import SimpleITK as sitk

        return sitk.CompositeTransform([self._transform(1), self._transform(2).GetInverse()])

    def _transform(self, visit: int) -> sitk.Transform:

        return read_transform(self.folder / f"study{visit}_FLAIR_to_common_space.txt")

    def _from_common_space(self, name: str, reference: sitk.Image) -> np.ndarray:
        import SimpleITK as sitk

        volume = sitk.ReadImage(str(self.folder / name), sitk.sitkUInt8)
        moved = sitk.Resample(volume, reference, self._transform(2).GetInverse(), sitk.sitkNearestNeighbor, 0)
        return sitk.GetArrayFromImage(moved) > 0


def open_ms_root() -> Path | None:
    """The folder open_ms, looked for in LMIAL_DATA and in ../shared/data beside a checkout; None when absent."""
    places = [os.environ.get("LMIAL_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"]
    for place in places:
        if place and (Path(place) / "open_ms").is_dir():
            return Path(place) / "open_ms"
    return None


def is_open_ms_pair(folder: Path) -> bool:
    """Whether a folder holds both raw scans and the transforms of this database."""
    names = ("study1_FLAIR.nii.gz", "study2_FLAIR.nii.gz", "study2_FLAIR_to_common_space.txt", "gt.nii.gz")
    return all((folder / name).is_file() for name in names)


def open_ms_pair(folder: Path) -> OpenMSPair:
    """The pair in one patient's folder. Raises BadInput when files of the layout are missing."""
    folder = Path(folder)
    if not is_open_ms_pair(folder):
        raise BadInput(f"{folder} is not an open-ms patient with two time points (study1_FLAIR, study2_FLAIR, gt).")
    return OpenMSPair(folder.name, folder)
