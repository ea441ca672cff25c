"""A real worker process: jobs, failures, cancelling, its death, and that it never outlives its client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from LMIALLib.errors import BadInput, Do, LMIALError, NeedsAlignment, Step
from LMIALLib.pairs.request import PairRequest
from LMIALLib.worker.client import WorkerClient
from LMIALLib.worker.messages import encode
from LMIALLib.worker.requests import Prepare, Rank, RankCase


@pytest.fixture
def client(study_folder: Path) -> Iterator[WorkerClient]:
    client = WorkerClient(study_folder)
    yield client
    client.close()


def rank_request(**more: Any) -> Rank:
    from LMIALLib.files import sha256_of
    from LMIALLib.resources import resource

    model = f"start-{sha256_of(resource('Weights', 'change.safetensors'))[:8]}"
    return Rank(cases=(RankCase("head", 1),), model=model, strategy="entropy", seed=3, **more)


def test_bad_input_comes_back_as_the_same_error(client: WorkerClient, study_folder: Path, tmp_path: Path) -> None:
    pair = PairRequest(tmp_path / "no.nii.gz", tmp_path / "none.nii.gz")
    staged = study_folder / "cases" / "staged"
    staged.mkdir()
    with pytest.raises(BadInput, match=r"no\.nii\.gz"):
        client.wait(client.submit(Prepare(pair, str(staged))))


def test_scans_that_lie_apart_come_back_as_a_question_of_its_own_kind(
    client: WorkerClient, study_folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    import SimpleITK as sitk

    image = sitk.ReadImage(str(phantom_folder / "baseline.nii.gz"))
    image.SetOrigin((900.0, -400.0, 250.0))
    sitk.WriteImage(image, str(tmp_path / "lost.nii.gz"))
    pair = PairRequest(tmp_path / "lost.nii.gz", phantom_folder / "follow_up.nii.gz")
    staged = study_folder / "cases" / "staged"
    staged.mkdir()
    with pytest.raises(NeedsAlignment, match="centres can be laid on each other") as asked:
        client.wait(client.submit(Prepare(pair, str(staged))))
    assert asked.value.steps == (Step(Do.ALIGN_CENTRES),), "what can be done crosses the pipe"


def test_a_place_outside_the_study_is_refused(client: WorkerClient, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not inside the study"):
        client.wait(client.submit(Prepare(PairRequest(Path("a"), Path("b")), str(tmp_path))))


def test_ranking_twice_gives_the_same_bits(client: WorkerClient) -> None:
    first, second = (client.wait(client.submit(rank_request())) for _ in range(2))
    assert first.ranking == second.ranking
    assert first.conditions["model_digest"] and first.conditions["threads"] >= 1


def test_a_queued_job_can_be_cancelled(client: WorkerClient) -> None:
    running = client.submit(rank_request())
    waiting = client.submit(rank_request())
    client.cancel(waiting)
    client.wait(running)
    with pytest.raises(LMIALError, match="cancelled"):
        client.wait(waiting)
    assert (running.state, waiting.state) == ("done", "cancelled")


def test_an_export_does_not_wait_until_a_training_has_ended(study_folder: Path, tmp_path: Path) -> None:
    from LMIALLib.loop.exporting import request_export
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.study.store import Study

    with Study.open(study_folder, reader="anna") as study:
        session = Session(study, reader="anna", settings=LoopSettings(train=False))
        session.next()
        session.nothing_here()
        learning = session.learning
        learning.request_training(steps=400)
        while not learning.training.progress:
            learning.poll(timeout=0.1)
        (tmp_path / "out").mkdir()
        exported = request_export(learning, tmp_path / "out", what="labels")
        again = request_export(learning, tmp_path / "out", what="table")
        learning.wait(exported)
        learning.wait(again)
        assert exported.state == again.state == "done" and any((tmp_path / "out").iterdir())
        assert not learning.training.over, "and the training goes on"
        began = learning.training.progress.done
        while learning.training.progress.done <= began:
            learning.poll(timeout=0.1)
        learning.cancel_training()
        while not learning.training.over:
            learning.poll(timeout=0.1)
        assert learning.training.state == "cancelled"
        session.close()


def test_a_killed_worker_fails_its_jobs_and_the_next_job_starts_another(client: WorkerClient) -> None:
    job = client.submit(rank_request())
    while client.ready is None:
        client.poll(timeout=0.1)
    os.kill(client.ready.pid, signal.SIGKILL)
    with pytest.raises(LMIALError, match="ended unexpectedly"):
        client.wait(job)
    assert client.wait(client.submit(rank_request())).ranking["queries"]


def test_events_are_all_that_stands_on_stdout_and_the_process_ends_with_its_input(study_folder: Path) -> None:
    requests = encode({"id": 1, "do": "dance"}) + b"not json\n" + encode({"id": 2, "do": "status"})
    command = [sys.executable, "-m", "LMIALLib.worker", str(study_folder)]
    done = subprocess.run(command, input=requests, capture_output=True, timeout=60, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert {event["event"] for event in events} == {"ready", "failed", "log", "status"}
    assert next(event for event in events if event["event"] == "failed")["sentence"].startswith("The worker knows no")


def test_the_worker_dies_with_a_client_that_was_killed(study_folder: Path) -> None:
    script = (
        "import sys, time\nfrom LMIALLib.worker.client import WorkerClient\n"
        "from LMIALLib.worker.requests import Export\n"
        f"client = WorkerClient({str(study_folder)!r})\nclient.submit(Export('out'))\n"
        "while client.ready is None: client.poll(timeout=0.1)\n"
        "print(client.ready.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    end = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < end, "the worker outlived its client"
        time.sleep(0.1)


def test_prepare_does_not_import_torch(study_folder: Path, phantom_folder: Path) -> None:
    staged = study_folder / "cases" / "staged"
    staged.mkdir()
    files = [str(phantom_folder / f"{name}.nii.gz") for name in ("baseline", "follow_up")]
    script = (
        "import sys\nfrom pathlib import Path\nimport LMIALLib.worker.process as process\n"
        "from LMIALLib.pairs.request import PairRequest\nfrom LMIALLib.worker.requests import Prepare\n"
        f"request = Prepare(PairRequest(*map(Path, {files!r})), {str(staged)!r})\n"
        f"process.run_job(Path({str(study_folder)!r}), request, lambda *a, **k: None)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
