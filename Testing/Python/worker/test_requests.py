"""Requests and events are checked where they arrive: what does not fit names its field in one sentence."""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pairs.request import PairRequest
from LMIALLib.progress import Progress
from LMIALLib.queries.reading_time import ReadingTime
from LMIALLib.worker import events, handling, requests
from LMIALLib.worker.client import WorkerClient
from LMIALLib.worker.events import event_message, read_event
from LMIALLib.worker.handling import HANDLERS, handles
from LMIALLib.worker.messages import decode, encode
from LMIALLib.worker.orders import ORDERS, Cancel, Order, Status, Stop
from LMIALLib.worker.process import Worker
from LMIALLib.worker.requests import (
    ChangeRegion,
    Export,
    Finetune,
    Predict,
    Prepare,
    Rank,
    RankAnew,
    RankCase,
    Register,
    Request,
    read_request,
    request_message,
)

CASES = (RankCase("head", 2, (1, 4), (5,)), RankCase("b", 1, validation=True))
ASKED: tuple[Request[Any] | Order, ...] = (
    Prepare(PairRequest(Path("/a"), Path("/b"), contrasts=(("T1", Path("/c"), Path("/d")),)), "staged"),
    Register("head", "rigid", "staged"),
    ChangeRegion("head", "given", "staged", "/mask.nii.gz"),
    Predict(("head", "b"), "m", passes=3, slices_at_once=2),
    Rank(CASES, "m", "entropy", 3, 7, random_share=1 / 6, committee=("m", "n"), reading_time=ReadingTime(4.0, 0.2)),
    RankAnew(CASES, "m", "core-set", 3, lesions_upto=2, reader="anna"),
    Finetune("m", "n", 7, 0, steps=3, minutes=0.5),
    Export("/out", reader="anna", unread=0),
    Cancel(3),
    Status(),
    Stop(),
)


@pytest.mark.parametrize("request_", ASKED, ids=lambda one: one.do)
def test_a_request_arrives_as_it_was_sent(request_: Request[Any] | Order) -> None:
    assert read_request(decode(encode(request_message(request_, 9)))) == request_


def test_each_request_is_tried_here_has_a_handler_and_no_field_that_messages_use_themselves() -> None:
    assert {type(one) for one in ASKED} == {*requests.REQUESTS.values(), *ORDERS.values()}
    assert set(HANDLERS) == set(requests.REQUESTS.values())
    for kind in (*requests.REQUESTS.values(), *ORDERS.values()):
        assert not {"id", "do", "protocol"} & {one.name for one in fields(kind)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"do": "dance"}, "The worker knows no request 'dance'."),
        ({"do": 3}, "a request: do: the whole is 3; expected a text."),
        ({"do": "cancel", "job": "one"}, "the request cancel: job is 'one'; expected a whole number"),
        ({"do": "stop", "now": True}, "the request stop: now is unknown."),
        ({"do": "predict", "cases": ["a"]}, "the request predict: model is missing."),
        ({"do": "predict", "cases": "a", "model": "m"}, "the request predict: cases is 'a'; expected a list."),
        ({"do": "export", "out": "o", "unread": -1}, "the request export: unread is -1; expected 0 or more."),
        ({"do": "export", "out": "o", "colour": 1}, "the request export: colour is unknown."),
    ],
)
def test_a_request_that_does_not_fit_names_its_field(sent: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_request(sent)
    assert refused.value.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pair": 1.5}, "cases[0].pair is 1.5; expected a whole number"),
        ({"answered": [1, "2"]}, "cases[0].answered[1] is '2'; expected a whole number"),
        ({"anwsered": []}, "cases[0].anwsered is unknown."),
        ({"validation": 1}, "cases[0].validation is 1; expected true or false."),
    ],
)
def test_a_field_within_a_field_is_named_as_well(changes: dict[str, Any], sentence: str) -> None:
    message = request_message(Rank(CASES, "m", "entropy", 3), 1)
    message["cases"][0] |= changes
    with pytest.raises(BadInput) as refused:
        read_request(message)
    assert refused.value.sentence.startswith(f"the request rank: {sentence}")


