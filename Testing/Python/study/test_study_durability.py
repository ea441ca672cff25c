"""What was acknowledged survives a kill, is flushed before it is acknowledged, and a full disk loses nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import NewAnswer, Study
from LMIALLib.study.backup import write_backup
from LMIALLib.study.checks import check_study

HERE = Path(__file__).parent
ROUNDS = 10


def test_no_acknowledged_annotation_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    """The full number is a command: ``python Testing/Python/study/kill_while_saving.py --rounds 200``."""
    command = [sys.executable, str(HERE / "kill_while_saving.py"), "--rounds", str(ROUNDS), "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ROUNDS} kills" in done.stdout


def test_every_save_is_flushed_before_it_is_acknowledged(
    study: Study, tmp_path: Path, require_program: Callable[[str, str], str]
) -> None:
    strace = require_program("strace", "strace")
    study.close()
    trace = tmp_path / "trace"
    traced = [strace, "-f", "-y", "-e", "trace=fsync,fdatasync,write,pwrite64,ftruncate", "-o", str(trace)]
    child = [sys.executable, str(HERE / "saving_child.py"), str(study.folder), "1", "3"]
    done = subprocess.run([*traced, *child], capture_output=True, text=True, check=False, timeout=120)
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"strace may not look into processes here: {done.stderr.strip()}")
    assert done.stdout.split("\n")[0] == "ready", done.stderr
    saves = re.split(r'write\(1<[^"]*"(?:ready|saved)', trace.read_text(errors="replace"))[1:-1]
    assert len(saves) == 3
    for save in saves:
        calls = [line for line in save.splitlines() if "study.sqlite" in line]
        flushes = [n for n, line in enumerate(calls) if re.search(r"f(data)?sync\(", line)]
        commit = max(n for n, line in enumerate(calls) if "ftruncate(" in line and "-journal>" in line)
        database = max(n for n, line in enumerate(calls) if "pwrite64(" in line and "study.sqlite>" in line)
        assert any(database < n < commit for n in flushes if "study.sqlite>" in calls[n]), "what was saved is flushed"
        assert any(n > commit for n in flushes if "-journal>" in calls[n]), "the commit itself is flushed"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 600 KiB."""
    if os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only the super-user can mount a tiny disk; the limit on file sizes below tests the same")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tiny disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def noise(number: int) -> NewAnswer:
    """An annotation whose mask hardly compresses."""
    mask = np.random.default_rng(number).integers(0, 6, (96, 96)).astype(np.uint8)
    return NewAnswer("a", number % 6, "mask", mask, reader="r")


def put_large_case(study: Study, make_pair: Callable) -> None:
    staged = study.cases.stage("a")
    pair = make_pair((6, 96, 96))
    flat = type(pair)(pair.baseline * 0, pair.follow_up * 0, pair.mask, pair.grid, 0)
    save_pair(flat, staged / "pair-1")
    study.cases.add("a", staged)


def save_until_full(study: Study) -> list[int]:
    """Save until the disk is full; the acknowledged ids."""
    saved: list[int] = []
    try:
        while len(saved) < 2000:
            saved.append(study.answers.save(noise(len(saved))).id)
    except BadInput as full:
        assert "disk" in full.sentence  # noqa: PT017 - the saves before it are wanted as well
    else:
        pytest.fail("the disk never filled")
    return saved


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tiny_disk: Path, tmp_path: Path, make_pair: Callable) -> None:
    with Study.create(tiny_disk / "study") as study:
        put_large_case(study, make_pair)
        saved = save_until_full(study)
        assert len(saved) > 10
        assert [a.id for a in study.answers.all()] == saved
        with pytest.raises(BadInput, match="disk is full"):
            write_backup(study, tiny_disk / "b.zip")
        large = tmp_path / "weights"
        large.write_bytes(b"0" * 700_000)
        for weights in (Path(__file__), large):  # the small file fits and its row does not, the large one does not fit
            with pytest.raises(BadInput, match="disk"):
                study.models.add(weights, id="m0")
        assert sorted(p.name for p in tiny_disk.iterdir()) == ["study"]
        assert list((study.folder / "models").iterdir()) == []
    with Study.open(study.folder) as again:
        assert [a.id for a in again.answers.all()] == saved
        assert not check_study(again)
    fill(tiny_disk / "filler")
    with Study.open(study.folder) as look:
        assert look.read_only
        assert "disk is full" in str(look.why_read_only)
        assert [a.id for a in look.answers.all()] == saved
    subprocess.run(["mount", "-o", "remount,size=2m", str(tiny_disk)], check=True)
    with Study.open(study.folder) as again:
        assert not again.read_only
        assert again.answers.save(noise(0)).id > saved[-1]


def fill(file: Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"0" * 1024):
            pass
    except OSError:
        pass
    finally:
        os.close(descriptor)


def test_a_case_that_does_not_fit_leaves_no_trace(tiny_disk: Path, make_pair: Callable) -> None:
    with Study.create(tiny_disk / "study") as study:
        staged = study.cases.stage("a")
        save_pair(make_pair(), staged / "pair-1")
        fill(tiny_disk / "filler")
        with pytest.raises(BadInput, match="disk"):
            study.cases.add("a", staged)
        assert study.cases.all() == ()
        assert not (study.folder / "cases" / "a").exists()
        (tiny_disk / "filler").unlink()
        assert study.cases.add("a", staged).name == "a"
        assert not check_study(study)


def test_a_study_on_a_read_only_disk_opens_for_looking(tiny_disk: Path, make_pair: Callable) -> None:
    with Study.create(tiny_disk / "study") as study:
        put_large_case(study, make_pair)
        study.answers.save(noise(1))
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with Study.open(tiny_disk / "study") as look:
        assert look.read_only
        assert look.answers.current("a").keys() == {1}
        assert not check_study(look)
        with pytest.raises(BadInput, match="reading only"):
            look.answers.save(noise(2))
    with pytest.raises(BadInput, match=r"failed|full|written"):
        Study.create(tiny_disk / "other")


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_study_durability import noise, save_until_full
from LMIALLib.study import Study
study = Study.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
saved = save_until_full(study)
assert [a.id for a in study.answers.all()] == saved and len(saved) > 5
print(len(saved), flush=True)
"""


def test_a_file_that_may_not_grow_loses_nothing(study: Study, tmp_path: Path, make_pair: Callable) -> None:
    pytest.importorskip("resource", reason="Windows knows no limit on file sizes")
    study.cases.remove("a")
    put_large_case(study, make_pair)
    study.close()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(study.folder), str(HERE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with Study.open(study.folder) as again:
        assert not again.read_only
        assert len(again.answers.all()) == int(done.stdout)
        assert not check_study(again)
        again.answers.save(noise(0))
