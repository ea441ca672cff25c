"""A teacher: a model, or anything else, that makes pseudo-labels of slices, or states why it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from LMIALLib.errors import LMIALError, first_line
from LMIALLib.pairs.pair import Pair

Check = Callable[[], None]
"""Called between steps of the work; raises `Cancelled` when it was asked to stop."""


@dataclass(frozen=True)
class PseudoLabel:
    """The pseudo-label of one slice.

    Attributes:
        probability: of change, float32 (rows, columns), 0 to 1.
        confidence: in that, float32 (rows, columns), 0 to 1.
    """

    probability: np.ndarray
    confidence: np.ndarray


class Teacher(Protocol):
    """A loaded teacher.

    Attributes:
        id: names its folder in a study; the same weights and settings give the same id.
        made_by: ``kind``, ``weights`` (a digest), ``settings``, ``versions`` and what else shaped it, JSON-ready.
    """

    @property
    def id(self) -> str: ...

    @property
    def made_by(self) -> Mapping[str, Any]: ...

    def judged(self, pair: Pair, slices: Sequence[int], check: Check) -> Iterator[tuple[int, PseudoLabel | str]]:
        """The pseudo-labels of some slices that hold brain, in any order; a sentence where a slice gets none."""


def margin(probability: np.ndarray) -> np.ndarray:
    """Confidence of a plain probability, |2 p - 1|: 0 where both are equally likely, 1 where it is certain."""
    return np.abs(2 * probability - 1).astype(np.float32)


def attempted(judge: Callable[[], PseudoLabel | str]) -> PseudoLabel | str:
    """What ``judge()`` returns, or why it failed. A model from elsewhere can fail in any way, and one slice on which it
    does must not end the work on a thousand pairs; what LMIAL itself raises goes on."""
    try:
        return judge()
    except LMIALError:
        raise
    except MemoryError:
        return "There is not enough memory for this slice."
    except Exception as error:
        if _without_memory(error):
            return "There is not enough memory for this slice on this device."
        return f"The teacher failed: {first_line(error)}"


def _without_memory(error: Exception) -> bool:
    """Whether torch had no memory left; where torch was never imported the error is none of its."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many CPU threads inside the block; None keeps its own number.

    Not ``network.device.reproducible``: models from elsewhere use operations that have no deterministic form on a GPU.
    """
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def objection(label: PseudoLabel, shape: tuple[int, int]) -> str:
    """Why a pseudo-label is unusable, or an empty string: another shape, values not finite or beyond 0 and 1."""
    for name, values in (("probability", label.probability), ("confidence", label.confidence)):
        if values.shape != shape:
            return f"The teacher's {name} has the shape {values.shape}; the slice has {shape}."
        if not np.isfinite(values).all():
            return f"The teacher's {name} holds values that are not finite numbers."
        if values.min(initial=0) < 0 or values.max(initial=0) > 1:
            return f"The teacher's {name} runs from {values.min():.3g} to {values.max():.3g}; expected 0 to 1."
    return ""
