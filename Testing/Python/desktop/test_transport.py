"""The worker's lines through QProcess, with a small stand-in for Qt's process."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from LMIALLib.desktop import transport
from LMIALLib.desktop.transport import Lines, QProcessTransport, environment_of
from LMIALLib.worker.client import WorkerClient, WorkerDied
from LMIALLib.worker.events import Failed, Started, event_message
from LMIALLib.worker.messages import decode, encode
from LMIALLib.worker.requests import Rank, Ranked

RANK = Rank(cases=(), model="m", strategy="entropy", seed=0)
RANKED = Ranked(ranking={}, conditions={}, annotations_upto=0)


class Bytes:
    """As PythonQt's QByteArray: an object that gives its bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def data(self) -> bytes:
        return self._data


class Process:
    """What is used of a QProcess; a test plays the worker."""

    made: ClassVar[list[Process]] = []

    def __init__(self) -> None:
        self.running, self.written, self.said, self.errors = False, b"", b"", b""
        self.killed = self.closed = False
        self.made.append(self)

    def setProcessEnvironment(self, environment: Any) -> None:  # noqa: N802
        self.environment = environment.values

    def start(self, program: str, arguments: list[str]) -> None:
        self.program, self.arguments, self.running = program, arguments, True

    def state(self) -> int:
        return 2 if self.running else 0

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def readAllStandardOutput(self) -> Bytes:  # noqa: N802
        data, self.said = self.said, b""
        return Bytes(data)

    def readAllStandardError(self) -> Bytes:  # noqa: N802
        data, self.errors = self.errors, b""
        return Bytes(data)

    def closeWriteChannel(self) -> None:  # noqa: N802
        self.closed = True

    def waitForFinished(self, milliseconds: int) -> bool:  # noqa: N802
        return not self.running

    def processId(self) -> int:  # noqa: N802
        return 1

    def kill(self) -> None:
        self.killed, self.running = True, False


class Environment:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def insert(self, key: str, value: str) -> None:
        self.values[key] = value


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What a single shot timer was given to do; the modules qt and slicer are stand-ins."""
    kept: list[Any] = []
    qt: Any = types.ModuleType("qt")
    Process.made.clear()

    class QProcess(Process):
        NotRunning = 0

    qt.QProcess, qt.QProcessEnvironment = QProcess, Environment
    qt.QTimer = types.SimpleNamespace(singleShot=lambda _, action: kept.append(action))
    slicer: Any = types.ModuleType("slicer")
    slicer.util = types.SimpleNamespace(settingsValue=lambda key, default: default, startupEnvironment=dict)
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    monkeypatch.delenv("LMIAL_PYTHON", raising=False)
    transport._ending.clear()
    yield kept
    transport._ending.clear()


def test_lines_that_come_in_pieces_are_given_back_whole() -> None:
    lines = Lines()
    for piece in (b'{"a"', b": 1}\n{", b'"b": 2}\n', b"half"):
        lines.add(piece)
    assert [lines.next(), lines.next(), lines.next()] == [b'{"a": 1}\n', b'{"b": 2}\n', None]


def test_another_python_gets_the_environment_from_before_slicer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/slicer/lib")
    found = environment_of(False, {"HOME": "/home/anna", "PYTHONHOME": "/slicer", "PYTHONPATH": "/mine"})
    parent = str(Path(transport.__file__).resolve().parents[2])
    assert found["PYTHONPATH"] == os.pathsep.join([parent, "/mine"])
    assert "PYTHONHOME" not in found and "LD_LIBRARY_PATH" not in found
    assert environment_of(True, {})["LD_LIBRARY_PATH"] == "/slicer/lib"


def test_a_client_hears_the_worker_through_it(later: list[Any], tmp_path: Path) -> None:
    client = WorkerClient(tmp_path, transport=QProcessTransport)
    job = client.submit(RANK)
    process = Process.made[0]
    assert process.arguments == ["-m", "LMIALLib.worker", str(tmp_path)]
    assert decode(process.written)["do"] == "rank"
    process.said = encode({"event": "ready", "pid": 77}) + encode({"event": "started", "id": 1})[:10]
    assert client.poll() == [] and client.ready is not None
    process.said = encode({"event": "started", "id": 1})[10:] + encode(event_message(RANKED, 1, 0.5))
    assert client.poll() == [(job, Started()), (job, RANKED)]
    assert job.state == "done" and job.result == RANKED


def test_a_killed_worker_is_noticed_with_its_last_lines(later: list[Any], tmp_path: Path) -> None:
    client = WorkerClient(tmp_path, transport=QProcessTransport)
    job = client.submit(RANK)
    Process.made[0].errors = b"out of luck\n"
    Process.made[0].running = False
    ((failed, event),) = client.poll()
    assert failed is job and isinstance(event, Failed) and isinstance(job.error, WorkerDied)
    assert job.lines == ("out of luck",)
    client.submit(RANK)
    assert len(Process.made) == 2


def test_ending_does_not_wait_and_force_comes_later(later: list[Any], tmp_path: Path) -> None:
    client = WorkerClient(tmp_path, transport=QProcessTransport)
    client.submit(RANK)
    process = Process.made[0]
    client.close(5.0)
    assert process.closed and not process.killed
    later[0]()
    assert process.killed and not transport._ending


def test_no_worker_outlives_the_application(later: list[Any], tmp_path: Path) -> None:
    client = WorkerClient(tmp_path, transport=QProcessTransport)
    client.submit(RANK)
    client.close(5.0)
    transport.end_all(0.0)
    assert Process.made[0].killed and not transport._ending
