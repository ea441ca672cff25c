"""Independent jobs on Dask: a local cluster, or any scheduler; a lost worker costs its own job only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from LMIALLib.errors import BadInput, LMIALError, WrongUse

if TYPE_CHECKING:
    from dask.distributed import Client

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WORKERS_LOST = 3
"""A job is given up when it took so many workers with it."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MEMORY = {"MALLOC_ARENA_MAX": 1, "MALLOC_TRIM_THRESHOLD_": 1 << 30, "MALLOC_MMAP_THRESHOLD_": 1 << 28}
"""For glibc: memory goes from one training step to the next. Dask by itself has it given back to the system at once,
and having it cleared anew takes as long as the training."""


def check_scheduler(address: str | None, insecure: bool) -> None:
    """Raise WrongUse for an address that other machines could listen in on, unless that is meant.

    Jobs are sent as pickles: whoever reaches a scheduler without TLS can run code on its workers.
    """
    if address is None or insecure:
        return
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme == "tls" or parts.hostname in LOOPBACK:
        return
    raise WrongUse(
        f"The scheduler {address} is on another machine and does not use TLS.",
        "Use its tls:// address, or --insecure on a network that you trust.",
    )


@contextmanager
def connected(address: str | None, workers: int | None, threads: int) -> Iterator[Client]:
    """A client of the scheduler at ``address``, or of a fresh local cluster that listens on the loopback only.

    Args:
        address: as Dask writes it ("tls://host:8786"); None for a local cluster.
        workers: processes of the local cluster; None: as many as the cores hold with ``threads`` each.
        threads: CPU threads of a job.

    Raises BadInput where Dask is not installed or the scheduler does not answer.
    """
    try:
        import dask
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise BadInput(
            "The laboratory needs Dask, which is not installed.", "pip install 'lmial[laboratory]'"
        ) from error

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.scheduler.allowed-failures": WORKERS_LOST,
        "distributed.comm.timeouts.connect": "20s",
        "distributed.nanny.pre-spawn-environ": {**MEMORY, **dict.fromkeys(THREADS, threads)},
    }
    with dask.config.set(settings):
        if address is not None:
            try:
                client = Client(address)
            except (OSError, TimeoutError, ValueError) as error:
                raise BadInput(f"The Dask scheduler {address} does not answer.") from error
            with client:
                yield client
            return
        count = workers or max(1, (os.cpu_count() or 1) // threads)
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def computed(
    client: Client, task: Callable[..., Any], items: Sequence[tuple[str, Any]], done: Callable[[int, int], None]
) -> list[Any]:
    """Run a task on every item, wherever there is room, and return the results in order.

    Args:
        client: see `connected`.
        task: a function of a module that workers can import.
        items: (key, argument); the key names the job to Dask.
        done: called with how many are done, of how many.

    A job whose worker is lost begins again on another one. Raises what a job raised, LMIALError for a job that took
    three workers with it.
    """
    from dask.distributed import KilledWorker, as_completed

    futures = [client.submit(task, item, key=f"{task.__name__}-{key}", pure=False) for key, item in items]
    done(0, len(futures))
    try:
        for number, future in enumerate(as_completed(futures), start=1):
            future.result()
            done(number, len(futures))
        return [future.result() for future in futures]
    except KilledWorker as error:
        raise LMIALError(
            f"A job of the simulation took {WORKERS_LOST} workers with it; is there enough memory?",
            "Go on with --resume and fewer --workers.",
        ) from error
    finally:
        client.cancel(futures)
