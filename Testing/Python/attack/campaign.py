"""Spoiled inputs for the command line, thousands of them, and what it made of them: ``make attack``.

    python Testing/Python/attack/campaign.py --inputs 10000
    python Testing/Python/attack/campaign.py --only SQLite:123 --seed 1      (one input again, with its traceback)

Each input is known by seed, format and number, and comes out the same every time. A fault is a traceback or an error
that nobody foresaw, a signal, a hang, an escape code on the terminal, or anything read, changed or removed outside of
the input's own folder.
"""

from __future__ import annotations

import single_threaded  # noqa: F401 - first: numpy and torch read what it sets when they are imported

# isort: split

import argparse
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import base_inputs
import containers
import databases
import one_input
import scans
import study_inputs
from judging import FAULTS, FIRST_CHECKS, OPENED, Input, Outcome, attack

FORMATS: dict[str, one_input.Maker] = {
    **scans.VOLUMES,
    "safetensors": containers.safetensors,
    "JSON": lambda random, base, place: (containers.settings if random.random() < 0.04 else study_inputs.json_of_study)(
        random, base, place
    ),
    "CSV": containers.tables,
    "SQLite": databases.sqlite,
}
IMPORTED_LATE = (
    *("SimpleITK", "nrrd", "matplotlib.pyplot", "matplotlib.backends.backend_agg", "contourpy", "plotly.graph_objects"),
    *("pydantic.type_adapter", "rich._emoji_codes", "rich.progress", "rich.traceback", "typer._adapters"),
    *("scipy.ndimage", "scipy.stats", "skimage.measure", "sklearn.decomposition", "sklearn.metrics", "torch._dynamo"),
)
"""What commands import when they need it: seconds of a processor that are spent once."""
WITH_TRAINING = 500
"""From so many inputs on it is worth half a minute to let nnU-Net make a plan that can be spoiled."""
LEFT_OUT = ("LMIALLib.browser", "LMIALLib.desktop", "LMIALLib.scene", "LMIALLib.pipeline.nnunet.")
"""Rooms that no command needs here, and those whose libraries start threads."""


def prepare() -> None:
    """Import LMIAL, and put the forked worker in the place of the started one."""
    import LMIALLib

    for module in pkgutil.walk_packages(LMIALLib.__path__, "LMIALLib."):
        if not module.name.startswith(LEFT_OUT) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    transport = importlib.import_module("LMIALLib.worker.transport")
    transport.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": one_input.ForkedWorker})
    for module_name, function in set(FIRST_CHECKS.values()):
        one_input.mark_when_passed(module_name, function)
    _mark_opened_studies()


def import_the_rest(base: Path) -> None:
    """Import what the commands that made the valid inputs imported late. No thread may live where inputs are forked."""
    for name in dict.fromkeys((base / base_inputs.MODULES).read_text(encoding="utf-8").split()):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a thread lives in the process that is forked for each input")
    gc.collect()
    gc.freeze()


def _mark_opened_studies() -> None:
    """A study counts as past its first check when `Study.open` returned."""
    from LMIALLib.study.store import Study

    opened = Study.__enter__

    def entering(study: Study) -> Study:
        one_input.note_passed(OPENED)
        return opened(study)

    Study.__enter__ = entering  # type: ignore[method-assign]


