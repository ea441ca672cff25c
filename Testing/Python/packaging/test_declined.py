"""A reader who declined the packages still looks at a prepared study, draws and saves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path

for name in ("torch", "monai", "nrrd", "safetensors", "sklearn", "threadpoolctl", "skimage", "matplotlib"):
    sys.modules[name] = None  # importing it raises ImportError

from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.session import Session
from LMIALLib.pairs.storage import read_nrrd
from LMIALLib.study.store import Study

folder = Path(sys.argv[1])
read_nrrd(folder / "cases" / "head" / "source" / "baseline.nrrd")
with Study.open(folder, reader="anna") as study:
    session = Session(study, reader="anna", settings=LoopSettings(train=False))
    query = session.next()
    if session.suggestion() is None:  # chosen at random
        query = next(one for one in session.queue() if one.drawn == "strategy")
        session.present("head", query.slice, query)
    mask = session.suggestion() >= 0.5
    mask[:3, :3] = True
    session.draft(mask.astype("uint8"))
    print(session.save(mask.astype("uint8")).answer, study.cases.load_pair("head").grid.size)
    session.close()
"""


def test_a_study_is_read_drawn_on_and_saved_with_nothing_installed(study_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(study_folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mask")
