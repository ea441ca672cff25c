"""A pair on its way into a study while the face goes on: what `studies` does at once, step by step from a timer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from LMIALLib.errors import LMIALError, disk_problem
from LMIALLib.loop.studies import Building
from LMIALLib.pairs.request import PairRequest
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job, WorkerClient
from LMIALLib.worker.events import Progressed
from LMIALLib.worker.requests import Prepare, Prepared
from LMIALLib.worker.transport import SubprocessTransport, Transport


class Preparing:
    """One pair that is read, registered and added to a study in the background; nothing is left behind if it fails.

    Args:
        folder: of the study.
        study: the study where it is open already; None: it is made, and closed again when it is whole.
        case, pair, subject: as in `studies.new_study`.
        before: steps to take before the worker reads (to write its inputs, say), one a ``poll``.
        transport: how the worker is reached.

    Call ``poll`` from a timer until ``over``; then ``error`` says what went wrong, or ``result`` what was found, or
    neither, where it was cancelled. NeedsConfirmation is put to the reader; with ``force`` in ``pair`` it goes on.
    """

    def __init__(
        self,
        folder: Path,
        study: Study | None,
        case: str,
        pair: PairRequest,
        *,
        subject: str | None = None,
        before: Iterator[Any] = iter(()),  # noqa: B008
        transport: Callable[[], Transport] = SubprocessTransport,
    ) -> None:
        self.case = case
        self.over = False
        self.result: Prepared | None = None
        self.error: LMIALError | None = None
        self.job: Job[Prepared] | None = None
        self._building = Building(folder, force=pair.force) if study is None else None
        self._study = study
        self._pair, self._subject, self._before, self._transport = pair, subject, before, transport
        self._staged: Path | None = None
        self._client: WorkerClient | None = None

    def poll(self) -> None:
        """Go one step further; never waits for the worker."""
        if self.over:
            return
        try:
            self._step()
        except LMIALError as error:
            self._end(error)
        except OSError as error:
            self._end(disk_problem(error, "preparing the pair"))

    def cancel(self) -> None:
        """Give it up at once."""
        if not self.over:
            self._end(None)

    @property
    def progress(self) -> Progressed | None:
        """How far the worker is; None before it has begun."""
        return self.job.progress if self.job is not None else None

    def _step(self) -> None:
        if self.job is None:
            if next(self._before, None) is None:
                self._begin()
            return
        assert self._client is not None and self._study is not None and self._staged is not None
        self._client.poll()
        if not self.job.over:
            return
        if self.job.state != "done":
            self._end(self.job.error)
            return
        self._study.cases.add(self.case, self._staged, subject=self._subject)
        self.result = self.job.result
        self._end(None)

    def _begin(self) -> None:
        if self._building is not None:
            self._study = self._building.begin()
        assert self._study is not None
        self._staged = self._study.cases.stage(self.case)
        self._client = WorkerClient(self._study.folder, transport=self._transport)
        self.job = self._client.submit(Prepare(self._pair, str(self._staged)))

    def _end(self, error: LMIALError | None) -> None:
        """Put the new study in its place, or take away what was begun."""
        self.over = True
        if self._client is not None:
            self._client.close(2.0)
        if self._study is not None and self._staged is not None:
            self._study.cases.drop_staged(self._staged)
        if self._building is not None:
            if self._study is not None:
                with suppress(LMIALError):
                    self._study.close()
            try:
                if self.result is not None:
                    self._building.put_in_place()
                else:
                    self._building.take_away()
            except OSError as problem:
                self.result = None
                self._building.take_away()
                error = disk_problem(problem, "putting the study in its place")
        self.error = error
