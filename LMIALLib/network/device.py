"""Where and how the network computes: device, number type, threads; the same inputs give the same bits."""

from __future__ import annotations

import gc
import os
import platform
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from LMIALLib.errors import Do, Step, WrongUse

DTYPES = ("float32", "bfloat16", "float16")

_threads_outside: list[int] = []
"""Threads that torch used before each `reproducible` block that is open, the outermost first."""


def chosen_device(device: str) -> str:
    """The device that a word means: "cpu", "cuda", "cuda:1", or "auto" (a GPU if there is one). Raises WrongUse."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if device.split(":")[0] == "cuda":
        if not torch.cuda.is_available():
            raise WrongUse(
                f"The device {device!r} cannot be used: torch finds no GPU.", "Use the CPU.", Step(Do.USE_CPU)
            )
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
    before = _ways()
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    outside = torch.get_num_threads()
    _threads_outside.append(outside)
    if threads is not None:
        torch.set_num_threads(max(1, int(threads)))
    try:
        yield torch.get_num_threads()
    finally:
        del _threads_outside[-1:]
        torch.set_num_threads(outside)
        _set_ways(before)


@contextmanager
def apart() -> Iterator[None]:
    """Compute something else in the middle of a computation, which then goes on as if nothing had happened.

    Inside the block torch computes with gradients and as many threads as outside every `reproducible` block. Afterwards
    threads, deterministic algorithms, and the random numbers of Python, numpy and torch on every device are as they
    were found.
    """
    import numpy as np
    import torch

    ways, threads = _ways(), torch.get_num_threads()
    numbers = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    outside = list(_threads_outside)
    if outside:
        torch.set_num_threads(outside[0])
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        gc.collect()  # what failed half-way closes now, not during a later step
        _threads_outside[:] = outside
        torch.set_num_threads(threads)
        _set_ways(ways)
        random.setstate(numbers[0])
        np.random.set_state(numbers[1])
        torch.set_rng_state(numbers[2])
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)


def _ways() -> tuple[bool, bool, bool, bool, bool]:
    """How torch computes: deterministic algorithms only, a warning instead, new memory filled, cuDNN's search, TF32."""
    import torch

    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        bool(torch.utils.deterministic.fill_uninitialized_memory),  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
    )


def _set_ways(ways: tuple[bool, bool, bool, bool, bool]) -> None:
    import torch

    torch.use_deterministic_algorithms(ways[0], warn_only=ways[1])
    torch.utils.deterministic.fill_uninitialized_memory = ways[2]  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = ways[3:]


def library_versions() -> dict[str, str]:
    """Versions of what shapes a prediction."""
    import numpy as np
    import torch

    return {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}


def conditions(
    *,
    passes: int,
    seed: int,
    device: str = "cpu",
    dtype: str = "float32",
    threads: int = 1,
    batch: int = 1,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Give ``Prediction.conditions`` of what was computed here and now; ``notes`` are sentences for a person.

    The defaults are for what gives the same bits however it is cut up.
    """
    computed = {"device": device, "dtype": dtype, "threads": threads, "batch": batch}
    where = {"cpu": processor_name(), "versions": library_versions(), "notes": list(notes)}
    return {**computed, "passes": passes, "seed": seed, **where}


def processor_name() -> str:
    """The kind of CPU and the instruction set that torch uses on it: results agree bit for bit on the same kind."""
    import torch

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def device_facts(device: str) -> dict[str, Any]:
    """What a face may show of a device: name and free memory in MB (None on a CPU)."""
    import torch

    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return {"device": device, "name": torch.cuda.get_device_name(device), "free_mb": free >> 20}
    return {"device": device, "name": processor_name(), "free_mb": None}
