"""Where nnU-Net works: ``<study>/nnunet/``, private to the study and of no use to anybody else.

Everything in it can be made again. Names are short, because nnU-Net nests deep and paths stay under 200 characters.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.json_data import read_json
from LMIALLib.study.inside import inside

PLANS = "lmial"
TRAINER = "LMIALTrainer"
SPLITS = "splits_final.json"
FINAL, LATEST = "checkpoint_final.pth", "checkpoint_latest.pth"
"""nnU-Net's names of its checkpoints."""
ENSEMBLE = "ensemble.safetensors"
"""In the work folder: the weights of all folds of the last fine-tuning, without pickles."""
TRAINED = "trained.json"
"""Beside it: what is known of that fine-tuning, until the ensemble is a model of the study and after."""
RECORD = "made_from.json"
"""In a folder that is whole: what it was made from. Without it the folder counts as not made."""


@dataclass(frozen=True)
class WorkFolder:
    """The work folder of a study and one data set in it.

    Args:
        root: ``<study>/nnunet``.
        number: nnU-Net's number of the data set.
        name: its name, ``Dataset701_pre`` or ``Dataset702_fine``.
    """

    root: Path
    number: int
    name: str

    @classmethod
    def pretraining(cls, study_folder: Path) -> WorkFolder:
        """The data set of pseudo-labels."""
        return cls(Path(study_folder) / "nnunet", 701, "Dataset701_pre")

    @classmethod
    def finetuning(cls, study_folder: Path) -> WorkFolder:
        """The data set of what was read."""
        return cls(Path(study_folder) / "nnunet", 702, "Dataset702_fine")

    def _folder(self, below: str) -> Path:
        """A folder of this data set. Raises BadInput where a link lies on the way: what is in it may be removed."""
        return inside(self.root.parent, f"{self.root.name}/{below}/{self.name}")

    @property
    def raw(self) -> Path:
        """Images and labels as nnU-Net takes them."""
        return self._folder("raw")

    @property
    def preprocessed(self) -> Path:
        """Fingerprint, plan, splits and what nnU-Net cropped and resampled."""
        return self._folder("pre")

    @property
    def results(self) -> Path:
        """What trainings left."""
        return self._folder("res")

    def fold(self, config: str, fold: int | str) -> Path:
        """The folder of one training."""
        return self.results / f"{TRAINER}__{PLANS}__{config}" / f"fold_{fold}"

    def environment(self) -> dict[str, str]:
        """Variables of the process that runs nnU-Net; never set in this one."""
        return {
            "nnUNet_raw": str(self.root / "raw"),
            "nnUNet_preprocessed": str(self.root / "pre"),
            "nnUNet_results": str(self.root / "res"),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": str(os.cpu_count() or 1),
            "nnUNet_compile": "f",
        }


def read_record(folder: Path) -> dict[str, Any] | None:
    """What a folder was made from, or None where it is not whole."""
    try:
        return read_json(folder / RECORD, dict[str, Any])
    except (FileNotFoundError, BadInput):
        return None


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Record that a folder is whole and what it was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
