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
TRACED = "LMIALLib", "contextlib", "tempfile", "shutil", "zipfile", "sqlite3", "pathlib"
"""Parts of the paths of files whose lines are moments: ours, and the library's that save for us."""


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
    def drawn(cls, kind: str, calls: int, lines: int, draw: random.Random) -> Fault:
        """A random moment of a run that makes so many calls and runs so many lines when nothing fails."""
        if kind in ERRORS:
            return cls(kind, "call", draw.randint(1, max(calls, 1)), stays=draw.random() < 0.5)
        if draw.random() < 0.5:
            return cls(kind, "line", draw.randint(1, max(lines, 1)))
        return cls(kind, "call", draw.randint(1, max(calls, 1)), after=draw.random() < 0.5)

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
    """Counts moments of this process below a folder, and lets a fault come; ``report`` is where it is told."""

    def __init__(self, folder: Path, fault: Fault, report: int) -> None:
        self._library = ctypes.CDLL(None)
        self._fault, self._report = fault, report
        self.lines = 0
        error, sign = ERRORS.get(fault.kind, 0), int(SIGNALS.get(fault.kind, 0))
        call = fault.number if fault.at == "call" and fault.kind else 0
        where = os.fsencode(folder) + b"/"  # the folder run-1 is not the beginning of run-12
        self._library.arm(where, call, error, sign, int(fault.after), int(fault.stays), report)

    def begin(self, *, lines: bool = False) -> None:
        """Count lines as well, where the fault needs it or ``lines`` says so."""
        if lines or (self._fault.kind and self._fault.at == "line"):
            sys.settrace(self._enter)

    @property
    def calls(self) -> int:
        """Calls of the disk until now."""
        return int(self._library.calls())

    def pause(self, on: bool) -> None:
        """Leave out what another process would do."""
        self._library.listen_on(int(not on))

    def _enter(self, frame: FrameType, event: str, value: Any) -> Any:
        return self._line if any(part in frame.f_code.co_filename for part in TRACED) else None

    def _line(self, frame: FrameType, event: str, value: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self._fault.at == "line" and self.lines == self._fault.number and self._fault.kind:
                told = f"line {self.lines}: {frame.f_code.co_filename}:{frame.f_lineno}\n"
                os.write(self._report, told.encode())
                sys.settrace(None)
                os.kill(os.getpid(), SIGNALS[self._fault.kind])
        return self._line
