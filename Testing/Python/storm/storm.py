"""Break operations off at random moments, a thousand times, and look whether anything was lost or a claim was false.

``python Testing/Python/storm/storm.py --runs 1000``; a run is repeated, and its folder kept, with ``--only NUMBER``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from LMIALLib.study.store import Study
from Testing.Python.storm import faults, operations
from Testing.Python.storm.faults import KINDS, Counted, Fault, Moments
from Testing.Python.storm.looking import COLUMNS, Ended, Found, look, state_of
from Testing.Python.storm.operations import OPERATIONS, Operation, said_so_far

THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
"""One thread each: the volumes are tiny, and runs go side by side."""
ANSWERED = 5
"""Answers that a session acknowledges at least when nothing fails."""
LONGEST = 300.0
"""Seconds after which a run counts as hung, on a machine that may be busy with other things; a process that stays after
its session counts after 10."""


def prepare_imports() -> None:
    """Import what operations need once; each run is a fork of this process."""
    import SimpleITK  # noqa: F401

    import LMIALLib.cli.main
    import LMIALLib.desktop.face
    import LMIALLib.loop.session
    import LMIALLib.pairs.prepare
    from LMIALLib.browser.machine import choose_graphics

    choose_graphics()
    import LMIALLib.browser.page  # noqa: F401
    import Testing.Python.storm.sessions  # noqa: F401


def run_here(operation: Operation, place: Path, fault: Fault) -> None:
    """In a child: do the operation under a fault and end as a program ends."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
    told = told_of(place)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(told / name, os.O_WRONLY | os.O_CREAT), number)
    code: Any = 0
    counted = Counted(place, fault, told / "moment", in_worker=operation.in_worker)
    try:
        from Testing.Python.storm import sessions

        sessions.counted = counted
        counted.begin()
        operation.run(place, told / "log")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        ours = isinstance(error, KeyboardInterrupt) and not _within_lmial(error)
        if not ours:
            traceback.print_exc()
        code = 130 if ours else 1  # Ctrl-C that came before or after the operation, in lines of the storm itself
    sys.settrace(None)
    (told / "lines").write_text(str(counted.lines))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _within_lmial(error: BaseException) -> bool:
    frames = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    return any("LMIALLib" in Path(file).parts for file in frames)


def run(operation: Operation, place: Path, fault: Fault) -> Ended:
    """Do an operation in a child of its own and wait for it and for every process that it started."""
    sys.stdout.flush()
    told = told_of(place)
    told.mkdir()
    child = os.fork()
    if not child:
        run_here(operation, place, fault)
    status, hung = _waited(child, LONGEST)
    if hung:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    orphans, end = 0, time.monotonic() + 10
    while _any_child_left():
        if time.monotonic() > end:
            orphans = _end_children()
            break
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    out, err, moment = ((told / name).read_text(errors="replace") for name in ("out", "err", "moment"))
    return Ended(code, out, err, hung, orphans, moment.strip())


def told_of(place: Path) -> Path:
    """The folder beside a place for what its run tells: no fault reaches it."""
    return Path(f"{place}-told")


