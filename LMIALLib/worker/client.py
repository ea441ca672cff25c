"""The face's side of the worker: submit a request, look now and then what came back. Nothing blocks but `wait`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from LMIALLib.errors import BadInput, Do, LMIALError, NeedsAlignment, NeedsConfirmation, Step, WrongUse
from LMIALLib.worker import events
from LMIALLib.worker.events import Event, Failed, Progressed, Ready, Result, read_event
from LMIALLib.worker.messages import decode, encode, steps_of
from LMIALLib.worker.orders import Cancel, Order, Stop
from LMIALLib.worker.requests import R, Request, request_message
from LMIALLib.worker.transport import SubprocessTransport, Transport

ERRORS = {error.__name__: error for error in (LMIALError, BadInput, NeedsAlignment, NeedsConfirmation, WrongUse)}
"""What a job may fail with, by the ``kind`` of its event."""


class WorkerDied(LMIALError):
    """The error of every job that was open when its worker process ended."""

    def __init__(self) -> None:
        super().__init__(
            "The worker process ended unexpectedly; nothing that was saved is lost.",
            "Try again; if it happens again, examine this machine.",
            Step(Do.DOCTOR),
        )


@dataclass
class Job(Generic[R]):
    """One request and what became of it; ``state`` is queued, running, done, failed or cancelled."""

    id: int
    request: Request[R]
    state: str = "queued"
    progress: Progressed | None = None
    result: R | None = None
    error: LMIALError | None = None
    lines: tuple[str, ...] = ()

    @property
    def do(self) -> str:
        """Name of the request."""
        return self.request.do

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")


class WorkerClient:
    """Starts a worker when the first job is submitted, and again after it died."""

    def __init__(self, study_folder: Path, *, transport: Callable[[], Transport] = SubprocessTransport) -> None:
        self.study_folder = Path(study_folder)
        self.ready: Ready | None = None
        self._make_transport = transport
        self._transport: Transport | None = None
        self._jobs: dict[int, Job[Any]] = {}
        self._unheard: list[tuple[Job[Any], Event]] = []
        self._numbers = itertools.count(1)

    def submit(self, request: Request[R]) -> Job[R]:
        """Queue a request and return at once. BadInput for a name that is not written in UTF-8."""
        encode(request_message(request, 0))  # what cannot be sent is refused before a worker is started for it
        if self._transport is not None and not self._transport.alive():
            self._unheard += self._worker_died()
        if self._transport is None:
            self._transport = self._make_transport()
            self.ready = None
            self._transport.start(self.study_folder)
        job = Job(next(self._numbers), request)
        self._jobs[job.id] = job
        self._send(request, job.id, job)
        return job

    def cancel(self, job: Job[Any]) -> None:
        """Ask for a job to be cancelled; it ends in state ``cancelled``, or ``done`` if it was faster."""
        if not job.over:
            self._send(Cancel(job.id), 0, job)

    def poll(self, timeout: float = 0.0) -> list[tuple[Job[Any], Event]]:
        """Take in what the worker reported; pairs of a job and an event, in order.

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

    def wait(self, job: Job[R], *, watch: Callable[[Job[Any]], None] | None = None) -> R:
        """Block until ``job`` is over and return its result; raises the error that it failed with."""
        while not job.over:
            for seen, _ in self.poll(timeout=0.1):
                if seen is job and watch is not None:
                    watch(job)
        if job.error is not None:
            raise job.error
        if job.result is None:
            raise LMIALError(f"The job '{job.do}' was cancelled.")
        return job.result

    def close(self, seconds: float = 5.0) -> None:
        """End the worker; jobs that were not over count as cancelled."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.send(encode(request_message(Stop(), 0)))
            self._transport.close(seconds)
            self._transport = None
        for job in self._jobs.values():
            if not job.over:
                job.state = "cancelled"

    def _send(self, request: Request[Any] | Order, number: int, job: Job[Any]) -> None:
        assert self._transport is not None
        try:
            self._transport.send(encode(request_message(request, number)))
        except OSError:
            _fail(job, WorkerDied(), tuple(self._transport.last_lines()))

    def _take(self, line: bytes) -> list[tuple[Job[Any], Event]]:
        try:
            message = decode(line)
        except ValueError:
            return []  # a library wrote past us; standard error holds what matters
        number = message.get("id")
        job = self._jobs.get(number) if isinstance(number, int) else None
        if job is not None and job.over:
            return []
        try:
            event = read_event(message, None if job is None else job.request.gives)
        except BadInput as error:
            event = Failed(error.sentence, "Try again; if it happens again, examine this machine.")
        if isinstance(event, Ready):
            self.ready = event
        if job is None:
            return []
        _apply(job, event)
        return [(job, event)]

    def _worker_died(self) -> list[tuple[Job[Any], Event]]:
        assert self._transport is not None
        error = WorkerDied()
        event = Failed(error.sentence, error.hint, lines=tuple(self._transport.last_lines()))
        self._transport.close(0.0)
        self._transport = None
        open_jobs = [job for job in self._jobs.values() if not job.over]
        for job in open_jobs:
            _fail(job, error, event.lines)
        return [(job, event) for job in open_jobs]


def _apply(job: Job[Any], event: Event) -> None:
    """What an event makes of its job."""
    if isinstance(event, events.Started):
        job.state = "running"
    elif isinstance(event, Progressed):
        job.progress = event
    elif isinstance(event, Result):
        job.state, job.result = "done", event
    elif isinstance(event, events.Cancelled):
        job.state = "cancelled"
    elif isinstance(event, Failed):
        kind = ERRORS.get(event.kind, LMIALError)
        _fail(job, kind(event.sentence, event.hint, *steps_of({"steps": event.steps})), event.lines)


def _fail(job: Job[Any], error: LMIALError, lines: tuple[str, ...]) -> None:
    job.state, job.error, job.lines = "failed", error, lines
