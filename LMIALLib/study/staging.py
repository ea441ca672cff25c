"""Where a case is prepared before it is put in place, and how its files are flushed first."""

from __future__ import annotations

import uuid
from pathlib import Path

from LMIALLib.errors import BadInput, WrongUse, disk_errors
from LMIALLib.files import flush_file, flush_folder, sha256_of
from LMIALLib.study.names import LONGEST_MODEL_ID, LONGEST_NAME

STAGING = ".staging-"
"""How the folder of an unfinished case begins, inside ``cases/``."""
LONGEST_PATH = 199
LONGEST_INSIDE = len("/maps///pair-99/.nrrd") + LONGEST_MODEL_ID + LONGEST_NAME
"""What the longest path of a case needs beside its name and the study's: a map is named by a model and a measure."""


def new_staged(cases: Path) -> Path:
    """A fresh folder inside the folder ``cases``. Raises BadInput where the disk refuses."""
    staged = cases / f"{STAGING}{uuid.uuid4().hex[:8]}"
    with disk_errors(f"making {staged}"):
        staged.mkdir()
    return staged


def check_staged(cases: Path, staged: Path) -> None:
    """Raise WrongUse for a folder that is none of ``new_staged``."""
    if Path(staged).parent != cases or not Path(staged).name.startswith(STAGING):
        raise WrongUse(f"{staged} is not a folder that study.cases.stage gave.")


def flushed_files(staged: Path, home: Path) -> list[tuple[Path, str, int]]:
    """Flush every file and folder below ``staged``; where each will lie below ``home``, its digest and its size."""
    found = []
    with disk_errors(f"flushing {staged}"):
        for path in sorted(staged.rglob("*")):
            if path.is_symlink():
                raise BadInput(f"{path} is a link; a study holds files only.")
            if path.is_dir():
                flush_folder(path)
                continue
            later = home / path.relative_to(staged)
            if len(str(later)) > LONGEST_PATH:
                raise BadInput(f"the path {later} would have {len(str(later))} characters; {LONGEST_PATH} is the most.")
            flush_file(path)
            found.append((later, sha256_of(path), path.stat().st_size))
        flush_folder(staged)
    return found
