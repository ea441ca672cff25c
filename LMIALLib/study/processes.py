"""Whether a process still runs, found out without harming it: on Windows ``os.kill(pid, 0)`` would end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def process_started(number: int) -> str | None:
    """When process ``number`` of this machine started, as text that only serves comparison.

    None: no such process (or only its remains, a zombie). Empty string: it runs, but its start cannot be found out.
    """
    if os.name == "nt":
        return _started_windows(number)
    if sys.platform.startswith("linux") and Path("/proc/self/stat").exists():
        return _started_linux(number)
    return _started_posix(number)


def _started_linux(number: int) -> str | None:
    try:
        line = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()  # the name in parentheses may itself hold spaces
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" else f"{_boot()}:{ticks_since_boot}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started_posix(number: int) -> str | None:
    try:
        asked = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(number)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    line = asked.stdout.strip()
    return None if not line or line.startswith("Z") else line.partition(" ")[2].strip()


def _started_windows(number: int) -> str | None:
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(0x1000, False, number)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        access_denied = 5
        return "" if kernel.GetLastError() == access_denied else None
    try:
        code = ctypes.c_ulong()
        still_active = 259
        if kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code)) and code.value != still_active:
            return None
        times = [ctypes.c_ulonglong() for _ in range(4)]
        known = kernel.GetProcessTimes(ctypes.c_void_p(handle), *(ctypes.byref(t) for t in times))
        return str(times[0].value) if known else ""
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