def _waited(child: int, seconds: float) -> tuple[int, bool]:
    end, hung = time.monotonic() + seconds, False
    while True:
        gone, status = os.waitpid(child, os.WNOHANG)
        if gone:
            return status, hung
        if time.monotonic() > end and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _any_child_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_children() -> int:
    """Kill what was left running under this process, as whose children orphans count (PR_SET_CHILD_SUBREAPER)."""
    left = [int(p) for p in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    for one in left:
        os.kill(one, signal.SIGKILL)
        os.waitpid(one, 0)
    return len(left)


def planned(seed: int, number: int, moments: dict[str, Moments], chosen: list[Operation]) -> tuple[Operation, Fault]:
    """Operation and fault of a run."""
    operation = chosen[number % len(chosen)]
    kind = KINDS[number // len(chosen) % len(KINDS)]
    return operation, Fault.drawn(kind, moments[operation.name], random.Random(f"{seed} {number}"))


class Storm:
    """A template and the folder in which runs take place."""

    def __init__(self, folder: Path, seed: int, chosen: list[Operation]) -> None:
        self.folder, self.seed, self.chosen = folder, seed, chosen
        self.template = folder / "template"
        child = os.fork()
        if not child:
            operations.make_place(self.template)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("the study of the storm could not be made")
        self.moments = {one.name: self._measured(one) for one in chosen}
        with Study.open(self.template / "study", read_only=True) as study:
            self.before = state_of(study)

    def _measured(self, operation: Operation) -> Moments:
        """The moments that an operation has when nothing fails; its end must be good."""
        place = operations.copied(self.template, self.folder / f"dry-{operation.name}")
        ended = run(operation, place, Fault(""))
        if ended.code:
            raise SystemExit(f"{operation.name} does not work: {ended}")
        kept = [line for line in said_so_far(told_of(place) / "log") if line.get("told") == "good"]
        if operation.done is None and len(kept) < ANSWERED:
            raise SystemExit(
                f"{operation.name} acknowledges {len(kept)} answers; a session that is broken off must answer"
            )
        shutil.rmtree(place)
        return Moments.told(ended.moment, int((told_of(place) / "lines").read_text()))

    def one(self, number: int, *, keep: bool = False) -> dict[str, Any]:
        """One run and what was found after it, JSON-ready."""
        operation, fault = planned(self.seed, number, self.moments, self.chosen)
        place = operations.copied(self.template, self.folder / f"run-{number}")
        ended = run(operation, place, fault)
        found = _looked(place, operation, fault, ended, self.before)
        if not keep:
            shutil.rmtree(place)
            shutil.rmtree(told_of(place))
        told = {"number": number, "operation": operation.name, "fault": fault.to_dict(), "ended": vars(ended)}
        return told | {column: getattr(found, column) for column in COLUMNS}


def _looked(place: Path, operation: Operation, fault: Fault, ended: Ended, before: dict[str, list[Any]]) -> Found:
    """``look`` in a fresh process, which is nobody's heir."""
    child = os.fork()
    if not child:
        try:
            found = look(place, told_of(place) / "log", operation, fault, ended, before)
        except BaseException:
            found = Found(claims=[f"it could not be looked at: {traceback.format_exc()}"])
        (told_of(place) / "found").write_text(json.dumps(vars(found)))
        os._exit(0)
    os.waitpid(child, 0)
    return Found(**json.loads((told_of(place) / "found").read_text()))


def table(results: list[dict[str, Any]], names: list[str]) -> str:
    """Runs and faults found, by operation and by kind of fault."""
    lines = [f"{'':10} {'runs':>6} {'struck':>7} " + " ".join(f"{column:>8}" for column in COLUMNS)]
    groups = [(name, [r for r in results if r["operation"] == name]) for name in names]
    groups += [(kind, [r for r in results if r["fault"]["kind"] == kind]) for kind in KINDS]
    for name, group in [*groups, ("all", results)]:
        struck = sum(bool(r["ended"]["moment"]) for r in group)
        counts = " ".join(f"{sum(bool(r[column]) for r in group):8}" for column in COLUMNS)
        lines.append(f"{name:10} {len(group):6} {struck:7} {counts}")
    return "\n".join(lines)


def main() -> int:
    """Run as a command; exit status 0 when nothing was found."""
    options = argparse.ArgumentParser(description="Break operations off at random moments and look for losses.")
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", type=int, nargs="*", help="repeat these runs and keep their folders")
    options.add_argument("--operations", nargs="*", default=[one.name for one in OPERATIONS])
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--json", type=Path, help="where the result is written")
    chosen = options.parse_args()
    if not faults.loaded():
        with tempfile.TemporaryDirectory() as place:
            environment = os.environ | dict.fromkeys(THREADS, "1") | {"LD_PRELOAD": str(faults.build(Path(place)))}
            return os.spawnve(os.P_WAIT, sys.executable, [sys.executable, *sys.argv], environment)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    prepare_imports()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    storm = Storm(folder, chosen.seed, [one for one in OPERATIONS if one.name in chosen.operations])
    numbers = chosen.only if chosen.only is not None else range(chosen.runs)
    results = _in_parallel(storm, list(numbers), chosen.workers, keep=chosen.only is not None)
    for result in results:
        for column in COLUMNS:
            for sentence in result[column]:
                told = f"{result['operation']} {result['fault']} {result['ended']['moment']}"
                print(f"run {result['number']}: {told}: {column}: {sentence[-400:]}")
    print(table(results, [one.name for one in storm.chosen]))
    print(f"seed {chosen.seed}, {time.monotonic() - began:.0f} s")
    if chosen.json:
        chosen.json.write_text(
            json.dumps(
                {
                    "seed": chosen.seed,
                    "moments": {name: vars(one) for name, one in storm.moments.items()},
                    "runs": results,
                },
                indent=1,
            )
        )
    if chosen.only is not None:
        print(folder)
    else:
        shutil.rmtree(folder)
    return int(any(result[column] for result in results for column in COLUMNS))


def _in_parallel(storm: Storm, numbers: list[int], workers: int, *, keep: bool) -> list[dict[str, Any]]:
    """Every run, shared among processes that each write a line for each run."""
    children = {}
    for worker in range(min(workers, len(numbers))):
        child = os.fork()
        if not child:
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
            with open(storm.folder / f"results-{worker}", "w") as lines:
                for number in numbers[worker::workers]:
                    lines.write(json.dumps(storm.one(number, keep=keep)) + "\n")
                    lines.flush()
            os._exit(0)
        children[child] = worker
    results = []
    for child, worker in children.items():
        if os.waitpid(child, 0)[1]:
            raise SystemExit("a process of the storm itself failed")
        results += [json.loads(line) for line in (storm.folder / f"results-{worker}").read_text().splitlines()]
    return sorted(results, key=lambda result: result["number"])


if __name__ == "__main__":
    sys.exit(main())
