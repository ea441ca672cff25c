"""A process that starts others: begun so that all of them can be ended together, on POSIX and on Windows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any


def own_group() -> dict[str, Any]:
    """Options of ``subprocess.Popen`` for a process with a group of its own, which no Ctrl-C in a terminal reaches."""
    if os.name == "nt":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}


def end_group(leader: int) -> None:
    """End a process that was begun with ``own_group``, and what it started, by force; nothing where nobody is left.

    Windows has no groups that could be ended: there, what the process started and what those started is ended with it,
    as long as it runs itself.
    """
    if os.name == "nt":
        # by its full name: a program of the same name in the current folder would come first
        program = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        with contextlib.suppress(OSError):
            subprocess.run([program, "/F", "/T", "/PID", str(leader)], capture_output=True, check=False)
        return
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)
