"""One process of a run that may have several, one per GPU (or, without GPUs, per share of the cores).

``torchrun`` starts the processes and says through the environment which is which; without it there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from LMIALLib.network.device import chosen_device

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one may make samples for hours."""


@dataclass(frozen=True)
class Rank:
    """Which process this is.

    Args:
        number: from 0; process 0 makes samples, judges, logs and saves.
        processes: how many there are.
        device: what this one computes on, "cpu" or "cuda:<n>".
    """

    number: int
    processes: int
    device: str

    @property
    def first(self) -> bool:
        """Whether this process makes samples, judges, logs and saves."""
        return self.number == 0

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.processes > 1:
            distributed.barrier()

    def joined(self, network: nn.Module) -> nn.Module:
        """The network as it is trained: gradients are averaged over processes.

        Batch normalisation takes each batch's statistics within a process; its running statistics are those of
        process 0, handed to the others before each step.
        """
        if self.processes == 1:
            return network
        return DistributedDataParallel(network, [torch.device(self.device)] if self.device != "cpu" else None)


@contextmanager
def this_rank(device: str) -> Iterator[Rank]:
    """Join the processes that torchrun started (NCCL between GPUs, else Gloo), if it did; leave them afterwards.

    Args:
        device: "cpu", "cuda" or "auto" (GPUs if there are any), see `chosen_device`.

    After an error nobody waits for the others: the process is to end, and torchrun ends the rest.
    """
    device = chosen_device(device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield Rank(0, 1, device)
        return
    if device != "cpu":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=PATIENCE)
    yield Rank(distributed.get_rank(), processes, device)
    distributed.destroy_process_group()
