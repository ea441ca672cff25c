"""The background process: reads requests, runs one job at a time, writes events.

A request that a reader waits for is done between two steps of a running fine-tuning, which then goes on and ends with
the same bits as if nobody had asked.

Standard output carries events and nothing else: whatever a library prints is sent to standard error, whose last lines
come back with a failure. When the other side closes standard input (or is killed) the process ends by itself: a job
that runs is given up, and where it does not hear of that the process ends all the same.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from LMIALLib.errors import BadInput, LMIALError, NeedsAlignment, NeedsConfirmation, Step, WrongUse, disk_problem
from LMIALLib.json_data import Natural, shaped
from LMIALLib.progress import Cancelled
from LMIALLib.version import __version__
from LMIALLib.worker import (
    events,
    jobs,  # noqa: F401 - its handlers register themselves
    training_job,  # noqa: F401
)
from LMIALLib.worker.events import Event, event_message
from LMIALLib.worker.handling import run_job
from LMIALLib.worker.messages import decode, encode, finite
from LMIALLib.worker.orders import Cancel, Status, Stop
from LMIALLib.worker.requests import Request, read_request
from LMIALLib.worker.waiting import Waiting

PROGRESS_EVERY = 0.2
"""Seconds between two progress events of one job, so that a pipe is never flooded."""

LAST_MOMENT, POLITE = 1.0, 10.0
"""Seconds that a running job has to clean up after its session was killed, when the next one may be open already, and
after a session that closes, which waits for it."""


class _LastLines(logging.Handler):
    """Keeps the last log lines, which a failure carries to the reader."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=20)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass(frozen=True)
class Job:
    """A request with the number by which its events name it."""

    number: int
    request: Request[Any]


