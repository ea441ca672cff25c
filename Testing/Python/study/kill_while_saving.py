"""Kill a saving process at random moments; nothing acknowledged may be lost.

``python Testing/Python/study/kill_while_saving.py --rounds 200``: each round starts ``saving_child.py``, ends it with
SIGKILL (TerminateProcess under Windows) after a random time, opens the study again and compares every acknowledged
annotation with what is stored. It says nothing about power loss: for that see ``test_study_durability.py``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pairs.storage import save_pair
from LMIALLib.study import Study
from LMIALLib.study.checks import check_study

CHILD = Path(__file__).with_name("saving_child.py")


def make_study(folder: Path) -> None:
    """A study with one small case."""
    grid = Grid((32, 40, 8), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    noise = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    with Study.create(folder) as study:
        staged = study.cases.stage("a")
        save_pair(Pair(noise, noise, np.ones(grid.shape, bool), grid, 0), staged / "pair-1")
        study.cases.add("a", staged)


def acknowledged_before_kill(folder: Path, seed: int, seconds: float) -> list[tuple[int, int, int]]:
    """Start a child, kill it ``seconds`` after it is ready; (id, slice, voxels) of each save that it acknowledged."""
    child = subprocess.Popen([sys.executable, str(CHILD), str(folder), str(seed)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    if child.stdout.readline() != "ready\n":
        child.kill()
        raise SystemExit("the saving process did not start; its error stands above")
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    lines = [line.split() for line in child.stdout if line.endswith("\n")]  # a line cut short was not acknowledged
    child.wait()
    killer.join()
    return [(int(number), int(place), int(voxels)) for _, number, place, voxels in lines]


def check_round(folder: Path, acknowledged: list[tuple[int, int, int]]) -> str:
    """Open the study as the next session would; one sentence about what is wrong, or an empty string."""
    with Study.open(folder) as study:
        if study.read_only:
            return f"the study opened read-only: {study.why_read_only}"
        problems = check_study(study)
        if problems:
            return "; ".join(f"{p.where}: {p.sentence}" for p in problems)
        stored = {a.id: a for a in study.answers.all()}
    for number, place, voxels in acknowledged:
        found = stored.get(number)
        if found is None or found.mask is None:
            return f"annotation {number} was acknowledged and is lost"
        if (found.slice, int(found.mask.sum())) != (place, voxels):
            return f"annotation {number} is not what was saved"
    return ""


def run(rounds: int, seed: int, folder: Path, longest: float = 0.4) -> tuple[int, list[str]]:
    """Kill ``rounds`` times; how many saves were acknowledged in all, and what went wrong."""
    draw = random.Random(seed)
    make_study(folder)
    everything: list[tuple[int, int, int]] = []
    failures = []
    for number in range(rounds):
        everything += acknowledged_before_kill(folder, seed + number, draw.uniform(0.0, longest))
        wrong = check_round(folder, everything)
        if wrong:
            failures.append(f"round {number + 1}: {wrong}")
    return len(everything), failures


def main() -> int:
    """Run as a command; exit status 0 when nothing was lost."""
    options = argparse.ArgumentParser(description="Kill a saving process at random moments and look for lost answers.")
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        saves, failures = run(chosen.rounds, chosen.seed, Path(place) / "study")
    print(*failures, sep="\n", end="\n" if failures else "")
    spent = time.monotonic() - started
    print(f"{chosen.rounds} kills, {saves} acknowledged saves, {len(failures)} rounds with a loss, {spent:.0f} s")
    return 1 if failures or not saves else 0


if __name__ == "__main__":
    sys.exit(main())
