"""What the storm breaks off: commands by their own entry point, and sessions of both faces, on a study of 16 slices."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LMIALLib.study.store import Study
from Testing.Python.storm.masks import drawn

CASE = "a"
"""The case that every operation works on; ``b`` stands beside it."""
NEW_CASE = "c"
SCANS = "scans"


@dataclass(frozen=True)
class Operation:
    """One thing that a person does.

    Args:
        name: as in the table.
        run: does it, in the place that holds ``study``; a session tells ``log`` what it asked for and was told.
        done: whether the study, opened again, holds what was asked for; None: the log says what there must be.
        said: how a command begins to say on standard output that it is done.
        in_worker: the fault comes in the worker that the operation starts.
    """

    name: str
    run: Callable[[Path, Path], None]
    done: Callable[[Study], bool] | None
    said: str = ""
    in_worker: bool = False


def command(*words: str) -> Callable[[Path, Path], None]:
    """The command line with these words; STUDY and PLACE stand for the folders."""

    def run(place: Path, log: Path) -> None:
        from LMIALLib.cli import main

        named = {"STUDY": str(place / "study"), "PLACE": str(place)}
        sys.argv = ["lmial", *(named.get(word, word.replace("PLACE/", f"{place}/")) for word in words)]
        main()

    return run


def desktop(place: Path, log: Path) -> None:
    """A session in the face of desktop Slicer."""
    from Testing.Python.storm.sessions import sit_at_desktop

    sit_at_desktop(place / "study", log)


def browser(place: Path, log: Path) -> None:
    """A session in the browser's face."""
    from Testing.Python.storm.sessions import sit_at_browser

    sit_at_browser(place / "study", log)


_SCANS = (
    "--baseline", f"PLACE/{SCANS}/baseline.nii.gz", "--follow-up", f"PLACE/{SCANS}/follow_up.nii.gz",
    "--mask", f"PLACE/{SCANS}/brain.nii.gz", "--no-register", "--force",
)  # fmt: skip
_LABEL = "label", "STUDY", "--case", CASE, "--slice", "5", "--reader", "anna"


def _names(study: Study) -> set[str]:
    return {case.name for case in study.cases.all()}


def _labelled(study: Study) -> bool:
    answer = study.answers.current(CASE).get(5)
    return answer is not None and answer.answer == "mask" and answer.mask is not None and answer.mask.sum() == 30


_ADD = Operation(
    "add", command("add", "STUDY", "--case", NEW_CASE, *_SCANS), lambda s: NEW_CASE in _names(s), "Case c:"
)
_REGISTER = Operation(
    "register",
    command("register", "STUDY", "--case", CASE, "--kind", "rigid"),
    lambda s: s.cases.get(CASE).pair_number == 2,
    "Case a is registered again",
)
OPERATIONS = (
    _ADD,
    _REGISTER,
    replace(_ADD, name="add-worker", in_worker=True),
    replace(_REGISTER, name="reg-worker", in_worker=True),
    Operation("label", command(*_LABEL, "--mask", "PLACE/drawn.nrrd"), _labelled, "Saved:"),
    Operation(
        "adopt",
        command("models", "STUDY", "--use", "model-1"),
        lambda s: (used := s.models.in_use()) is not None and used.id == "model-1",
        "model-1 is in use now",
    ),
    Operation(
        "remove", command("remove", "STUDY", "--case", CASE), lambda s: CASE not in _names(s), "Case a was moved"
    ),
    Operation("backup", command("backup", "STUDY", "PLACE/kept/backup.zip"), lambda s: True, "PLACE/kept/backup.zip:"),
    Operation("desktop", desktop, None),
    Operation("browser", browser, None),
)


def make_place(place: Path) -> None:
    """Scans, a label, a folder for backups, and a study: two ranked cases, two models, four answers and a draft."""
    import SimpleITK as sitk

    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.loop.studies import new_case, new_study
    from LMIALLib.pairs.request import PairRequest

    (place / SCANS).mkdir(parents=True)
    (place / "kept").mkdir()
    write_scans(place / SCANS)
    files = {name: place / SCANS / f"{name}.nii.gz" for name in ("baseline", "follow_up")}
    request = PairRequest(**files, mask=place / SCANS / "brain.nii.gz", register=False, force=True)
    new_study(place / "study", CASE, request)
    with Study.open(place / "study", reader="anna") as study:
        session = Session(study, reader="anna", settings=LoopSettings(train=False))
        new_case(session, "b", request)
        session.learning.wait(session.learning.request_ranking())
        session.close()
        first = study.models.all()[0]
        study.models.add(study.models.path(first.id), id="model-1", parent=first.id, round=1)
        for case in (CASE, "b"):
            session.choose(case, 3)
            session.save(drawn(study.cases.get(case).slice_shape, 12))
            session.choose(case, 6)
            session.nothing_here()
        session.choose(CASE, 5)
        session.draft(drawn(study.cases.get(CASE).slice_shape, 9))
        grid = study.cases.get(CASE).grid
    label = np.zeros(grid.shape, np.uint8)
    label[5] = drawn(label.shape[1:], 30)
    image = sitk.GetImageFromArray(label)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(place / "drawn.nrrd"))


def write_scans(folder: Path) -> None:
    """Two visits of an ellipsoid of 8 slices, the second with a bright spot, and its mask."""
    import SimpleITK as sitk

    rng = np.random.default_rng(1)
    k, j, i = np.mgrid[0:8, 0:48, 0:48]
    brain = ((k - 3.5) / 4) ** 2 + ((j - 24) / 18) ** 2 + ((i - 24) / 16) ** 2 < 1
    baseline = brain * (100 + 20 * np.sin(i / 3) + 10 * np.cos(j / 2.5)) + rng.normal(0, 2, brain.shape)
    follow_up = baseline + rng.normal(0, 2, brain.shape)
    follow_up[3:5, 20:26, 20:25] += 60
    for name, array in (("baseline", baseline), ("follow_up", follow_up), ("brain", brain)):
        image = sitk.GetImageFromArray(array.astype(np.uint8 if name == "brain" else np.float32))
        image.SetSpacing((3.0, 3.0, 5.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


def said_so_far(log: Path) -> list[dict[str, object]]:
    """The lines of a session's log; a line that was cut short was not said."""
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]


def copied(place: Path, to: Path) -> Path:
    """A copy of a place for one run."""
    return Path(shutil.copytree(place, to))
