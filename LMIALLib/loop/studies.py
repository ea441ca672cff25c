"""Making a study and adding cases: either everything is in place afterwards, or nothing is."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LMIALLib.files import flush_folder, rename, sha256_of
from LMIALLib.loop.session import LoopSettings, Session
from LMIALLib.pairs.request import PairRequest
from LMIALLib.resources import resource
from LMIALLib.study.store import Study, check_new_place
from LMIALLib.study.truths import save_truth
from LMIALLib.worker.client import Job
from LMIALLib.worker.requests import Prepare, Prepared

if TYPE_CHECKING:
    import numpy as np

    from LMIALLib.pairs.pair import Pair

Watch = Callable[[Job[Any]], None] | None
Truth = Callable[["Pair"], "np.ndarray"] | None
"""What is known of a pair: makes a truth on its grid (see ``study.truths``) once the pair is there."""


def new_study(
    folder: Path,
    case: str,
    pair: PairRequest,
    *,
    subject: str | None = None,
    covered: Iterable[int | str] | None = None,
    truth: Truth = None,
    weights: Path | None = None,
    watch: Watch = None,
) -> Prepared:
    """Make a study with one case. It is built beside its place and renamed when whole.

    Args:
        folder: of the study; it does not exist yet, or is empty.
        case: name of the case.
        pair: what it is made of.
        subject: the patient, by a pseudonym; None: the case is a subject of its own.
        covered, truth: as in ``new_case``.
        weights: the model to start from; the bundled one when None.
        watch: called with the job whenever it reports how far it is.

    Returns what was found in preparing it. Raises BadInput when ``folder`` is in use or
    cannot be a study, NeedsConfirmation for a network or synced folder.

    Example:
        >>> request = PairRequest(Path("baseline.nii.gz"), Path("follow_up.nii.gz"))
        >>> prepared = new_study(Path("study"), "patient-1", request)
        >>> prepared.slices == pair.n_slices
        True
    """
    building = Building(folder, force=pair.force)
    done = False
    try:
        with building.begin(weights) as study:
            session = Session(study, settings=LoopSettings(train=False))
            try:
                result = new_case(session, case, pair, subject=subject, covered=covered, truth=truth, watch=watch)
            finally:
                session.close()
        building.put_in_place()
        done = True
    finally:
        if not done:
            building.take_away()
    return result


class Building:
    """A study that is built beside its place and put there when it is whole, or taken away without a trace.

    Raises BadInput where ``folder`` is in use or cannot be a study, NeedsConfirmation (not with ``force``) for a
    network or synced folder.
    """

    def __init__(self, folder: Path, *, force: bool) -> None:
        self.folder = Path(os.path.abspath(folder))
        check_new_place(self.folder, force)
        self._force = force
        self._made_here = _missing_parents(self.folder)
        self._place = self.folder.parent / f".new-{uuid.uuid4().hex[:8]}"

    def begin(self, weights: Path | None = None) -> Study:
        """Make the study with its first model, the bundled one when None; its caller closes it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        study = Study.create(self._place, force=self._force)
        try:
            add_first_model(study, weights or resource("Weights", "change.safetensors"))
        except BaseException:
            study.close()
            raise
        return study

    def put_in_place(self) -> None:
        """Give the closed study its name."""
        if self.folder.exists():
            self.folder.rmdir()
        rename(self._place, self.folder)
        flush_folder(self.folder.parent)

    def take_away(self) -> None:
        """Remove the closed study, and the folders above it that were made for it."""
        shutil.rmtree(self._place, ignore_errors=True)
        for parent in self._made_here:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def new_case(
    session: Session,
    name: str,
    pair: PairRequest,
    *,
    subject: str | None = None,
    covered: Iterable[int | str] | None = None,
    truth: Truth = None,
    watch: Watch = None,
) -> Prepared:
    """Read, register and add one pair to the study of ``session``; nothing is left behind when it fails.

    Args:
        covered: classes that the truth of this case covers; by default all.
        truth: makes what is known of the pair, stored with the case; None: nothing is known.
    """
    from LMIALLib.pairs.storage import load_pair

    study = session.study
    staged = study.cases.stage(name)
    try:
        job = session.learning.worker.submit(Prepare(pair, str(staged)))
        result = session.learning.wait(job, watch=watch)
        if truth is not None:
            made = load_pair(staged / "pair-1")
            save_truth(staged, truth(made), made.grid, study.label_schema)
        study.cases.add(name, staged, subject=subject, covered=covered)
    finally:
        study.cases.drop_staged(staged)
    return result


def add_first_model(study: Study, weights: Path) -> str:
    """Copy weights into the study as the model in use, and return its id (``start-`` and part of its digest)."""
    name = f"start-{sha256_of(weights)[:8]}"
    study.models.add(weights, id=name, adopted=True, report={"from": weights.name})
    return name


def _missing_parents(folder: Path) -> list[Path]:
    """Parents that do not exist yet, innermost first."""
    return [parent for parent in folder.parents if not parent.exists()]