class Worker:
    """Does requests for one study and reports on ``output``."""

    def __init__(self, study_folder: Path, output: IO[bytes]) -> None:
        self.study_folder = study_folder
        self._output = output
        self._lock = threading.Lock()
        self._waiting = Waiting[Job](
            for_reader=lambda job: job.request.for_reader,
            in_background=lambda job: job.request.in_background,
        )
        self._cancelled: set[int] = set()
        self._running: Job | None = None
        self._asked_to_stop = False
        self._ending = threading.Event()
        self._over = threading.Event()
        self._started = 0.0
        self._last_progress = 0.0
        self._log = _LastLines()
        logging.getLogger().addHandler(self._log)

    def say(self, event: Event, number: int | None = None, seconds: float | None = None) -> None:
        """Write one event, of the request with this number; safe from either thread."""
        with self._lock:
            self._output.write(encode(finite(event_message(event, number, seconds))))
            self._output.flush()

    def listen(self, requests: IO[bytes]) -> None:
        """Read requests until the other side closes; jobs are queued, the rest is answered here.

        A session that closes says "stop" first; one that did not was killed. A job that does not hear that it is given
        up, within its next step, ends with the whole process.
        """
        try:
            for line in requests:
                if line.strip():
                    self._receive(line)
        except BrokenPipeError:
            pass  # the other side is gone, so there is nobody to report it to
        finally:
            self._end_now()
            if not self._over.wait(POLITE if self._asked_to_stop else LAST_MOMENT):
                os._exit(1)

    def _receive(self, line: bytes) -> None:
        try:
            message = decode(line)
            number = shaped(message.get("id", 0), Natural, "a request: id")
        except (BadInput, ValueError) as error:
            self.say(events.Logged("error", f"A request was not understood: {error}"))
            return
        try:
            request = read_request(message)
        except BadInput as error:
            self.say(events.Failed(error.sentence, error.hint, _kind_of(error)), number)
            return
        if isinstance(request, Request):
            self.say(events.Accepted(request.do), number)
            self._waiting.put(Job(number, request))
        elif isinstance(request, Cancel):
            self._cancelled.add(request.job)
        elif isinstance(request, Status):
            running = self._running
            self.say(events.Stand(None if running is None else running.number, len(self._waiting)), number)
        elif isinstance(request, Stop):
            self._asked_to_stop = True
            self._end_now()

    def _end_now(self) -> None:
        self._ending.set()
        self._waiting.close()

    def work(self) -> None:
        """Do what waits, one request at a time, until asked to stop."""
        try:
            while (job := self._waiting.next()) is not None:
                self._run(job)
        finally:
            self._over.set()

    def progress(self, stage: str, done: int, total: int, **figures: Any) -> None:
        """Report how far the running request is; raises Cancelled when it was cancelled. 100 % is left to its result.

        Here, between two steps, one that is done in the background lets pass what a reader waits for.
        """
        running = self._check_not_cancelled()
        if running.request.in_background:
            self._let_pass(running)
            self._check_not_cancelled()
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_EVERY:
            return
        self._last_progress = now
        share = min(done / max(total, 1), 0.99)
        left = (now - self._started) * (1 - share) / share if share > 0.02 else None
        self.say(events.Progressed(stage, done, total, left, **figures), running.number)

    def _check_not_cancelled(self) -> Job:
        """The request that runs. Raises Cancelled where it shall not go on."""
        running = self._running
        if running is None or self._ending.is_set() or running.number in self._cancelled:
            raise Cancelled
        return running

    def _let_pass(self, paused: Job) -> None:
        """Do what a reader waits for in the middle of a request, which does not notice."""
        job = self._waiting.next_for_reader()
        if job is None:
            return
        from LMIALLib.network.device import apart

        since = time.monotonic()
        worked = since - self._started
        with apart():
            while job is not None:
                self._run(job)
                job = self._waiting.next_for_reader()
        self._running, self._started, self._last_progress = paused, time.monotonic() - worked, since

    def _run(self, job: Job) -> None:
        number = job.number
        self._running, self._started, self._last_progress = job, time.monotonic(), 0.0
        try:
            self._check_not_cancelled()
            self.say(events.Started(), number)
            result = run_job(self.study_folder, job.request, self.progress)
            self.say(result, number, time.monotonic() - self._started)
        except Cancelled:
            self.say(events.Cancelled(), number)
        except LMIALError as error:
            self._fail(number, error.sentence, error.hint, _kind_of(error), error.steps)
        except OSError as error:
            problem = disk_problem(error)
            self._fail(number, problem.sentence, problem.hint, _kind_of(problem))
        except MemoryError:
            self._fail(number, "The machine has not enough memory for this.", "Close other programs and try again.")
        except Exception as error:  # the process must outlive any job, and its reader must hear of it
            logging.getLogger(__name__).error("".join(traceback.format_exception(error)))
            self._fail(number, f"The work stopped on an unexpected error: {type(error).__name__}: {error}")
        finally:
            self._running = None

    def _fail(
        self, number: int, sentence: str, hint: str = "", kind: str = "LMIALError", steps: tuple[Step, ...] = ()
    ) -> None:
        sent = tuple(step.to_dict() for step in steps)
        self.say(events.Failed(sentence, hint, kind, sent, tuple(self._log.lines)), number)


def _kind_of(error: LMIALError) -> str:
    """The kind of error that the other side can raise again; a room's own kinds count as what they are made from."""
    known = (NeedsAlignment, NeedsConfirmation, BadInput, WrongUse, LMIALError)
    return next(kind.__name__ for kind in known if isinstance(error, kind))


def _private_output() -> IO[bytes]:
    """The real standard output for events; file descriptor 1 then leads to standard error for everyone else."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def main(arguments: list[str]) -> int:
    """Entry point: one argument, the study folder."""
    if len(arguments) != 1:
        print("usage: python -m LMIALLib.worker STUDY", file=sys.stderr)
        return 2
    # Threads that wait for each other by spinning make a shared machine ten times slower; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if hasattr(os, "nice"):  # the face must answer while we compute on the same cores
        os.nice(5)
    worker = Worker(Path(arguments[0]), _private_output())
    worker.say(events.Ready(__version__, python=sys.version.split()[0], pid=os.getpid()))
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        worker.work()
    except BrokenPipeError:
        return 0
    return 0
