"""A case registered again, or searched in another region: the worker makes the new pair, the study keeps both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.regions import CHOICES
from LMIALLib.pairs.storage import write_nrrd
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job, WorkerClient
from LMIALLib.worker.requests import ChangeRegion, Register, Registered

DRAWN = "drawn.nrrd"
"""The region as a reader drew it, on the pair's grid, in the folder of the pair that is made with it."""


class PairChanges:
    """Asks the worker for new pairs, one at a time, and records them.

    Args:
        study: an open study.
        worker: client of the background process.
    """

    def __init__(self, study: Study, worker: WorkerClient) -> None:
        self._study, self._worker = study, worker
        self.job: Job[Registered] | None = None
        self._staged: Path | None = None

    @property
    def running(self) -> bool:
        """Whether a new pair is being made."""
        return self.job is not None and not self.job.over

    def register_again(self, case: str, kind: str) -> Job[Registered]:
        """Ask the worker to register a case again, "rigid" or "affine"; the new pair is its own once it is recorded.

        Raises BadInput for an unknown case, and while another pair is being made.
        """
        staged = self._stage(case)
        self.job = self._worker.submit(Register(case, kind, str(staged)))
        return self.job

    def change_region(self, case: str, choice: str, mask: Path | np.ndarray | None = None) -> Job[Registered]:
        """Ask the worker to give a case another region; the new pair is its own once it is recorded ("registered").

        Args:
            choice: one of ``pairs.regions.CHOICES``: "brain", "everything" or "given".
            mask: for "given", a file, or bool (k, j, i) on the case's grid as it was drawn.

        Raises WrongUse for another choice, and where a mask is missing or not wanted; BadInput as `register_again`.
        """
        if choice not in CHOICES:
            raise WrongUse(f"the region {choice!r} is unknown; use {', '.join(CHOICES)}.")
        if (mask is not None) != (choice == "given"):
            raise WrongUse("a region that is given needs a mask, and no other region takes one.")
        staged, file = self._stage(case), None
        if isinstance(mask, np.ndarray):
            file = staged / DRAWN
            write_nrrd(file, mask, self._study.cases.get(case).grid)
        elif mask is not None:
            file = Path(mask).absolute()
        self.job = self._worker.submit(ChangeRegion(case, choice, str(staged), None if file is None else str(file)))
        return self.job

    def record(self, job: Job[Any], event: Registered) -> bool:
        """Record the pair that the worker made, and return whether one was waited for."""
        if self._staged is None:
            return False
        try:
            what = "registered again" if isinstance(job.request, Register) else "region changed"
            self._study.cases.add_pair(event.case, self._staged, what=what)
        finally:
            self.drop()
        return True

    def drop(self) -> None:
        """Remove what was made of a pair that will not be recorded."""
        if self._staged is not None:
            self._study.cases.drop_staged(self._staged)
            self._staged = None

    def _stage(self, case: str) -> Path:
        if self.running:
            raise BadInput("A case is being registered again.", "Wait until it is done.")
        self.drop()
        self._staged = self._study.cases.stage_pair(case)
        return self._staged