def run_all(inputs: int, seed: int, base: Path, folder: Path, jobs: int, formats: list[str]) -> list[Outcome]:
    """Attack with ``inputs`` inputs, the same number of each format, in ``jobs`` processes side by side."""
    asked = [(format_, number) for number in range(-(-inputs // len(formats))) for format_ in formats][:inputs]
    pids = []
    for job in range(jobs):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _run_share(asked[job::jobs], seed, base, folder, job)
                code = 0
            except BaseException as error:
                print(error, file=sys.stderr)
            finally:
                os._exit(code)
        pids.append(pid)
    failed = [pid for pid in pids if os.waitpid(pid, 0)[1] != 0]
    if failed:
        raise SystemExit("a part of the campaign failed; see above")
    lines = [line for job in range(jobs) for line in (folder / f"outcomes-{job}.jsonl").read_text().splitlines()]
    return [Outcome(**json.loads(line)) for line in lines]


def _run_share(asked: list[tuple[str, int]], seed: int, base: Path, folder: Path, job: int) -> None:
    place = folder / "a" / "b" / "c" / "d" / f"input-{job}"
    with open(folder / f"outcomes-{job}.jsonl", "w", encoding="utf-8") as stream:
        for format_, number in asked:
            outcome = attack(Input(FORMATS[format_], format_, number, seed), base, place)
            stream.write(json.dumps(asdict(outcome)) + "\n")
            stream.flush()
    shutil.rmtree(place, ignore_errors=True)


def counted(outcomes: list[Outcome]) -> dict[str, dict[str, int | float]]:
    """Figures by format, and of all: inputs, past the first check, reads, refusals, and each kind of fault."""
    table: dict[str, dict[str, int | float]] = {}
    for format_ in [*FORMATS, "all"]:
        some = [one for one in outcomes if format_ in ("all", one.format)]
        if not some:
            continue
        faults = Counter(one.fault for one in some)
        table[format_] = {
            "inputs": len(some),
            "past the first check": sum(one.passed for one in some),
            "reads": sum(not one.fault and one.code == 0 for one in some),
            "refusals": sum(not one.fault and one.code != 0 for one in some),
            **{name: faults[name] for name in FAULTS},
            "longest s": max(one.seconds for one in some),
        }
    return table


def print_table(table: dict[str, dict[str, int | float]]) -> None:
    """The figures as a table; what must be 0 stands on the right."""
    names = list(next(iter(table.values())))
    print("format".ljust(12), *(name.rjust(len(name)) for name in names), sep="  ")
    for format_, row in table.items():
        print(format_.ljust(12), *(f"{row[name]:g}".rjust(len(name)) for name in names), sep="  ")


def _print_causes(faults: list[Outcome]) -> None:
    """Each cause with how often it was met and one input that shows it."""
    by_cause: dict[tuple[str, str], list[Outcome]] = {}
    for one in faults:
        by_cause.setdefault((one.fault, one.cause), []).append(one)
    for (fault, cause), some in sorted(by_cause.items(), key=lambda item: -len(item[1])):
        print(f"{len(some)} {fault}: {cause}  e.g. --only {some[0].format}:{some[0].number}  {some[0].words[:150]}")


def main() -> int:
    """Run the campaign that the words ask for; exit code 1 where a fault was found."""
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    words.add_argument("--inputs", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d")))
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    words.add_argument("--formats", default=",".join(FORMATS))
    words.add_argument("--only", default="", metavar="FORMAT:NUMBER", help="one input, and everything that it said")
    words.add_argument("--out", type=Path, default=Path("attack"), help="folder for figures.json and faults.json")
    words.add_argument("--base", type=Path, default=None, help="keep the valid inputs here, and use them again")
    given = words.parse_args()
    start = time.monotonic()
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where flushing to the disk costs nothing
    folder = Path(tempfile.mkdtemp(prefix="lmial-attack-", dir=in_memory))
    folder.chmod(0o755)
    try:
        prepare()
        base = (given.base or folder / "base").absolute()
        (folder / "w" / "here").mkdir(parents=True)
        os.chdir(folder / "w" / "here")  # the forked worker notes its end above the current folder
        has_nnunet = importlib.util.find_spec("nnunetv2") is not None
        if not (base / "secret.raw").exists():
            base_inputs.make_base(base, trained=given.inputs >= WITH_TRAINING and has_nnunet)
        for path in (base, *base.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        scans.warm(base)
        import_the_rest(base)
        if given.only:
            format_, number = given.only.rsplit(":", 1)
            place = folder / "a" / "b" / "c" / "d" / "input"
            outcome = attack(Input(FORMATS[format_], format_, int(number), given.seed), base, place)
            print(json.dumps(asdict(outcome) | {"told": ""}, indent=1), outcome.told, sep="\n")
            return int(bool(outcome.fault))
        outcomes = run_all(given.inputs, given.seed, base, folder, given.jobs, given.formats.split(","))
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    table = counted(outcomes)
    print_table(table)
    minutes = (time.monotonic() - start) / 60
    print(f"Seed {given.seed}, {minutes:.1f} minutes. Memory limit {one_input.MEMORY >> 20} MiB an input.")
    out = _START / given.out
    out.mkdir(parents=True, exist_ok=True)
    figures = {"seed": given.seed, "minutes": round(minutes, 1), "formats": table}
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    faults = [asdict(one) for one in outcomes if one.fault]
    (out / "faults.json").write_text(json.dumps(faults, indent=1) + "\n", encoding="utf-8")
    _print_causes([one for one in outcomes if one.fault])
    return int(bool(faults))


_START = Path.cwd()

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
