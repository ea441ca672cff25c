"""`lmial simulate` as a person types it: on Dask, killed and resumed, with a worker lost, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.pairs.storage import write_nrrd

COMMON = ["--strategies", "entropy,random", "--seeds", "1", "--rounds", "3", "--query", "2", "--start", "scratch"]
TINY = [*COMMON, "--steps", "8", "--widths", "4,8", "--workers", "2"]


def _command(study: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "LMIALLib", "simulate", str(study), "--out", str(out), *TINY, *more]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "LMIALLib", "simulate", *words], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def undisturbed(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    subprocess.run(_command(small_study, out), check=True, timeout=300)
    return out


def test_the_folder_holds_configuration_cases_jobs_and_tables(undisturbed: Path) -> None:
    config = json.loads((undisturbed / "config.json").read_text())
    assert config["kind"] == "study" and config["pool"] == 22 and config["settings"]["query"] == 2
    assert len(list((undisturbed / "jobs").iterdir())) == 3
    with open(undisturbed / "rounds.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["strategy"], row["labelled"]) for row in rows[:5]] == [
        ("entropy", n) for n in ("0", "1", "3", "5", "7")
    ]
    assert rows[-1]["strategy"] == "full" and rows[-1]["fraction"] == "1.000000" and rows[-1]["dice_unlabelled"] == ""
    with open(undisturbed / "chosen.csv", newline="") as file:
        chosen = list(csv.DictReader(file))
    assert {row["part"] for row in chosen} == {"pool", "fold0", "fold1"}
    assert (undisturbed / "timing.csv").read_text().startswith("strategy,seed,round,choose_seconds")


def test_killed_and_resumed_with_a_worker_lost_it_gives_the_same_bytes(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    import psutil

    out = tmp_path / "out"
    first = subprocess.Popen(_command(small_study, out), start_new_session=True)
    _wait_for(lambda: any((out / "jobs").glob("*/round-1.json")) or any((out / "jobs").glob("*.json")))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (out / "rounds.csv").exists()

    refused = _run(str(small_study), "--out", str(out), *TINY)
    assert refused.returncode == 3 and "--resume" in refused.stderr
    differing = _run(str(small_study), "--out", str(out), *TINY, "--spacing", "3", "--resume")
    assert differing.returncode == 3 and "spacing_mm" in differing.stderr

    before = {path.name: path.stat().st_mtime_ns for path in (out / "jobs").glob("*.json")}
    again = subprocess.Popen(_command(small_study, out, "--resume"), start_new_session=True)
    killed: list[int] = []

    def kill_one_worker() -> None:
        known = {path: path.stat().st_mtime_ns for path in (out / "jobs").rglob("*")}
        _wait_for(
            lambda: any(p not in known for p in (out / "jobs").rglob("*.safetensors")) or again.poll() is not None
        )
        for child in psutil.Process(again.pid).children(recursive=True) if again.poll() is None else ():
            if "spawn_main" in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)
                return

    thread = threading.Thread(target=kill_one_worker)
    thread.start()
    assert again.wait(timeout=300) == 0
    thread.join()
    assert killed
    for name in ("rounds.csv", "chosen.csv"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()
    assert all((out / "jobs" / name).stat().st_mtime_ns == stamp for name, stamp in before.items())


def _wait_for(condition: object, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def test_what_cannot_be_simulated_is_said_in_a_sentence(small_study: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from LMIALLib.cli.main import app

    def said(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["simulate", *words])
        assert not (tmp_path / "out").exists(), "nothing may be made before everything is checked"
        return result.exit_code, result.stderr

    place, out = str(small_study), ["--out", str(tmp_path / "out")]
    assert said(place, *out, "--strategies", "guess")[0] == 2
    assert said(place, *out, "--truth", "a")[0] == 2
    assert said(place, *out, "--truth", "b=c.nii")[0] == 2
    code, told = said(place, *out, "--truth", f"a={tmp_path / 'nowhere.nii'}")
    assert code == 3 and "there is no such file" in told
    assert said(str(tmp_path), *out) == (3, said(str(tmp_path), *out)[1]) and "neither" in said(str(tmp_path), *out)[1]
    code, told = said(place, *out, "--scheduler", "tcp://10.1.2.3:8786")
    assert code == 2 and "TLS" in told
    assert said(place, *out, "--seeds", "0")[0] == 2
    assert said(place, *out, "--judge", "subjects")[0] == 2
    assert said(place, *out, "--start", str(tmp_path / "none.safetensors"))[0] == 3
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    subjects = [{"name": "subject0001", "part": "train", "brain": "phantom/0/1"}]
    (cohort / "cohort.json").write_text(json.dumps({"subjects": subjects}))
    code, told = said(str(cohort), *out)
    assert code == 3 and "'test'" in told


def test_a_study_of_many_subjects_is_split_by_subject() -> None:
    from LMIALLib.laboratory.sources import parts_of_subjects

    parts = parts_of_subjects({f"s{k}" for k in range(10)})
    assert sorted(parts.values()) == ["test"] * 2 + ["train"] * 6 + ["validation"] * 2
    assert parts_of_subjects([f"s{k}" for k in reversed(range(10))]) == parts


def test_a_truth_on_another_grid_names_itself(small_study: Path, tmp_path: Path) -> None:
    from LMIALLib.errors import BadInput
    from LMIALLib.laboratory.sources import found_sources
    from LMIALLib.laboratory.subjects import made_subject
    from LMIALLib.study import Study

    with Study.open(small_study, read_only=True) as study:
        grid = study.cases.get("a").grid
    coarse = grid.from_dict({**grid.to_dict(), "spacing": [3.0, 2.0, 2.5]})
    write_nrrd(tmp_path / "truth.nrrd", np.zeros(grid.shape, np.uint8), coarse)
    _, (source,) = found_sources(small_study, {"a": tmp_path / "truth.nrrd"}, None)
    with pytest.raises(BadInput, match="another grid"):
        made_subject(source)
    write_nrrd(tmp_path / "truth.nrrd", np.zeros(grid.shape, np.uint8), grid)
    made = made_subject(source)
    assert not made.truth.any() and made.pair.axis == 0 and made.truth.shape == (22, 40, 36)
    assert made.unknown == 0

    # the last slice alone, mirrored: its marks are found where they lie, and the other slices are unknown
    marked = np.zeros((*grid.shape[:2], 1), np.uint8)
    marked[15:18, 20:23] = 1
    x, y, z = grid.origin
    last = {"size": [1, *grid.size[1:]], "origin": [x + 3.0 * (grid.size[0] - 1), y + 2.0 * (grid.size[1] - 1), z]}
    turned = grid.from_dict({**grid.to_dict(), **last, "direction": [1, 0, 0, 0, -1, 0, 0, 0, 1]})
    write_nrrd(tmp_path / "truth.nrrd", marked[:, ::-1], turned)
    made = made_subject(source)
    slices = np.flatnonzero((made.truth != 255).any(axis=(1, 2)))
    assert slices.tolist() == [21] and (made.truth[21] == 1).sum() == 9 and made.unknown > 0.9
