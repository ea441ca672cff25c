"""Holding a study only while a result is stored: a training takes hours and reads, and a person annotates meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from LMIALLib.errors import BadInput, Do, Step
from LMIALLib.loop.learning import HEARTBEAT
from LMIALLib.progress import Cancelled
from LMIALLib.study.lease import HolderKind, SessionTakenOver
from LMIALLib.study.store import Study

LOOK_EVERY = 1.0
"""Seconds between two attempts to take a study that somebody else holds."""


class Writing:
    """Takes a study for as long as a result is stored in it, waiting for whoever holds it, and gives it back.

    Args:
        folder: of the study.
        reader: under which name it is held.
        waiting: called with one sentence and what can be done when somebody else holds the study.
        cancelled: called while it waits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reader: str = "",
        waiting: Callable[[str, Step], None] = lambda sentence, step: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder, self._reader, self._waiting, self._cancelled = folder, reader, waiting, cancelled
        self._held: Study | None = None
        self._last = 0.0

    @contextmanager
    def study(self) -> Iterator[Study]:
        """The study, open for writing.

        Raises Cancelled; BadInput where it cannot be written for another reason than that somebody works on it, and
        where it was taken over meanwhile.
        """
        with self._taken() as study:
            self._held, self._last = study, time.monotonic()
            try:
                yield study
            except SessionTakenOver as error:
                raise BadInput(
                    f"{self._folder} was taken over by another session while a result was being stored.",
                    "Everything trained is kept. When that session is closed, go on.",
                    Step(Do.PIPELINE_RESUME, str(self._folder)),
                ) from error
            finally:
                self._held = None

    def alive(self) -> None:
        """Renew the lease now and then, while this session holds the study."""
        if self._held is not None and time.monotonic() - self._last > HEARTBEAT:
            self._last = time.monotonic()
            self._held.heartbeat()

    def _taken(self) -> Study:
        reported = False
        while True:
            study = Study.open(self._folder, reader=self._reader, kind=HolderKind.COMMAND)
            if not study.read_only:
                return study
            why = study.why_read_only
            study.close()
            if why is None or why.holder is None:
                raise BadInput(f"{self._folder} cannot be changed now: {why}")
            if not reported:
                reported = True
                self._waiting(
                    f"The study is written to as soon as it is free: {why} "
                    "If you stop it now, everything trained is kept and you can go on later.",
                    Step(Do.PIPELINE_RESUME, str(self._folder)),
                )
            end = time.monotonic() + LOOK_EVERY
            while time.monotonic() < end:
                if self._cancelled():
                    raise Cancelled
                time.sleep(0.05)
