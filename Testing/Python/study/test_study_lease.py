"""One annotating session a study: who holds it, when it is dead, and what a session sees that lost it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.study import Lease, NewAnswer, SessionTakenOver, Study, lease
from LMIALLib.study.processes import process_started
from LMIALLib.study.status import status_of

GOOD = NewAnswer("a", 1, "nothing", reader="r")


def dead_process() -> int:
    """Number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def leave_lease(study: Study, **changes: object) -> None:
    """Close the study as a killed session would leave it: with a lease row, here a changed one."""
    held = study.lease()
    assert held is not None
    lease.write_lease(study.database._connection, replace(held, **changes))  # type: ignore[arg-type]
    study.database._connection.close()


def test_a_second_session_opens_read_only_and_is_told_why(study: Study) -> None:
    with Study.open(study.folder, reader="reader-2") as second:
        assert second.read_only
        for part in ("reader-1", socket.gethostname(), str(os.getpid()), "since 20"):
            assert part in str(second.why_read_only)
        with pytest.raises(BadInput, match="reader-1"):
            second.answers.save(GOOD)
        study.answers.save(GOOD)
        assert second.answers.current("a").keys() == {1}, "the second session sees what the first one saves"


def test_a_study_can_be_taken_over_and_the_first_session_is_told(study: Study) -> None:
    study.answers.save(GOOD)
    with Study.open(study.folder, reader="reader-2", take_over=True) as second:
        assert not second.read_only
        for attempt in (lambda: study.answers.save(replace(GOOD, slice=2)), study.heartbeat):
            with pytest.raises(SessionTakenOver, match="taken over by reader-2"):
                attempt()
        assert second.answers.current("a").keys() == {1}
        second.answers.save(replace(GOOD, slice=3))
        assert "taken over" in [event.kind for event in second.log.events()]
        study.close()
        assert second.lease() is not None, "the loser's closing leaves the winner's lease alone"
        second.heartbeat()
    with pytest.raises(BadInput):
        Study.open(study.folder, read_only=True).heartbeat()


def test_a_closed_session_leaves_no_lease(study: Study) -> None:
    study.close()
    with Study.open(study.folder, read_only=True) as look:
        assert look.lease() is None
        assert status_of(look).held_by == ""


def test_the_lease_of_a_dead_process_is_taken(study: Study) -> None:
    leave_lease(study, process=dead_process())
    with Study.open(study.folder) as again:
        assert not again.read_only


def test_the_lease_of_another_process_with_the_same_number_is_taken(study: Study) -> None:
    leave_lease(study, process_started="another boot:1")
    with Study.open(study.folder) as again:
        assert not again.read_only


def test_the_lease_of_another_machine_lives_as_long_as_its_heartbeat(study: Study) -> None:
    leave_lease(study, host="elsewhere", heartbeat=time.time() - lease.HEARTBEAT_SECONDS / 2)
    with Study.open(study.folder) as look:
        assert look.read_only
        assert "elsewhere" in str(look.why_read_only)
    old = replace(Lease.of_this_process("r"), host="elsewhere", heartbeat=time.time() - 2 * lease.HEARTBEAT_SECONDS)
    assert not old.alive


def test_a_living_process_keeps_its_lease_however_long_it_is_silent(study: Study) -> None:
    held = study.lease()
    assert held is not None
    assert replace(held, heartbeat=0.0).alive


def test_an_unknown_start_leaves_it_to_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Lease.of_this_process("r")
    monkeypatch.setattr(lease, "process_started", lambda _: "")
    assert mine.alive
    assert not replace(mine, heartbeat=0.0).alive


def test_every_save_renews_the_heartbeat(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease.time, "time", lambda: 4e9)
    study.answers.save(GOOD)
    held = study.lease()
    assert held is not None
    assert held.heartbeat == 4e9


def test_processes_are_told_apart_without_harm() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_started(child.pid) == process_started(child.pid)
    assert process_started(child.pid)
    child.kill()
    for _ in range(200):
        if process_started(child.pid) is None:
            break
        time.sleep(0.01)
    assert process_started(child.pid) is None, "what is left of a killed process, not yet waited for, is no life"
    child.communicate()
    assert process_started(os.getpid()) != ""


def test_other_posix_systems_are_asked_through_ps(monkeypatch: pytest.MonkeyPatch, require_program: object) -> None:
    if os.name == "nt":
        pytest.skip("there is no ps under Windows")
    require_program("ps", "procps")  # type: ignore[operator]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert process_started(os.getpid()) == process_started(os.getpid()) != ""
    assert process_started(dead_process()) is None


def test_a_session_in_another_process_is_seen(study: Study, tmp_path: Path) -> None:
    study.close()
    source = (
        "import sys; from LMIALLib.study import Study; s = Study.open(sys.argv[1], reader='other')\n"
        "print('open', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", source, str(study.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "open"
    with Study.open(study.folder) as look:
        assert look.read_only
        assert "other" in str(look.why_read_only)
    child.kill()
    child.communicate()
    with Study.open(study.folder) as again:
        assert not again.read_only
