"""The face's side of the worker: submit a job, ask now and then what came back. Nothing here blocks unless asked to."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, Do, LMIALError, NeedsAlignment, NeedsConfirmation, Step, WrongUse
from LMIALLib.worker.messages import FINAL, decode, encode, steps_of
from LMIALLib.worker.transport import SubprocessTransport, Transport

ERRORS = {error.__name__: error for error in (LMIALError, BadInput, NeedsAlignment, NeedsConfirmation, WrongUse)}


class WorkerDied(LMIALError):
    """The error of every job that was open when its worker process ended."""

    def __init__(self) -> None:
        super().__init__(
            "The worker process ended unexpectedly; nothing that was saved is lost.",
            "Try again; if it happens again, examine this machine.",
            Step(Do.DOCTOR),
        )


@dataclass
class Job:
    """One request and what became of it; ``state`` is queued, running, done, failed or cancelled."""

    id: int
    do: str
    state: str = "queued"
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: LMIALError | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")


class WorkerClient:
    """Starts a worker when the first job is submitted, and again after it died."""

    def __init__(self, study_folder: Path, *, transport: Callable[[], Transport] = SubprocessTransport) -> None:
        self.study_folder = Path(study_folder)
        self.ready: dict[str, Any] | None = None
        self._make_transport = transport
        self._transport: Transport | None = None
        self._jobs: dict[int, Job] = {}
        self._unheard: list[tuple[Job, str]] = []
        self._numbers = itertools.count(1)

    def submit(self, do: str, **fields: Any) -> Job:
        """Queue a job (see ``worker.jobs`` for its fields) and return at once. BadInput for a name that is no UTF-8."""
        encode({"do": do, **fields})  # what cannot be sent is refused before a worker is started for it
        if self._transport is not None and not self._transport.alive():
            self._unheard += self._worker_died()
        if self._transport is None:
            self._transport = self._make_transport()
            self.ready = None
            self._transport.start(self.study_folder)
        job = Job(next(self._numbers), do)
        self._jobs[job.id] = job
        self._send({"id": job.id, "do": do, **fields}, job)
        return job

    def cancel(self, job: Job) -> None:
        """Ask for a job to be cancelled; it ends in state ``cancelled``, or ``done`` if it was faster."""
        if not job.over:
            self._send({"id": 0, "do": "cancel", "job": job.id}, job)

    def poll(self, timeout: float = 0.0) -> list[tuple[Job, str]]:
        """Take in what the worker said; pairs of a job and the name of the event, in order.

        With ``timeout`` the first event is waited for, that many seconds at most.
        """
        seen, self._unheard = self._unheard, []
        timeout = 0.0 if seen else timeout
        while self._transport is not None:
            line = self._transport.receive(timeout)
            if line is None:
                break
            timeout = 0.0
            seen += self._take(line)
        if self._transport is not None and not self._transport.alive():
            seen += self._worker_died()
        return seen

    def wait(self, job: Job, *, watch: Callable[[Job], None] | None = None) -> dict[str, Any]:
        """Block until ``job`` is over and return its result; raises the error that it failed with."""
        while not job.over:
            for seen, _ in self.poll(timeout=0.1):
                if seen is job and watch is not None:
                    watch(job)
        if job.error is not None:
            raise job.error
        if job.state == "cancelled":
            raise LMIALError(f"The job '{job.do}' was cancelled.")
        return job.result or {}

    def close(self, seconds: float = 5.0) -> None:
        """End the worker; jobs that were not over count as cancelled."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.send(encode({"id": 0, "do": "stop"}))
            self._transport.close(seconds)
            self._transport = None
        for job in self._jobs.values():
            if not job.over:
                job.state = "cancelled"

    def _send(self, message: dict[str, Any], job: Job) -> None:
        assert self._transport is not None
        try:
            self._transport.send(encode(message))
        except OSError:
            self._end(job, self._transport.last_lines())

    def _take(self, line: bytes) -> list[tuple[Job, str]]:
        try:
            message = decode(line)
        except ValueError:
            return []  # a library wrote past us; standard error holds what matters
        event = str(message.get("event"))
        if event == "ready":
            self.ready = message
        job = self._jobs.get(int(message.get("id") or 0))
        if job is None or job.over:
            return []
        if event == "started":
            job.state = "running"
        elif event == "progress":
            job.progress = message
        elif event == FINAL.get(job.do):
            job.state, job.result = "done", message.get("result") or {}
        elif event == "cancelled":
            job.state = "cancelled"
        elif event == "failed":
            kind = ERRORS.get(str(message.get("kind")), LMIALError)
            job.state, job.lines = "failed", list(message.get("lines", []))
            job.error = kind(str(message.get("sentence")), str(message.get("hint", "")), *steps_of(message))
        return [(job, event)]

    def _worker_died(self) -> list[tuple[Job, str]]:
        assert self._transport is not None
        lines = self._transport.last_lines()
        self._transport.close(0.0)
        self._transport = None
        open_jobs = [job for job in self._jobs.values() if not job.over]
        for job in open_jobs:
            self._end(job, lines)
        return [(job, "failed") for job in open_jobs]

    @staticmethod
    def _end(job: Job, lines: list[str]) -> None:
        job.state, job.lines, job.error = "failed", lines, WorkerDied()