def test_the_worker_answers_what_it_cannot_do_with_the_sentence_and_goes_on(tmp_path: Path) -> None:
    written = io.BytesIO()
    worker = Worker(tmp_path, written)
    messages = [{"id": 4, "do": "export", "out": 3}, {"id": "x", "do": "export"}, {"id": 5, "do": "status"}]
    for one in messages:
        worker._receive(encode(one))
    found = [decode(line) for line in written.getvalue().splitlines()]
    assert [one["event"] for one in found] == ["failed", "log", "status"]
    assert (found[0]["id"], found[0]["kind"]) == (4, "BadInput")
    assert found[0]["sentence"] == "the request export: out is 3; expected a text."
    assert "id: the whole is 'x'" in found[1]["line"]


REPORTED = (
    events.Ready("1", 1, "3.11", 7),
    events.Accepted("rank"),
    events.Started(),
    events.Progressed("rank", 1, 3, 2.5, case="head", loss=0.5),
    events.Failed("No.", "Try.", "BadInput", ({"do": "check"},), ("a line",)),
    events.Cancelled(),
    events.Logged("error", "a line"),
    events.Stand(None, 2),
    requests.Trained("n", "m", {"read": 2}, True, ("Better.",)),
)


@pytest.mark.parametrize("event", REPORTED, ids=lambda one: one.event)
def test_an_event_arrives_as_it_was_sent(event: events.Event) -> None:
    message = decode(encode(event_message(event, 3, 0.5)))
    assert message["id"] == 3
    assert read_event(message, requests.Trained) == event


class Scripted:
    """A worker that has already said everything."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._lines = deque(encode(one) for one in messages)

    def start(self, study_folder: Path) -> None: ...
    def send(self, line: bytes) -> None: ...
    def receive(self, timeout: float) -> bytes | None:
        return self._lines.popleft() if self._lines else None

    def alive(self) -> bool:
        return True

    def last_lines(self) -> list[str]:
        return []

    def close(self, seconds: float) -> None: ...


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"event": "exported", "result": {"files": "a", "what": "labels"}}, "exported: files is 'a'; expected a list."),
        ({"event": "exported", "result": {"files": []}}, "exported: what is missing."),
        ({"event": "progress", "stage": "export", "done": 1}, "progress: total is missing."),
        ({"event": 3}, "event: the whole is 3; expected a text."),
    ],
)
def test_a_job_whose_worker_reports_something_else_fails_and_says_so(
    message: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    client = WorkerClient(tmp_path, transport=lambda: Scripted({"id": 1, **message}))
    job = client.submit(Export("out"))
    with pytest.raises(LMIALError) as failed:
        client.wait(job)
    assert sentence in failed.value.sentence and job.state == "failed"


def test_an_event_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    done = event_message(requests.Exported(("a",), "labels"), 1)
    client = WorkerClient(tmp_path, transport=lambda: Scripted({"id": 1, "event": "mused", "over": 3}, done))
    assert client.wait(client.submit(Export("out"))).files == ("a",)


# One request more, as anybody would add it: its result, itself, its handler.


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch) -> type[Request[Any]]:
    monkeypatch.setattr(requests, "REQUESTS", dict(requests.REQUESTS))
    monkeypatch.setattr(handling, "HANDLERS", dict(handling.HANDLERS))

    @dataclass(frozen=True)
    class Greeted(requests.Result, event="greeted"):
        sentence: str

    @dataclass(frozen=True)
    class Greet(Request[Greeted], do="greet", gives=Greeted, for_reader=True):
        name: str

    @handles(Greet)
    def greet_job(study_folder: Path, request: Greet, progress: Progress) -> Greeted:
        progress("greet", 0, 1)
        return Greeted(f"Hello, {request.name}.")

    return Greet


class InThisProcess(Scripted):
    """A worker without a process: what is sent is done at once."""

    def start(self, study_folder: Path) -> None:
        self._written = io.BytesIO()
        self._worker = Worker(study_folder, self._written)

    def send(self, line: bytes) -> None:
        self._worker._receive(line)
        job = self._worker._waiting.next()
        assert job is not None
        self._worker._run(job)
        self._lines.extend(self._written.getvalue().splitlines(keepends=True))


def test_a_request_is_added_by_its_result_itself_and_its_handler(greet: type[Request[Any]], tmp_path: Path) -> None:
    client = WorkerClient(tmp_path, transport=InThisProcess)
    job = client.submit(greet(name="Anna"))  # type: ignore[call-arg]
    assert client.wait(job).sentence == "Hello, Anna."
    assert job.progress == events.Progressed("greet", 0, 1)
