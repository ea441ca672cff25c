"""Faults at drawn moments: a disk that fails or is full, and signals between two calls of the disk or two lines.

``disk_faults.c`` is loaded before libc and counts the calls that change something below one folder; a trace function
counts the lines of Python that run. Both moments are numbers, so that a run is the same when it is repeated.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

SOURCE = Path(__file__).with_name("disk_faults.c")
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}
KINDS = (*SIGNALS, *ERRORS)
DECISIVE = "rename", "fsync", "fdatasync", "ftruncate", "mkdir", "rmdir", "unlink"
"""How the names of calls begin around which it is decided what is kept; half of the moments are among these few."""
TRACED = "LMIALLib", "contextlib", "tempfile", "shutil", "zipfile", "sqlite3", "pathlib"
"""Parts of the paths of files whose lines are moments: ours, and the library's that save for us."""
UNTRACED = "json_data.py", "json_shapes.py"
"""They have by far the most lines, and none that keeps anything."""


@dataclass(frozen=True)
class Moments:
    """How many calls of the disk and lines of Python a run has, and which of the calls decide."""

    calls: int
    lines: int
    decisive: tuple[int, ...]

    @classmethod
    def told(cls, report: str, lines: int) -> Moments:
        """From what ``Counted`` told of a run in which nothing failed: a line for each call."""
        calls = [line.split(": ", 1)[1] for line in report.splitlines()]
        decisive = tuple(number for number, call in enumerate(calls, start=1) if call.startswith(DECISIVE))
        return cls(len(calls), lines, decisive)


@dataclass(frozen=True)
class Fault:
    """What happens, and when.

    Args:
        kind: one of ``KINDS``, or "" for none.
        at: "call" of the disk or "line" of Python; number: which one, from 1.
        after: a signal comes after that call instead of before it.
        stays: an error stays for every later call.
    """

    kind: str
    at: str = "call"
    number: int = 0
    after: bool = False
    stays: bool = False

    @classmethod
    def drawn(cls, kind: str, moments: Moments, draw: random.Random) -> Fault:
        """A random moment of a run that has these moments when nothing fails."""
        if kind in SIGNALS and moments.lines and draw.random() < 0.4:
            return cls(kind, "line", draw.randint(1, moments.lines))
        number = draw.choice(moments.decisive) if draw.random() < 0.5 else draw.randint(1, moments.calls)
        if kind in ERRORS:
            return cls(kind, "call", number, stays=draw.random() < 0.5)
        return cls(kind, "call", number, after=draw.random() < 0.5)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def build(folder: Path) -> Path:
    """Compile the library into ``folder``."""
    library = folder / "disk_faults.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def loaded() -> bool:
    """Whether the library was loaded before libc in this process."""
    return hasattr(ctypes.CDLL(None), "arm")


class Counted:
    """Counts moments of this process below a folder, and lets a fault come; ``report`` is where it is told.

    Without a fault every call is told, and lines are counted as well. With ``in_worker`` the fault comes in the process
    that this one starts, and this one counts nothing.
    """

    def __init__(self, folder: Path, fault: Fault, report: Path, *, in_worker: bool) -> None:
        self._library = ctypes.CDLL(None)
        self._fault, self._in_worker = fault, in_worker
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.lines = 0
        error, sign = ERRORS.get(fault.kind, 0), int(SIGNALS.get(fault.kind, 0))
        call = (fault.number if fault.at == "call" else 0) if fault.kind else -1
        if in_worker:
            numbers = call, error, sign, int(fault.after), int(fault.stays)
            os.environ["STORM_FAULT"] = " ".join(map(str, (*numbers, f"{folder}/", report)))
            return
        where = os.fsencode(folder) + b"/"  # the folder run-1 is not the beginning of run-12
        self._library.arm(where, call, error, sign, int(fault.after), int(fault.stays), self._report)

    def begin(self) -> None:
        """Count lines as well, where that is needed: it takes time."""
        if not self._in_worker and (not self._fault.kind or self._fault.at == "line"):
            sys.settrace(self._enter)

    def pause(self, on: bool) -> None:
        """Leave out what another process would do."""
        self._library.listen_on(int(not on))

    def _enter(self, frame: FrameType, event: str, value: Any) -> Any:
        file = frame.f_code.co_filename
        return self._line if any(part in file for part in TRACED) and not file.endswith(UNTRACED) else None

    def _line(self, frame: FrameType, event: str, value: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self._fault.at == "line" and self.lines == self._fault.number and self._fault.kind:
                told = f"line {self.lines}: {frame.f_code.co_filename}:{frame.f_lineno}\n"
                os.write(self._report, told.encode())
                sys.settrace(None)
                os.kill(0 if self._fault.kind == "SIGINT" else os.getpid(), SIGNALS[self._fault.kind])
        return self._line
