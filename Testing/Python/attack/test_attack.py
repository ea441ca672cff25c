"""A small campaign with a fixed seed, and whether a campaign would notice what it looks for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import judging
import one_input
import pytest
from judging import Input, attack

INPUTS, SEED = 120, 16

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc/self").exists(), reason="it forks processes")


def test_a_small_campaign_finds_no_fault(tmp_path: Path) -> None:
    """Fifteen inputs of each format: no traceback, no signal, no hang, nothing outside, no escape code."""
    campaign = Path(__file__).with_name("campaign.py")
    words = ["--inputs", str(INPUTS), "--seed", str(SEED), "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, str(campaign), *words], capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["formats"]
    assert figures["all"]["inputs"] == INPUTS
    assert min(row["inputs"] for row in figures.values()) == INPUTS // 8
    assert figures["all"]["past the first check"] >= INPUTS / 5
    faults = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    assert not faults, [(one["format"], one["number"], one["fault"], one["cause"]) for one in faults]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for an input, and the few valid inputs that its canary is made of."""
    (tmp_path / "base" / "volumes").mkdir(parents=True)
    (tmp_path / "base" / "secret.raw").write_bytes(b"voxels")
    (tmp_path / "base" / "volumes" / "label.nii.gz").write_bytes(b"a label")
    return tmp_path / "input"


def judged(place: Path, monkeypatch: pytest.MonkeyPatch, command: object) -> judging.Outcome:
    """What the campaign says of a command line that does ``command(folder of the input)``."""

    def command_line(words: list[str], folder: Path) -> int:
        os.chdir(folder / "work")
        return command(folder)  # type: ignore[operator]

    def maker(random: Random, base: Path, work: Path) -> one_input.Attempt:
        return one_input.Attempt(["status"])

    monkeypatch.setattr(one_input, "_command_line", command_line)
    return attack(Input(maker, "JSON", 0, 1), place.parent / "base", place)


def test_each_kind_of_fault_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a campaign counts must be something that it can see."""

    def say(text: str, code: int):
        return lambda folder: (os.write(2, text.encode()), code)[1]

    def dies(folder: Path) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    def removes(folder: Path) -> int:
        (folder / "canary" / "secret.txt").unlink()
        return 0

    def copies(folder: Path) -> int:
        (folder / "work" / "out.txt").write_bytes((folder / "canary" / "secret.txt").read_bytes())
        return 0

    def sleeps(folder: Path) -> int:
        signal.pause()
        return 0

    def breaks_its_worker(folder: Path) -> int:
        (folder / one_input.BROKEN_WORKER).write_text("11", encoding="ascii")
        return 4

    expected = [
        (say("lmial: the file is broken.", 3), ""),
        (say("done", 0), ""),
        (say("x\x1b[2Jy", 0), "escapes"),
        (say("x\x9by", 3), "escapes"),
        (say("lmial: This should not have happened: KeyError: 'a'.", 4), "tracebacks"),
        (say("", 1), "tracebacks"),
        (dies, "signals"),
        (breaks_its_worker, "signals"),
        (removes, "outside"),
        (copies, "outside"),
    ]
    for command, fault in expected:
        assert judged(place, monkeypatch, command).fault == fault
    monkeypatch.setattr(one_input, "SECONDS", 0.3)
    assert judged(place, monkeypatch, sleeps).fault == "hangs"


def test_an_unforeseen_error_says_what_the_campaign_looks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentences by which the campaign knows an unforeseen error are still those of the command line and worker."""
    import typer

    from LMIALLib.cli.console import guarded

    def fails() -> None:
        raise KeyError("a")

    with pytest.raises(typer.Exit):
        guarded(fails)()
    told = " ".join(capsys.readouterr().err.split())
    assert any(words in told for words in judging.UNFORESEEN)
    worker = Path(sys.modules["LMIALLib"].__path__[0]) / "worker" / "process.py"
    assert any(words in worker.read_text(encoding="utf-8") for words in judging.UNFORESEEN)
