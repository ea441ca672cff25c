"""A command waits for another command to finish with a study, never for a person who annotates in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from LMIALLib.cli import opening
from LMIALLib.cli.opening import study_at
from LMIALLib.study.lease import HolderKind, Obstacle
from LMIALLib.study.store import Study

SECONDS = 0.6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty study that nobody holds."""
    Study.create(tmp_path / "study").close()
    return tmp_path / "study"


@contextmanager
def held(place: Path, kind: HolderKind, reader: str) -> Iterator[None]:
    """The study, held by another thread for ``SECONDS``."""
    taken = threading.Event()

    def hold() -> None:
        with Study.open(place, reader=reader, kind=kind):
            taken.set()
            time.sleep(SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(20)
    yield
    thread.join()


@pytest.mark.parametrize("reader", ["", "anna", "lmial command"])
def test_a_command_waits_for_another_command_whoever_reads_there(place: Path, reader: str) -> None:
    with held(place, HolderKind.COMMAND, reader), study_at(place, read_only=False) as study:
        assert not study.read_only


def test_the_command_of_a_named_reader_is_waited_for(place: Path) -> None:
    taken = threading.Event()

    def hold() -> None:
        with study_at(place, read_only=False, reader="anna"):
            taken.set()
            time.sleep(SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(20)
    with study_at(place, read_only=False, reader="berta") as study:
        assert not study.read_only and study.reader == "berta"
    thread.join()


def test_a_person_who_annotates_is_not_waited_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 1e6)
    with held(place, HolderKind.SESSION, "lmial command"), study_at(place, read_only=False) as study:
        assert study.read_only and study.why_read_only is not None and study.why_read_only.holder is not None
        assert study.why_read_only.obstacle is Obstacle.HELD and study.why_read_only.holder.kind is HolderKind.SESSION
        assert "annotated by lmial command" in str(study.why_read_only)
    with study_at(place, read_only=False) as study:
        assert study.why_read_only is None and not study.read_only
