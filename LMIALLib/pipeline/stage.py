"""What a stage of the pipeline is: its inputs, its work, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from LMIALLib.errors import Step
from LMIALLib.pipeline.settings import PipelineSettings
from LMIALLib.pipeline.state import PipelineState
from LMIALLib.progress import Progress
from LMIALLib.study.store import Study

Chosen = Sequence[tuple[str, int]]
"""Slices: case and number, 0-based."""
Answer = Callable[[Study, Chosen], None]
"""Answers slices in place of a person, where the truth is known."""


@dataclass(frozen=True)
class Done:
    """What a stage says of itself.

    Args:
        sentence: for a person.
        result: JSON-ready, for the stages that follow.
        finished: False where a person has to do something before the pipeline can go on.
        steps: what a person can do next, in this order.
    """

    sentence: str
    result: dict[str, Any]
    finished: bool = True
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Work:
    """What a stage works with: a study to read, the settings, what came before, and functions that report and decide.

    ``writing`` opens the study for writing, when there is something to store in it, and waits for whoever holds it.
    """

    study: Study
    settings: PipelineSettings
    state: PipelineState
    progress: Progress
    cancelled: Callable[[], bool]
    answer: Answer | None
    writing: Callable[[], AbstractContextManager[Study]]


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline.

    Args:
        name: as people give it; its result is stored under it.
        depends: what its result depends on, JSON-ready: while that stays the same, a finished stage stays finished.
        run: does the work.
        there: whether what a finished one left is still there where another stage will need it.
        after: name of the stage that it follows, for one that an installed package brings; empty: the last one.
    """

    name: str
    depends: Callable[[Work], dict[str, Any]]
    run: Callable[[Work], Done]
    there: Callable[[Work], bool] = lambda work: True
    after: str = ""
