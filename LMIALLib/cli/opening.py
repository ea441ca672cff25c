"""Opening a study as a session for one command, and closing it whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LMIALLib.errors import BadInput

if TYPE_CHECKING:
    from LMIALLib.loop.session import Session
    from LMIALLib.study.store import Study


COMMAND = "lmial command"
"""Name under which a command holds a study when no reader is given."""

PATIENCE = 60.0
"""Seconds for which a command waits for another command to finish with a study."""


@contextmanager
def study_at(folder: Path, *, read_only: bool = True, reader: str = "") -> Iterator[Study]:
    """An open study; commands that only look open it read-only and need no lease."""
    from LMIALLib.study.lease import HolderKind
    from LMIALLib.study.store import Study

    end = time.monotonic() + PATIENCE
    study = Study.open(folder, read_only=read_only, reader=reader or COMMAND, kind=HolderKind.COMMAND)
    while _held_by_a_command(study) and time.monotonic() < end:
        study.close()  # another command works here, which takes a minute at most
        time.sleep(0.5)
        study = Study.open(folder, reader=reader or COMMAND, kind=HolderKind.COMMAND)
    with study:
        yield study


def _held_by_a_command(study: Study) -> bool:
    from LMIALLib.study.lease import HolderKind

    holder = study.why_read_only.holder if study.why_read_only else None
    return holder is not None and holder.kind is HolderKind.COMMAND


@contextmanager
def session_at(
    folder: Path, *, read_only: bool = False, may_only_look: bool = False, reader: str = "", **settings: Any
) -> Iterator[Session]:
    """A session for one command: it does one thing and never trains by itself.

    A study that cannot be written now is refused with the reason, unless ``may_only_look``.
    """
    from LMIALLib.loop.session import LoopSettings, Session

    with study_at(folder, read_only=read_only, reader=reader) as study:
        if study.read_only and not (read_only or may_only_look):
            raise BadInput(f"{folder} cannot be changed now: {study.why_read_only}")
        session = Session(study, reader=reader, settings=LoopSettings(train=False, **settings))
        try:
            yield session
        finally:
            session.close()
