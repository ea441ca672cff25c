"""Which function does which request: each registers itself here, and only the process that runs them imports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from LMIALLib.progress import Progress
from LMIALLib.worker.events import Result
from LMIALLib.worker.requests import Request

Wanted = TypeVar("Wanted", bound=Request[Any])
Given = TypeVar("Given", bound=Result)
Handler = Callable[[Path, Any, Progress], Result]

HANDLERS: dict[type[Request[Any]], Handler] = {}


def handles(
    kind: type[Wanted],
) -> Callable[[Callable[[Path, Wanted, Progress], Given]], Callable[[Path, Wanted, Progress], Given]]:
    """Register a function (study folder, request, progress) -> result for requests of one kind.

    It never writes to ``study.sqlite``: it leaves files in the study folder and returns what the session that asked for
    it will record. It calls ``progress`` often, and lets its Cancelled through.
    """

    def registered(
        handler: Callable[[Path, Wanted, Progress], Given],
    ) -> Callable[[Path, Wanted, Progress], Given]:
        HANDLERS[kind] = handler
        return handler

    return registered


def run_job(study_folder: Path, request: Request[Any], progress: Progress) -> Result:
    """Do a request. Raises what its handler raises."""
    return HANDLERS[type(request)](study_folder, request, progress)
