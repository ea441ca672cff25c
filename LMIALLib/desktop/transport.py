"""The worker as a QProcess: no thread, because Slicer's main loop lets Python threads run only now and then."""

from __future__ import annotations

import json
import os
import signal
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from LMIALLib.desktop.dependencies import slicer_python, worker_python

_ending: list[QProcessTransport] = []
"""Workers that were asked to end and may still run."""


class Lines:
    """Bytes that come in pieces, given back as whole lines."""

    def __init__(self) -> None:
        self._whole: deque[bytes] = deque()
        self._rest = b""

    def add(self, data: bytes) -> None:
        """Take in what arrived."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._whole.extend(line + b"\n" for line in whole)

    def next(self) -> bytes | None:
        """The oldest whole line, or None."""
        return self._whole.popleft() if self._whole else None

    def __bool__(self) -> bool:
        return bool(self._whole)


def environment_of(own: bool, startup: dict[str, str]) -> dict[str, str]:
    """Environment of the worker: Slicer's for Slicer's Python, for another the one in which Slicer was started.

    The package is found wherever this process found it.
    """
    values = dict(os.environ) if own else {key: value for key, value in startup.items() if key != "PYTHONHOME"}
    parent = str(Path(__file__).resolve().parents[2])
    values["PYTHONPATH"] = os.pathsep.join(filter(None, [parent, values.get("PYTHONPATH")]))
    # PYTHONSAFEPATH: a file of the current folder must never be imported in place of a module
    return values | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}


class QProcessTransport:
    """A `worker.transport.Transport` on QProcess. Qt's main loop must run for lines to come in."""

    def __init__(self) -> None:
        self._process: Any = None
        self._lines = Lines()
        self._errors: deque[str] = deque(maxlen=40)
        self._error_lines = Lines()
        self.pid = 0

    def start(self, study_folder: Path) -> None:
        """Start ``python -m LMIALLib.worker`` for one study."""
        import qt
        import slicer

        python = worker_python()
        environment = qt.QProcessEnvironment()
        own = python == slicer_python()
        for key, value in environment_of(own, slicer.util.startupEnvironment()).items():
            environment.insert(key, value)
        self._process = qt.QProcess()
        self._process.setProcessEnvironment(environment)
        self._process.start(python, ["-m", "LMIALLib.worker", str(study_folder)])

    def send(self, line: bytes) -> None:
        """Hand one request line over; Qt writes it when it can."""
        if not self._running():
            raise BrokenPipeError("the worker is not running")
        self._process.write(line)

    def receive(self, timeout: float) -> bytes | None:
        """The next event line; with ``timeout`` the first bytes are waited for, that many seconds at most."""
        if self._process is None:
            return None
        if not self._lines and timeout > 0 and self._running():
            self._process.waitForReadyRead(int(1000 * timeout))
        self._take_in()
        line = self._lines.next()
        if line is not None and not self.pid:
            with suppress(ValueError, AttributeError):
                self.pid = int(json.loads(line).get("pid", 0))
        return line

    def alive(self) -> bool:
        """Whether the process runs or unread lines are left."""
        if self._process is None:
            return False
        running = self._running()
        self._take_in()
        return running or bool(self._lines)

    def last_lines(self) -> list[str]:
        """Standard error's last lines."""
        self._take_in()
        return list(self._errors)

    def close(self, seconds: float) -> None:
        """Close standard input and return at once; a worker that still runs after ``seconds`` is ended by force."""
        if self._process is None or not self._running():
            return
        import qt

        self._process.closeWriteChannel()
        _ending.append(self)
        qt.QTimer.singleShot(int(1000 * seconds), self._end)

    def _end(self) -> None:
        """End the process by force where it still runs: the launcher that Slicer's Python is, and what it started."""
        if self in _ending:
            _ending.remove(self)
        if not self._running():
            return
        if self.pid and self.pid != self._process.processId():
            with suppress(OSError):
                os.kill(self.pid, signal.SIGTERM)
        self._process.kill()

    def _running(self) -> bool:
        import qt

        return self._process is not None and self._process.state() != qt.QProcess.NotRunning

    def _take_in(self) -> None:
        if self._process is None:
            return
        self._lines.add(_bytes(self._process.readAllStandardOutput()))
        self._error_lines.add(_bytes(self._process.readAllStandardError()))
        while (line := self._error_lines.next()) is not None:
            self._errors.append(line.decode("utf-8", errors="replace").rstrip())


def _bytes(array: Any) -> bytes:
    """The bytes of a QByteArray, which PythonQt gives as an object of its own."""
    return array if isinstance(array, bytes) else bytes(array.data())


def end_all(seconds: float = 2.0) -> None:
    """Wait for the workers that were asked to end, then end them by force; called when the application exits."""
    for one in list(_ending):
        if one._running():
            one._process.waitForFinished(int(1000 * seconds))
        one._end()
        if one._running():
            one._process.waitForFinished(1000)
