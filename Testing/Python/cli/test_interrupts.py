"""Ctrl-C at any moment from our first line on: exit code 130 and no traceback, also while Python still imports."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from LMIALLib.study.store import Study

COUNTING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
at, count, begun = int(sys.argv[1]), 0, False
report = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
def trace(frame, event, value):
    global count, begun
    begun = begun or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    if begun and event == "line":
        count += 1
        if count == at:
            sys.settrace(None)
            os.write(report, f"{frame.f_code.co_filename}:{frame.f_lineno}".encode())
            os.kill(os.getpid(), signal.SIGINT)
    return trace
sys.argv = ["lmial", *sys.argv[3:]]
sys.settrace(trace)
try:
    from LMIALLib.cli import main
    main()
finally:
    sys.settrace(None)
    if not at:
        os.write(report, str(count).encode())
"""
"""Sends a SIGINT to itself at the n-th line of Python that runs after ours, or counts them (0)."""

BEFORE = {f"LMIALLib/{name}.py" for name in ("__init__", "__main__", "cli/__init__", "cli/interrupts")}
"""Files that are read before our first line has run."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no process of Windows can be sent a Ctrl-C by another")


@pytest.fixture
def empty_study(tmp_path: Path) -> Path:
    Study.create(tmp_path / "study").close()
    return tmp_path / "study"


def at_line(number: int, folder: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """A command that is interrupted at a line; how it ended, and which line that was."""
    report = folder / "line"
    command = [sys.executable, "-c", COUNTING, str(number), str(report), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended, report.read_text()


def test_whatever_line_runs_a_command_ends_with_130_and_without_traceback(empty_study: Path, tmp_path: Path) -> None:
    words = "history", str(empty_study)
    ended, lines = at_line(0, tmp_path, *words)
    assert ended.returncode == 0 and int(lines) > 10_000, ended.stderr
    draw = random.Random(16)
    for number in [1, 2, *(draw.randint(3, int(lines)) for _ in range(12)), *range(int(lines) - 12, int(lines), 3)]:
        ended, line = at_line(number, tmp_path, *words)
        assert (ended.returncode, "Traceback" in ended.stderr) == (130, False), (number, line, ended.stderr)


@pytest.mark.parametrize("installed", [False, True])
def test_whenever_it_comes_python_itself_at_most_prints_a_traceback(
    installed: bool, empty_study: Path, tmp_path: Path
) -> None:
    script = tmp_path / "lmial"  # as pip makes it
    script.write_text("import re\nimport sys\nfrom LMIALLib.cli import main\nif __name__ == '__main__':\n    main()\n")
    heard = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nos.execv(sys.executable, sys.argv[1:])"
    )
    start = ["-c", heard, sys.executable, *([str(script)] if installed else ["-m", "LMIALLib"])]
    for tenth in range(0, 30, 2):
        process = subprocess.Popen(
            [sys.executable, *start, "status", str(empty_study)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()},
        )  # fmt: skip
        time.sleep(tenth / 50)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        named = set(re.findall(r"LMIALLib/[\w/]+\.py", errors))
        if named - BEFORE or process.returncode not in (1, -signal.SIGINT):  # else Python had not come to us yet
            assert process.returncode in (0, 130) and "Traceback" not in errors, errors


def test_another_program_keeps_its_own_ways(tmp_path: Path) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom LMIALLib.cli import main\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_where_the_shell_has_it_ignored_it_stays_ignored(empty_study: Path, tmp_path: Path) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nfrom LMIALLib.cli import interrupts\n"
        "interrupts.run(lambda: signal.raise_signal(signal.SIGINT))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_worker_leaves_ctrl_c_to_its_session(empty_study: Path) -> None:
    command = [sys.executable, "-m", "LMIALLib.worker", str(empty_study)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert b"ready" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and b"Traceback" not in errors
