"""How much memory preparing a pair takes, and how much this machine has left: refuse before it runs out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.registration import WORKING_MM

BYTES_A_VOXEL = 17
"""Of the larger scan, beside the inputs: both scans as float32, one of them as spline coefficients or as bytes that are
compressed, and masks. All figures here were measured by Testing/Benchmarks/preparing_memory.py."""
BYTES_A_WORKING_VOXEL = 45
"""Of the coarser voxels on which registration works: both scans, smoothed, and distances."""
FIXED_BYTES = 300e6
"""For what is worked on slab by slab, and the voxels by which intensities are matched."""


def check_memory(*grids: Grid) -> None:
    """Refuse a pair that cannot be prepared in the memory that is free. Raises BadInput with one sentence.

    ``grids`` are those of both scans, which are in memory already.
    """
    needed, free = memory_needed(*grids), free_memory()
    if needed > free:
        raise BadInput(
            f"preparing this pair takes about {needed / 1e9:.1f} GB more memory, and {free / 1e9:.1f} GB are free.",
            "Close other programs, use a machine with more memory, or make the voxels of both scans larger.",
        )


def memory_needed(*grids: Grid) -> float:
    """Bytes that preparing takes beside the scans themselves, which lie on ``grids``."""
    voxels = max(float(np.prod(grid.size)) for grid in grids)
    working = max(
        float(np.prod([n // max(1, int(WORKING_MM / mm)) for n, mm in zip(grid.size, grid.spacing, strict=True)]))
        for grid in grids
    )
    return FIXED_BYTES + max(BYTES_A_VOXEL * voxels, BYTES_A_WORKING_VOXEL * working)


def free_memory() -> float:
    """Bytes that this process can still take without another one losing its own; infinite where nothing says so."""
    return min(_of_the_machine(), _of_the_group())


def _of_the_machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform == "win32":
        return _of_windows()
    try:  # macOS says how much there is, and gives what other programs do not use at the moment
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _of_windows() -> float:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "pages", "free_pages", "space", "left", "more")),
        )

    status = Status(length=ctypes.sizeof(Status))
    known = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return float(status.free) if known else float("inf")


def _of_the_group() -> float:
    """What a container or a queue of a cluster leaves (control groups, version 2)."""
    try:
        path = next(
            line.split("::", 1)[1].strip()
            for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
            if line.startswith("0::")
        )
        least, folder = float("inf"), Path("/sys/fs/cgroup") / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group == Path("/sys/fs"):
                break
            most = group / "memory.max"
            if most.is_file() and (limit := most.read_text(encoding="ascii").strip()) != "max":
                held = dict(
                    line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines() if line
                )
                used = int((group / "memory.current").read_text(encoding="ascii"))
                least = min(least, int(limit) - used + int(held.get("inactive_file", 0)))
        return max(least, 0.0)
    except (OSError, StopIteration, ValueError):
        return float("inf")
