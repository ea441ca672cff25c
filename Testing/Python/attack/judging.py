"""What the command line made of one input: whether it was read, refused, or a fault, and where a fault comes from."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import one_input
from mutations import CANARY

FIRST_CHECKS = {
    **dict.fromkeys(("NRRD", "NIfTI", "MetaImage"), ("LMIALLib.pairs.headers", "check_header")),
    "DICOM": ("LMIALLib.pairs.dicom", "_check_kind"),
    "safetensors": ("LMIALLib.network.weights", "header_info"),
    "CSV": ("LMIALLib.datasets.csv_table", "_rows"),
}
"""What must be passed first: a function that returns. A study, the rest, is past its own once it is open."""
OPENED = "Study.open"
PATIENCE = 4
"""What takes a minute is tried again with four: on a busy machine an import may be slow, and that is no hang."""
SECRET = b"what-nobody-may-see"
UNFORESEEN = (
    "Traceback (most recent call last)",
    "This should not have happened",
    "an unexpected error",
    "Fatal Python",
)
ESCAPES = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
OURS = ("work", "out", "err", "words", "must_refuse", one_input.PASSED, one_input.BROKEN_WORKER, one_input.WORKER_LOG)
FRAME = re.compile(r"(?:/|File \")\S*?(LMIALLib/[\w/]+\.py)(?:\", line |:)(\d+),? in")
ERROR = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Interrupt|Warning|Exit))\b", re.MULTILINE)
FAULTS = ("tracebacks", "signals", "hangs", "escapes", "outside")


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Args:
        format, number: which input.
        words: what the command line was asked.
        code: exit code, minus the signal where one ended it, None for a hang.
        passed: whether the first check of its format was passed.
        fault: "" or a word of `FAULTS`.
        seconds: from fork to end.
        told: what it said, for a fault also its traceback.
        cause: of a fault: place in LMIAL and kind of error where they are known, else the command.
    """

    format: str
    number: int
    words: str
    code: int | None
    passed: bool
    fault: str
    seconds: float
    told: str
    cause: str = ""


@dataclass(frozen=True)
class Input:
    """One input of the campaign, which seed, format and number make again."""

    maker: one_input.Maker
    format: str
    number: int
    seed: int


def attack(one: Input, base: Path, place: Path) -> Outcome:
    """Let the command line read an input in ``place``; an unforeseen error is looked at again with its traceback."""
    outcome = _judged(one, base, place, debug=False)
    if outcome.fault == "hangs":
        outcome = _judged(one, base, place, debug=False, patience=PATIENCE)
    if not outcome.fault:
        return outcome
    if outcome.fault not in ("tracebacks", "escapes"):
        return replace(outcome, cause=_cause(outcome, outcome.told))
    again = _judged(one, base, place, debug=True)
    told = f"{outcome.told}\n--- with LMIAL_DEBUG:\n{again.told}"
    return replace(outcome, told=told, cause=_cause(outcome, again.told))


def _judged(one: Input, base: Path, place: Path, *, debug: bool, patience: int = 1) -> Outcome:
    shutil.rmtree(place, ignore_errors=True)
    _lay_canary(place, base)
    before = _seen(place)
    status, seconds = one_input.run_input(
        one.maker, f"{one.seed}/{one.format}/{one.number}", base, place, debug=debug, patience=patience
    )
    out, err = ((place / name).read_bytes() for name in ("out", "err"))
    log = place / one_input.WORKER_LOG
    logged = log.read_bytes() if log.exists() else b""
    said = (err + out).decode("utf-8", "backslashreplace")[-6000:]
    told = re.sub("Extension modules: .*", "", said + logged.decode("utf-8", "backslashreplace")[-6000:])
    code = None if status == -1 else os.waitstatus_to_exitcode(status)
    if code == one_input.MADE_BADLY:
        raise RuntimeError(f"the input {one} could not be made:\n{told}")
    noted = place / one_input.PASSED
    wanted = FIRST_CHECKS[one.format][1] if one.format in FIRST_CHECKS else OPENED
    passed = noted.exists() and wanted in noted.read_text(encoding="utf-8").splitlines()
    fault = _fault(code, told, out + err, place, before)
    words = (place / "words").read_text(encoding="utf-8") if (place / "words").exists() else ""
    words = words.replace(str(place / "work"), ".").replace(str(base), "BASE")
    return Outcome(one.format, one.number, words, code, passed, fault, round(seconds, 3), told)


def _fault(code: int | None, told: str, said: bytes, place: Path, before: dict[str, str]) -> str:
    worker = place / one_input.BROKEN_WORKER
    if code is None:
        return "hangs"
    if code < 0 or worker.exists():
        return "signals"
    if code not in (0, 2, 3, 4, 130) or any(words in told for words in UNFORESEEN):
        return "tracebacks"
    if _seen(place) != before or (code == 0 and (place / "must_refuse").exists()) or _shown(place, said):
        return "outside"
    return "escapes" if ESCAPES.search(said) else ""


def _lay_canary(place: Path, base: Path) -> None:
    """What lies beside an input's folder: a text, a hidden file, and voxels that would fit a header."""
    canary = place / CANARY
    (canary / "inside").mkdir(parents=True)
    (canary / "secret.txt").write_bytes(SECRET)
    (canary / "inside" / ".hidden").write_bytes(SECRET)
    shutil.copyfile(base / "secret.raw", canary / "secret.raw")
    for folder in (canary, canary / "inside"):
        folder.chmod(0o777)  # whoever the input's process becomes: it could, but must not
    place.chmod(0o777)
    shutil.copyfile(base / "volumes" / "label.nii.gz", place / "label.nii.gz")


def _cause(outcome: Outcome, traced: str) -> str:
    """Where a fault comes from, so that faults of one cause can be counted together."""
    command = " ".join(outcome.words.strip("[]").replace("'", "").replace(",", "").split()[:1])
    frames = [place for place in FRAME.findall(traced) if "cli/console" not in place[0]]
    if outcome.fault in ("signals", "hangs"):  # their stacks begin with the newest call
        found = re.search(r'File "\S*(LMIALLib/[\w/]+\.py)", line (\d+)', outcome.told)
        return f"{':'.join(found.groups())}" if found else f"{command}: exit code {outcome.code}"
    if outcome.fault != "tracebacks":
        return f"{command}: exit code {outcome.code}"
    errors = ERROR.findall(traced)
    return f"{':'.join(frames[-1]) if frames else command} {errors[-1] if errors else ''}"


def _seen(place: Path) -> dict[str, str]:
    """Every file beside the input's folder and the digest of its content."""
    found = {}
    for folder, folders, files in os.walk(place):
        if Path(folder) == place:
            folders[:] = [one for one in folders if one not in OURS]
            files = [one for one in files if one not in OURS]
        for name in (*folders, *files):
            path = Path(folder) / name
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def _shown(place: Path, said: bytes) -> bool:
    """Whether the secret came out: on the terminal, in a backup, or in a file that was written."""
    if SECRET in said:
        return True
    for path in (place / "work").rglob("*"):
        if path.is_symlink() or not path.is_file() or any(part.is_symlink() for part in path.parents):
            continue
        if path.suffix == ".zip" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(SECRET in archive.read(one) for one in archive.infolist() if one.file_size < 5_000_000):
                    return True
        elif path.stat().st_size < 5_000_000 and SECRET in path.read_bytes():
            return True
    return False
