"""What a reader waits for is done between two steps of a running fine-tuning, which ends with the same bits."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LMIALLib.errors import LMIALError
from LMIALLib.study.answer import NewAnswer
from LMIALLib.study.store import Study
from LMIALLib.worker.client import Job, WorkerClient
from LMIALLib.worker.events import Event
from LMIALLib.worker.messages import decode, encode
from LMIALLib.worker.orders import Stop
from LMIALLib.worker.process import Worker
from LMIALLib.worker.requests import (
    Export,
    Finetune,
    Rank,
    RankCase,
    Ranked,
    Request,
    Trained,
    request_message,
)
from LMIALLib.worker.waiting import Waiting

STEPS = 3


@pytest.fixture
def answered(study_folder: Path, phantom_truth: np.ndarray) -> Path:
    """A study in which four slices were read, so that fine-tuning also judges itself on halves of them."""
    with Study.open(study_folder, reader="anna") as study:
        case = study.cases.get("head")
        busiest = np.argsort([-int((phantom_truth[k] > 0).sum()) for k in range(len(phantom_truth))])[:4]
        for number in (int(k) for k in busiest):
            mask = (phantom_truth[number] > 0).astype(np.uint8)
            assert mask.shape == case.grid.size[1::-1]
            new = NewAnswer(case="head", slice=number, answer="mask", mask=mask, reader="anna")
            study.answers.save(new)
    return study_folder


@pytest.fixture
def client(answered: Path) -> Iterator[WorkerClient]:
    client = WorkerClient(answered)
    yield client
    client.close()


def model_of(folder: Path) -> str:
    with Study.open(folder, read_only=True) as study:
        in_use = study.models.in_use()
    assert in_use is not None
    return in_use.id


def training(client: WorkerClient, new_model: str, *, upto: int = 4, steps: int = STEPS) -> Job[Any]:
    start = model_of(client.study_folder)
    return client.submit(Finetune(start, new_model, upto, seed=3, steps=steps, threads=1, device="cpu"))


def ranking(client: WorkerClient, **more: Any) -> Job[Any]:
    """Passes with dropout, so that random numbers are drawn, on more threads than the fine-tuning has."""
    fields = {"model": model_of(client.study_folder), "strategy": "bald", "passes": 2, "seed": 5, **more}
    return client.submit(Rank(cases=(RankCase("head", 1),), **fields))


def weights_of(client: WorkerClient, new_model: str) -> str:
    """Digest of the weights in the file; the order of what stands beside them there is left to chance."""
    from LMIALLib.network.weights import load_weights

    return load_weights(client.study_folder / "models" / f"{new_model}.safetensors")[1].digest


def done_of(job: Job[Any]) -> int:
    return 0 if job.progress is None else job.progress.done


def until(client: WorkerClient, reached: Callable[[], bool]) -> list[tuple[Job[Any], Event]]:
    """Wait until something is so; what the worker reported meanwhile."""
    events: list[tuple[Job[Any], Event]] = []
    while not reached():
        events += client.poll(timeout=0.05)
    return events


def test_a_fine_tuning_that_was_interrupted_again_and_again_ends_with_the_same_bits(client: WorkerClient) -> None:
    alone = client.wait(training(client, "alone"))
    waited = ranking(client)
    apart = client.wait(waited)

    learning = training(client, "interrupted")
    events, ranked = [], []
    for done in (1, 2, STEPS + 1, 2 * STEPS + 2):  # learning, and judging itself on each half
        events += until(client, lambda least=done: learning.over or done_of(learning) >= least)
        assert not learning.over
        ranked.append(ranking(client))
        events += until(client, lambda: ranked[-1].over)
    failing = ranking(client, strategy="committee-entropy")  # fails inside the pause: there is no second model
    events += until(client, lambda: learning.over and failing.over)
    interrupted = client.wait(learning)

    assert failing.state == "failed" and [job.state for job in ranked] == ["done"] * 4
    order = [type(event) for _, event in events if isinstance(event, Ranked | Trained)]
    assert order == [Ranked] * 4 + [Trained]
    assert weights_of(client, "interrupted") == weights_of(client, "alone")
    figures = [dict(one.report) for one in (alone, interrupted)]
    for one in figures:
        one.pop("seconds")
    assert figures[0] == figures[1]
    for job in ranked:
        assert job.result is not None
        assert job.result.ranking == apart.ranking
        assert job.result.conditions == apart.conditions, "also as many threads as outside the fine-tuning"


def test_a_worker_killed_in_the_pause_leaves_a_fine_tuning_that_goes_on_to_the_same_bits(client: WorkerClient) -> None:
    as_long = {"upto": 2, "steps": 22}  # a checkpoint comes after 20 steps; two slices have no halves to judge
    client.wait(training(client, "alone", **as_long))
    learning = training(client, "killed", **as_long)
    until(client, lambda: done_of(learning) >= 20)
    paused_for = ranking(client)
    until(client, lambda: paused_for.state == "running")
    assert client.ready is not None
    os.kill(client.ready.pid, signal.SIGKILL)
    with pytest.raises(LMIALError, match="ended unexpectedly"):
        client.wait(learning)
    assert paused_for.state == "failed"
    left = {file.name for file in (client.study_folder / "models").glob("*killed*")}
    assert left == {".killed.checkpoint.safetensors"}
    again = training(client, "killed", **as_long)
    until(client, lambda: again.progress is not None)
    assert done_of(again) >= 20
    client.wait(again)
    assert weights_of(client, "killed") == weights_of(client, "alone")


def test_what_is_cancelled_in_a_pause_ends_alone(client: WorkerClient) -> None:
    learning = training(client, "cancelled")
    until(client, lambda: learning.progress is not None)
    first, second = ranking(client, passes=100), ranking(client)
    until(client, lambda: first.state == "running")
    client.cancel(first)
    until(client, lambda: second.over)
    assert (first.state, second.state, learning.state) == ("cancelled", "done", "running")
    third = ranking(client)
    client.cancel(learning)
    until(client, lambda: learning.over and third.over)
    assert (learning.state, third.state) == ("cancelled", "done")


def test_whatever_is_done_in_a_pause_leaves_no_trace(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from LMIALLib.network.device import apart, reproducible

    def state() -> tuple[Any, ...]:
        numpy = np.random.get_state()
        return (
            random.getstate(),
            (numpy[0], numpy[1].tolist(), *numpy[2:]),
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )

    def half_open() -> Iterator[None]:
        with reproducible(1):
            yield

    threads = torch.get_num_threads()
    with reproducible(threads + 1), torch.inference_mode():
        before = state()
        with apart():
            assert torch.get_num_threads() == threads and torch.is_grad_enabled()
            next(half_open())  # a job that failed half-way
            random.random(), np.random.random(), torch.rand(3)
            torch.manual_seed(9)
            torch.set_num_threads(threads + 2)
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = True
        assert state() == before
    assert torch.get_num_threads() == threads


def test_what_a_reader_waits_for_goes_before_a_training_and_nothing_else_changes_places() -> None:
    waiting = Waiting[str](for_reader=lambda item: item[0] == "r", in_background=lambda item: item[0] == "t")
    for item in ("t1", "p1", "r1", "t2", "r2", "p2"):
        waiting.put(item)
    assert len(waiting) == 6
    assert [waiting.next() for _ in range(6)] == ["r1", "r2", "t1", "p1", "t2", "p2"]
    assert waiting.next_for_reader() is None
    for item in ("p1", "r1"):
        waiting.put(item)
    assert waiting.next() == "p1", "only a training steps aside"
    assert waiting.next_for_reader() == "r1"
    waiting.put("p1")
    waiting.close()
    waiting.put("p2")
    assert waiting.next() is None and len(waiting) == 0


def test_closing_wakes_the_thread_that_waits() -> None:
    waiting = Waiting[str](for_reader=lambda item: False, in_background=lambda item: False)
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(waiting.next()))
    thread.start()
    waiting.close()
    thread.join(10)
    assert found == [None]


def test_time_in_a_pause_is_not_counted_as_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from LMIALLib.network import work_time

    clock = iter([0.0, 10.0, 100.0, 101.0, 105.0])
    monkeypatch.setattr(work_time.time, "monotonic", lambda: next(clock))
    used = work_time.WorkTime()
    used.not_counting(lambda: None)()  # from 10 to 100
    assert used.seconds() == 11.0
    assert used.seconds() == 15.0


def test_a_session_that_closes_in_a_pause_ends_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from LMIALLib.worker import process

    written = io.BytesIO()
    worker = Worker(tmp_path, written)

    def run(folder: Path, request: Request[Any], progress: Callable[..., None]) -> None:
        following = Stop() if isinstance(request, Export) else Export(str(tmp_path))
        worker._receive(encode(request_message(following, 2)))
        progress("step", 1, 2)

    monkeypatch.setattr(process, "run_job", run)
    worker._receive(encode(request_message(Finetune("start", "next", None, 0), 1)))
    worker.work()
    events = [decode(line) for line in written.getvalue().splitlines()]
    ended = [(one["event"], one["id"]) for one in events if one["event"] not in ("accepted", "started")]
    assert ended == [("cancelled", 2), ("cancelled", 1)]
