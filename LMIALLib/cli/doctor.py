"""Whether this machine has what LMIAL needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from LMIALLib.files import flush_file
from LMIALLib.resources import resource
from LMIALLib.worker.transport import worker_python

PACKAGES = (
    *("torch", "monai", "numpy", "SimpleITK", "scikit-image", "scipy", "nibabel", "pydicom", "pynrrd", "safetensors"),
    "matplotlib",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    found: str


def examine() -> list[Finding]:
    """Look at interpreter, packages, weights, the worker's device, the disk, and what the browser face needs."""
    return [*_interpreter(), *_packages(), _weights(), _device(), _disk(), _browser_face()]


def _browser_face() -> Finding:
    """The face is optional: what it lacks is listed and is no fault of the machine."""
    from LMIALLib.browser.machine import obstacles

    return Finding("browser face (lmial annotate)", True, "ready" if not obstacles() else "; ".join(obstacles()))


def _interpreter() -> Iterator[Finding]:
    yield Finding("LMIAL", True, importlib.metadata.version("lmial"))
    yield Finding("Python", True, f"{platform.python_version()} on {platform.system()}")


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, f"missing; install it: pip install {name}")


def _weights() -> Finding:
    from LMIALLib.errors import LMIALError

    try:
        from LMIALLib.network.weights import load_weights

        path = resource("Weights", "change.safetensors")
        _, info = load_weights(path)
        return Finding("bundled weights", True, f"{path.stat().st_size / 1e6:.1f} MB, digest {info.digest[:12]}")
    except (LMIALError, OSError, ImportError) as error:
        return Finding("bundled weights", False, str(error))


def _device() -> Finding:
    """What the worker's own interpreter can compute on; asked there, because it need not be this one."""
    ask = (
        "from LMIALLib.network.device import chosen_device, device_facts\n"
        "print(*filter(None, device_facts(chosen_device('auto')).values()))"
    )
    environment = dict(os.environ, PYTHONSAFEPATH="1", PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    try:
        asked = subprocess.run(
            [worker_python(), "-c", ask], capture_output=True, text=True, timeout=120, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("worker", False, f"{worker_python()} does not start: {error}")
    if asked.returncode != 0:
        last = asked.stderr.strip().splitlines()[-1:] or ["no output"]
        return Finding("worker", False, last[0])
    return Finding("worker", True, asked.stdout.strip())


def _disk() -> Finding:
    """How long a flushed write takes here; an annotation waits for a few of them."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() if os.access(Path.cwd(), os.W_OK) else None) as folder:
        file = Path(folder) / "probe"
        began = time.perf_counter()
        for _ in range(10):
            file.write_bytes(b"x" * 4096)
            flush_file(file)
        each = (time.perf_counter() - began) / 10
    return Finding("disk", True, f"a flushed write takes {each * 1000:.1f} ms in this folder")
