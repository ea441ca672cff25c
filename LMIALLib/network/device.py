"""Where and how the network computes: device, number type, threads; the same inputs give the same bits."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from LMIALLib.errors import WrongUse

DTYPES = ("float32", "bfloat16", "float16")


def chosen_device(device: str) -> str:
    """The device that a word means: "cpu", "cuda", "cuda:1", or "auto" (a GPU if there is one). Raises WrongUse."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if device.split(":")[0] == "cuda":
        if not torch.cuda.is_available():
            raise WrongUse(f"The device {device!r} was asked for, but torch finds no GPU.", "Use --device cpu or auto.")
        return device
    raise WrongUse(f"The device {device!r} is unknown.", "Use cpu, cuda or auto.")


def checked_dtype(dtype: str) -> str:
    """The name of a number type of prediction. Raises WrongUse for another."""
    if dtype not in DTYPES:
        raise WrongUse(f"The number type {dtype!r} is unknown.", f"Use one of {', '.join(DTYPES)}.")
    return dtype


@contextmanager
def reproducible(threads: int | None = None) -> Iterator[int]:
    """Only deterministic algorithms and a fixed number of threads inside the block; gives that number.

    ``threads`` None keeps what torch uses. Everything is set back afterwards. New memory is not filled first, which
    torch does beside deterministic algorithms: nothing here reads what it did not write, and it costs a tenth of a
    step.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    memory: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        memory.fill_uninitialized_memory,
        torch.get_num_threads(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
    )
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    if threads is not None:
        torch.set_num_threads(max(1, int(threads)))
    try:
        yield torch.get_num_threads()
    finally:
        torch.use_deterministic_algorithms(before[0])
        memory.fill_uninitialized_memory = before[1]
        torch.set_num_threads(before[2])
        torch.backends.cudnn.benchmark = before[3]
        torch.backends.cudnn.allow_tf32 = before[4]


def library_versions() -> dict[str, str]:
    """Versions of what shapes a prediction."""
    import numpy as np
    import torch

    return {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}


def processor_name() -> str:
    """The kind of CPU and the instruction set that torch uses on it: results agree bit for bit on the same kind."""
    import torch

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def device_facts(device: str) -> dict[str, Any]:
    """What a reader may be told of a device: name and free memory in MB (None on a CPU)."""
    import torch

    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return {"device": device, "name": torch.cuda.get_device_name(device), "free_mb": free >> 20}
    return {"device": device, "name": processor_name(), "free_mb": None}
