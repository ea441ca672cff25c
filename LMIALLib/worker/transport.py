"""How bytes reach the worker and come back: a protocol, and its form for plain Python (``subprocess`` and threads).

The desktop face brings its own form on QProcess; both are small on purpose.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

from LMIALLib.worker.process_group import end_group, own_group


class Transport(Protocol):
    """What the client needs of a child process."""

    def start(self, study_folder: Path) -> None:
        """Start the worker for one study."""

    def send(self, line: bytes) -> None:
        """Hand one request line over. Raises BrokenPipeError when the worker has gone."""

    def receive(self, timeout: float) -> bytes | None:
        """The next event line, or None when none came within ``timeout`` seconds."""

    def alive(self) -> bool:
        """Whether the worker runs, or lines of it still wait to be received."""

    def last_lines(self) -> list[str]:
        """The last lines the worker wrote to standard error."""

    def close(self, seconds: float) -> None:
        """End the worker: politely, and after ``seconds`` by force."""


def worker_python() -> str:
    """The interpreter of the worker: LMIAL_PYTHON, by default the one that runs here."""
    return os.environ.get("LMIAL_PYTHON") or sys.executable


class SubprocessTransport:
    """The worker as a child process of plain Python, read by two daemon threads.

    Args:
        module: what is run, with the study's folder as its argument.
        environment: variables that the process has beside those of this one.
        alone: with a process group of its own, which ends with it: for work that starts processes itself.
    """

    def __init__(
        self, module: str = "LMIALLib.worker", environment: Mapping[str, str] | None = None, *, alone: bool = False
    ) -> None:
        self._module, self._environment, self._alone = module, dict(environment or {}), alone
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=40)
        self._readers: list[threading.Thread] = []

    def start(self, study_folder: Path) -> None:
        """Start ``python -m`` with the module; the package is found wherever this process found it."""
        package_parent = str(Path(__file__).resolve().parents[2])
        # PYTHONSAFEPATH: a file of the current folder must never be imported in place of a module
        environment = dict(os.environ, PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1", PYTHONSAFEPATH="1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [worker_python(), "-m", self._module, str(study_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | self._environment,
            **(own_group() if self._alone else {}),
        )
        assert self._process.stdout and self._process.stderr
        self._readers = [
            threading.Thread(target=self._read_events, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_events(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line)

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._errors.append(line.decode("utf-8", errors="replace").rstrip())

    def send(self, line: bytes) -> None:
        """Write one line and flush it."""
        if self._process is None or self._process.stdin is None or self._process.poll() is not None:
            raise BrokenPipeError("the worker is not running")
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def receive(self, timeout: float) -> bytes | None:
        """The next event line; ``timeout`` 0 does not wait."""
        try:
            return self._lines.get(timeout=timeout) if timeout > 0 else self._lines.get_nowait()
        except queue.Empty:
            return None

    def alive(self) -> bool:
        """Whether the process runs or unread lines are left."""
        running = self._process is not None and self._process.poll() is None
        return running or any(reader.is_alive() for reader in self._readers) or not self._lines.empty()

    def last_lines(self) -> list[str]:
        """Standard error's last lines."""
        return list(self._errors)

    def pid(self) -> int | None:
        """Number of the process, None where none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def close(self, seconds: float) -> None:
        """Close standard input, wait, then kill."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            if self._alone:
                end_group(self._process.pid)  # while it runs: Windows finds those that it started through it
            self._process.kill()
            self._process.wait()
        if self._alone:
            end_group(self._process.pid)  # usually nobody is left
        self._process = None
