"""One input of the campaign, in a process of its own: the files are made, then the command line reads them.

The process is forked from one that has imported everything, so that an input costs milliseconds instead of the seconds
that an import takes. LMIAL's worker is forked from it in the same way instead of being started anew; everything else
is the command line's own code.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import logging
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = 2 << 30
"""Bytes of address space that a process may take beyond what it had when it was forked."""
LARGEST_FILE = 1 << 30
SECONDS = 60.0
"""An input that takes longer hangs."""
NOBODY = 65534
MADE_BADLY = 99
"""Exit code of a process whose input could not be made: a fault of the campaign, not of LMIAL."""
PASSED, BROKEN_WORKER, WORKER_LOG = "passed", "worker", "worker-log"
"""Files that a process leaves beside its input: checks that were passed; by which signal the worker ended; what it
logged."""


@dataclass(frozen=True)
class Attempt:
    """What is asked of the command line.

    Args:
        words: the arguments of ``lmial``.
        must_refuse: whether reading the input would show or change what lies outside of it.
    """

    words: list[str]
    must_refuse: bool = False


Maker = Callable[[random.Random, Path, Path], Attempt]
"""(random numbers, folder of valid inputs, empty folder to write to) -> what to ask."""


def run_input(
    make: Maker, seed: str, base: Path, place: Path, *, debug: bool = False, patience: int = 1
) -> tuple[int, float]:
    """Make one input in ``place/work``, let the command line read it, and return its wait status and seconds.

    Standard output and error land in ``place/out`` and ``place/err``. The status is -1 for a hang, after ``patience``
    times `SECONDS`.
    """
    (place / "work").mkdir(parents=True)
    pid = os.fork()
    if pid == 0:
        _never_return(make, seed, base, place, debug)
    return _waited(pid, SECONDS * patience)


def _waited(pid: int, longest: float) -> tuple[int, float]:
    start = time.monotonic()
    pause = 0.002
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        spent = time.monotonic() - start
        if done or spent > longest:
            break
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # also a worker that it left behind
    if not done:
        os.waitpid(pid, 0)
        return -1, spent
    return status, spent


def _never_return(make: Maker, seed: str, base: Path, place: Path, debug: bool) -> None:
    code = MADE_BADLY
    try:
        os.setsid()
        _streams(place)
        faulthandler.enable(2)
        faulthandler.dump_traceback_later(max(SECONDS - 1, 0.1))  # a hang says where
        try:
            os.environ["LMIAL_DEBUG"] = "1" if debug else ""
            attempt = make(random.Random(seed), base, place / "work")
            (place / "words").write_text(repr(attempt.words), encoding="utf-8", errors="backslashreplace")
            if attempt.must_refuse:
                (place / "must_refuse").touch()
            _narrow(place)
        except BaseException:
            traceback.print_exc()
            os._exit(MADE_BADLY)
        code = _command_line(attempt.words, place)
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _command_line(words: list[str], place: Path) -> int:
    """What the program ``lmial`` does, up to its exit code; 1 with a traceback where something escapes it."""
    from LMIALLib.cli import main

    sys.argv = ["lmial", *words]
    os.chdir(place / "work")
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _streams(place: Path) -> None:
    for number, name in ((0, os.devnull), (1, place / "out"), (2, place / "err")):
        descriptor = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _narrow(place: Path) -> None:
    """Limits of memory and files; where this is root, become nobody, so that no fault can harm the machine."""
    if os.geteuid() == 0:
        for folder, _, files in os.walk(place):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        _become_nobody()
    held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG, as on a full disk


def _become_nobody() -> None:
    """Give up every right of root but that of reading, without which its interpreter may be out of reach."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    only_reading = 1 << 2  # CAP_DAC_READ_SEARCH
    sets = struct.pack("6I", only_reading, only_reading, 0, 0, 0, 0)
    if libc.capset(struct.pack("Ii", 0x20080522, 0), sets) != 0:
        raise OSError(ctypes.get_errno(), "the rights of root could not be given up")


class ForkedWorker:
    """In place of ``subprocess.Popen`` in LMIAL's transport: ``python -m MODULE ARGUMENTS`` forked, not started."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None, **options: Any) -> None:
        place = Path.cwd().parent
        pipes = [os.pipe() for _ in range(3)]
        self.returncode: int | None = None
        self._killed, self._place = False, place
        self.pid = os.fork()
        if self.pid == 0:
            if options.get("start_new_session"):
                os.setsid()
            self._never_return(command[2], command[3:], env or {}, pipes)
        for end in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(end)
        self.stdin = os.fdopen(pipes[0][1], "wb", buffering=0)
        self.stdout = os.fdopen(pipes[1][0], "rb")
        self.stderr = os.fdopen(pipes[2][0], "rb")

    @staticmethod
    def _never_return(module: str, arguments: list[str], env: dict[str, str], pipes: list[tuple[int, int]]) -> None:
        code = 1
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            for number, end in enumerate((pipes[0][0], pipes[1][1], pipes[2][1])):
                os.dup2(end, number)
            for pipe in pipes:
                for end in pipe:
                    if end > 2:
                        os.close(end)
            sys.stdin = os.fdopen(0, "r")
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.environ.update(env)
            sys.argv = [module, *arguments]
            faulthandler.enable(os.open(Path.cwd().parent / WORKER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            if os.environ.get("LMIAL_DEBUG"):
                logging.getLogger().addHandler(logging.FileHandler(Path.cwd().parent / WORKER_LOG))
            program = "process" if module == "LMIALLib.worker" else None
            code = importlib.import_module(f"{module}.{program}" if program else module).main(arguments) or 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        """The exit code, minus the signal where one ended it; None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                done, status = os.waitpid(self.pid, os.WNOHANG)
                if done:
                    self.returncode = os.waitstatus_to_exitcode(status)
                    if self.returncode < 0 and not self._ended_by_lmial():
                        (self._place / BROKEN_WORKER).write_text(str(-self.returncode), encoding="ascii")
        return self.returncode

    def _ended_by_lmial(self) -> bool:
        # nnU-Net's process ends its whole group, itself included, as soon as its standard input is closed
        return self._killed or (self.returncode == -signal.SIGKILL and self.stdin.closed)

    def wait(self, timeout: float | None = None) -> int:
        """As ``subprocess.Popen.wait``."""
        import subprocess

        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(0.002)
        return code

    def kill(self) -> None:
        """End it at once, which then is no signal of its own."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    terminate = kill


def note_passed(check: str) -> None:
    """Note beside the input that a check was passed."""
    with open(Path.cwd().parent / PASSED, "a", encoding="utf-8") as stream:
        stream.write(f"{check}\n")


def mark_when_passed(module: str, function: str) -> None:
    """Let a function of LMIAL write its name into the file `PASSED` when it returns, in every room that imported it."""
    original = getattr(importlib.import_module(module), function)

    def marking(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        with contextlib.suppress(OSError):
            note_passed(function)
        return result

    for room in [room for name, room in sys.modules.items() if name.startswith("LMIALLib")]:
        for name, value in list(vars(room).items()):
            if value is original:
                setattr(room, name, marking)
            elif isinstance(value, dict):
                for key, inner in list(value.items()):
                    if inner is original:
                        value[key] = marking
