"""What stands on the page for a while, and what becomes of an export, without a browser."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from LMIALLib.browser.downloads import Downloads
from LMIALLib.browser.notices import Notices
from LMIALLib.errors import BadInput
from LMIALLib.loop.session import Session
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job
from LMIALLib.worker.requests import Exported


def test_a_sentence_stands_for_its_time_the_newest_last_and_none_twice() -> None:
    now = [100.0]
    notices = Notices(lambda: now[0])
    queued = [("info", "one"), ("good", "two"), ("good", "three"), ("info", "one")]
    shown = notices.take(queued)
    assert queued == [] and [one["text"] for one in shown] == ["three", "one"]
    assert [one["id"] for one in shown] == [3, 4], "the page knows a sentence that comes again from the one before"
    now[0] += 5.0
    assert notices.over
    assert [one["text"] for one in notices.take([])] == ["one"] and not notices.over
    many = notices.take([("warning", str(number)) for number in range(6)])
    assert [one["text"] for one in many] == ["2", "3", "4", "5"]


class Idle:
    """A worker that takes jobs and does none."""

    def __init__(self) -> None:
        self.jobs: list[Job[Any]] = []

    def submit(self, request: Any) -> Job[Any]:
        self.jobs.append(Job(len(self.jobs) + 1, request))
        return self.jobs[-1]

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session whose worker does nothing."""
    with Study.create(tmp_path / "study") as study:
        yield Session(study, reader="anna", worker=Idle())  # type: ignore[arg-type]


def test_an_export_that_is_over_is_a_download_whether_or_not_its_event_came(session: Any, tmp_path: Path) -> None:
    downloads = Downloads("mystudy")
    downloads.begin(session, "table")
    (job,) = session.learning.worker.jobs
    assert downloads.writing == "Tables" and downloads.finished() is None
    file = tmp_path / "lesions.csv"
    file.write_text("number\n")
    job.state, job.result = "done", Exported((str(file),), "table")
    found = downloads.finished()
    assert found is not None and found.name == "mystudy-table.zip" and downloads.get(found.id) is found
    assert zipfile.ZipFile(found.path).namelist() == ["lesions.csv"]
    assert downloads.writing == "" and downloads.finished() is None
    downloads.close()
    assert not found.path.exists()


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_an_export_that_failed_makes_room_for_the_next(session: Any, state: str) -> None:
    downloads = Downloads("mystudy")
    downloads.begin(session, "table")
    session.learning.worker.jobs[0].state = state
    assert downloads.finished() is None and downloads.writing == ""
    downloads.begin(session, "report")
    assert downloads.writing == "Report"
    with pytest.raises(BadInput, match="unknown"):
        downloads.begin(session, "everything")
    downloads.close()
