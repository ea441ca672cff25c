"""The background process: reads requests, runs one job at a time, writes events.

Standard output carries events and nothing else: whatever a library prints is sent to standard error, whose last lines
come back with a failure. When the other side closes standard input (or is killed) the process ends by itself: a job
that runs is given up, and where it does not hear of that the process ends all the same.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from LMIALLib.errors import BadInput, LMIALError, NeedsAlignment, NeedsConfirmation, WrongUse, disk_problem
from LMIALLib.progress import Cancelled
from LMIALLib.worker.jobs import run_job
from LMIALLib.worker.messages import FINAL, JOBS, PROTOCOL, decode, encode, finite

PROGRESS_EVERY = 0.2
"""Seconds between two progress events of one job, so that a pipe is never flooded."""

FIRST = ("export",)
"""Jobs that a person waits for: they pause a running fine-tuning at its next step, which takes minutes."""

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


class Worker:
    """Runs jobs for one study and tells about them on ``output``."""

    def __init__(self, study_folder: Path, output: IO[bytes]) -> None:
        self.study_folder = study_folder
        self._output = output
        self._lock = threading.Lock()
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._running: int | None = None
        self._doing = ""
        self._first: deque[dict[str, Any]] = deque()
        self._paused: set[int] = set()
        self._passed: set[int] = set()
        self._told_to_stop = False
        self._over = threading.Event()
        self._started = 0.0
        self._last_progress = 0.0
        self._log = _LastLines()
        logging.getLogger().addHandler(self._log)

    def say(self, event: str, **fields: Any) -> None:
        """Write one event; safe from either thread."""
        with self._lock:
            self._output.write(encode({"event": event, **finite(fields)}))
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
            pass  # the other side is gone and cannot even be told so
        finally:
            self._end_now()
            if not self._over.wait(POLITE if self._told_to_stop else LAST_MOMENT):
                os._exit(1)

    def _receive(self, line: bytes) -> None:
        try:
            request = decode(line)
            number = int(request.get("id", 0))
        except (TypeError, ValueError) as error:
            self.say("log", level="error", line=f"A request was not understood: {error}")
            return
        what = request.get("do")
        if what in JOBS:
            self.say("accepted", id=number, do=what)
            if what in FIRST:
                self._first.append(request)
            self._waiting.put(request)
        elif what == "cancel":
            self._cancelled.add(int(request.get("job", -1)))
        elif what == "status":
            self.say("status", id=number, running=self._running, waiting=self._waiting.qsize())
        elif what == "stop":
            self._told_to_stop = True
            self._end_now()
        else:
            self.say("failed", id=number, sentence=f"The worker knows no request {what!r}.", hint="", lines=[])

    def _end_now(self) -> None:
        if self._running is not None:
            self._cancelled |= {self._running, *self._paused}
        self._first.clear()
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self._waiting.put(None)

    def work(self) -> None:
        """Run queued jobs, one at a time, until asked to stop."""
        try:
            while (request := self._waiting.get()) is not None:
                self._run(request)
        finally:
            self._over.set()

    def progress(self, stage: str, done: int, total: int, **figures: Any) -> None:
        """Tell how far the running job is; raises Cancelled when it was cancelled. 100 % is left to the final event."""
        if self._running in self._cancelled:
            raise Cancelled
        if self._doing == "finetune":
            self._let_pass()
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_EVERY:
            return
        self._last_progress = now
        share = min(done / max(total, 1), 0.99)
        left = (now - self._started) * (1 - share) / share if share > 0.02 else None
        self.say("progress", id=self._running, stage=stage, done=done, total=total, seconds_left=left, **figures)

    def _let_pass(self) -> None:
        """Run what goes first, in the middle of the job that runs; its own turn in the queue is then over."""
        before = self._running, self._doing, self._started, self._last_progress
        while self._first and before[0] is not None:
            request = self._first.popleft()
            self._paused.add(before[0])
            self._run(request)
            self._passed.add(int(request["id"]))
            self._paused.discard(before[0])
            self._running, self._doing, self._started, self._last_progress = before

    def _run(self, request: dict[str, Any]) -> None:
        number = int(request["id"])
        if number in self._passed:
            return
        with suppress(ValueError):
            self._first.remove(request)
        self._running, self._doing, self._started, self._last_progress = number, request["do"], time.monotonic(), 0.0
        try:
            if number in self._cancelled:
                raise Cancelled
            self.say("started", id=number)
            result = run_job(self.study_folder, request, self.progress)
            self.say(FINAL[request["do"]], id=number, result=result, seconds=time.monotonic() - self._started)
        except Cancelled:
            self.say("cancelled", id=number)
        except LMIALError as error:
            self._fail(number, error.sentence, error.hint, _kind_of(error))
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

    def _fail(self, number: int, sentence: str, hint: str = "", kind: str = "LMIALError") -> None:
        lines = list(self._log.lines)
        self.say("failed", id=number, sentence=sentence, hint=hint, kind=kind, lines=lines)


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
    import LMIALLib

    # Threads that wait for each other by spinning make a shared machine ten times slower; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if hasattr(os, "nice"):  # the face must answer while we compute on the same cores
        os.nice(5)
    worker = Worker(Path(arguments[0]), _private_output())
    worker.say(
        "ready", version=LMIALLib.__version__, protocol_version=PROTOCOL, python=sys.version.split()[0], pid=os.getpid()
    )
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        worker.work()
    except BrokenPipeError:
        return 0
    return 0
