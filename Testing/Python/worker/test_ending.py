"""A session that is killed takes its worker, nnU-Net and Dask's workers with it, whatever they are doing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from LMIALLib.worker.transport import SubprocessTransport

PROJECT = Path(__file__).resolve().parents[3]
BUSY = {
    # a job that does not say how far it is, as one inside a library
    "worker": (
        "import sys, time\nimport LMIALLib.worker.process as process\n"
        "process.run_job = lambda *_: time.sleep(120)\nsys.exit(process.main(sys.argv[1:]))\n",
        "from LMIALLib.worker.client import WorkerClient\nfrom LMIALLib.worker.requests import Export\n"
        "client = WorkerClient(Path('.'), transport=lambda: SubprocessTransport('busy'))\n"
        "job = client.submit(Export('out'))\n"
        "while job.state != 'running': client.poll(timeout=0.1)\n"
        "print(client.ready.pid, flush=True)\n",
    ),
    # nnU-Net, with a process that it started
    "nnunet": (
        "import subprocess, sys, time\nimport LMIALLib.pipeline.nnunet.process as process\n"
        "def run_steps(folder, request, progress):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])\n"
        "    progress('train', child.pid, 1)\n    time.sleep(120)\n"
        "process.run_steps = run_steps\nsys.exit(process.main(sys.argv[1:]))\n",
        "from LMIALLib.worker.messages import decode, encode\n"
        "transport = SubprocessTransport('busy', alone=True)\ntransport.start(Path('.'))\n"
        "transport.send(encode({'device': 'cpu', 'workers': 0, 'steps': []}))\n"
        "line = None\nwhile line is None: line = transport.receive(timeout=0.1)\n"
        "print(transport.pid(), decode(line)['done'], flush=True)\n",
    ),
}
DASK = (
    "import os, time\nfrom LMIALLib.laboratory.cluster import connected\n"
    "if __name__ == '__main__':\n"
    "    with connected(None, 2, 1) as client:\n"
    "        futures = [client.submit(time.sleep, 120, key=str(n)) for n in range(2)]\n"
    "        time.sleep(0.5)\n"
    "        print(*client.run(os.getpid, wait=True).values(), flush=True)\n        time.sleep(120)\n"
)


def lives(number: int) -> bool:
    """Whether a process runs (Linux: one that nobody waited for does not)."""
    stat = Path(f"/proc/{number}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed(script: str, folder: Path) -> None:
    """Run a session until it has printed the numbers of its processes, kill it, and see them end."""
    file = folder / "session.py"
    file.write_text(script)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(PROJECT)])}
    session = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True, env=environment)
    assert session.stdout is not None
    numbers = [int(word) for word in session.stdout.readline().split()]
    assert numbers and all(lives(number) for number in numbers)
    session.send_signal(signal.SIGKILL)
    session.wait()
    end = time.monotonic() + 15
    while any(lives(number) for number in numbers):
        if time.monotonic() > end:
            left = [number for number in numbers if lives(number)]
            for number in left:
                os.kill(number, signal.SIGKILL)
            pytest.fail(f"{len(left)} of {len(numbers)} processes outlived their session")
        time.sleep(0.05)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
@pytest.mark.parametrize("kind", BUSY)
def test_a_busy_process_ends_with_its_session(kind: str, tmp_path: Path) -> None:
    module, session = BUSY[kind]
    (tmp_path / "busy.py").write_text(module)
    begin = "import time\nfrom pathlib import Path\nfrom LMIALLib.worker.transport import SubprocessTransport\n"
    killed(f"{begin}{session}time.sleep(120)\n", tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
def test_workers_of_dask_end_with_their_session(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    killed(DASK, tmp_path)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The calls to other programs on a system that says it is Windows: without groups of processes."""
    called: list[list[str]] = []
    for name in ("killpg", "getpgid", "setsid"):
        monkeypatch.delattr(os, name, raising=False)

    def run(command: list[str], **_: Any) -> None:
        called.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(os, "name", "nt")
    return called


def test_on_windows_closing_ends_what_the_process_started_while_it_still_runs(
    windows: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = SubprocessTransport(alone=True)
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    transport._process = process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **options)
    states: list[int | None] = []

    def run(command: list[str], **_: Any) -> None:
        windows.append(command)
        states.append(process.poll())

    monkeypatch.setattr(subprocess, "run", run)
    transport.close(0.1)
    assert windows[0][0].endswith("taskkill.exe") and windows[0][0] != "taskkill.exe"
    assert windows[0][1:] == ["/F", "/T", "/PID", str(process.pid)]
    assert states[0] is None and process.poll() is not None


def test_on_windows_nnunet_ends_itself_and_what_it_started(
    windows: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from LMIALLib.pipeline.nnunet import process

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit):
        process._end_with(io.BytesIO(b""))
    assert windows[0][1:] == ["/F", "/T", "/PID", str(os.getpid())]


def test_on_windows_a_group_of_its_own_keeps_ctrl_c_away(windows: list[list[str]]) -> None:
    from LMIALLib.worker.process_group import own_group

    assert "start_new_session" not in own_group() and "creationflags" in own_group()
