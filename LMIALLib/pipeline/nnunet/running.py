"""Running nnU-Net in its own process: hand a request over, hear how far it is, stop it within a second."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from LMIALLib.errors import BadInput, LMIALError
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, steps_message
from LMIALLib.progress import Cancelled, Progress
from LMIALLib.worker.messages import decode, encode, steps_of
from LMIALLib.worker.transport import SubprocessTransport, worker_python

NOT_INSTALLED = "nnU-Net is not installed here.", "Install it: pip install 'lmial[nnunet]'"
KILLED = (
    "nnU-Net was ended from outside, most likely because memory ran out.",
    "Started again it goes on from its last checkpoint; the configuration 2d needs less memory.",
)


def check_installed() -> None:
    """Raise BadInput where nnU-Net is missing in this interpreter, which is also the one that would run it."""
    if worker_python() == sys.executable and importlib.util.find_spec("nnunetv2") is None:
        raise BadInput(*NOT_INSTALLED)


def run(
    study_folder: Path,
    request: NnunetRequest,
    *,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> list[dict[str, Any]]:
    """Do the steps of a request (see ``process.run_steps``) in a process of its own.

    Args:
        study_folder: of the study.
        request: what is to be done, and where.
        progress: called with (sentence, done, total).
        cancelled: called about ten times a second; the process then ends within a second.

    Returns what each step found. Raises Cancelled, what the process failed with, or LMIALError when it was killed;
    nothing that nnU-Net had written is lost.
    """
    work = WorkFolder.pretraining(study_folder)
    for folder in ("raw", "pre", "res"):
        (work.root / folder).mkdir(parents=True, exist_ok=True)
    transport = SubprocessTransport("LMIALLib.pipeline.nnunet.process", work.environment(), alone=True)
    transport.start(Path(study_folder))
    try:
        transport.send(encode(steps_message(request)))
        while transport.alive():
            if cancelled():
                raise Cancelled
            line = transport.receive(timeout=0.1)
            message = _message(line) if line else None
            if message is None:
                continue
            if message["event"] == "progress":
                progress(sentence(message), int(message["done"]), int(message["total"]))
            elif message["event"] == "failed":
                kind = BadInput if message["kind"] == "BadInput" else LMIALError
                raise kind(message["sentence"], message["hint"], *steps_of(message))
            elif message["event"] == "done":
                return list(message["results"])
    except BrokenPipeError:
        time.sleep(0.1)  # it ended before it could be asked anything
    finally:
        transport.close(0.2)
    raise LMIALError(*KILLED)


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        return decode(line)
    except ValueError:
        return None  # a library wrote past us


def sentence(message: Mapping[str, Any]) -> str:
    """What a person wants to hear of a progress event."""
    stage = str(message["stage"])
    if stage != "train":
        case = f": {message['case']}" if message.get("case") else ""
        return f"nnU-Net, {_STAGES.get(stage, stage)}{case}"
    words = [f"nnU-Net, fold {int(message['fold']) + 1}, epoch {message['epoch']} of {message['epochs']}"]
    words += [f"{word} {message[key]:.3f}" for key, word in _FIGURES.items() if message.get(key) is not None]
    if message.get("seconds_left") is not None:
        words.append(_left(float(message["seconds_left"])))
    return ", ".join(words)


_STAGES = {
    "fingerprint": "looking at the data",
    "plan": "planning",
    "preprocess": "preprocessing",
    "keep": "how much of the pretrained weights to keep",
    "predict": "maps",
}
_FIGURES = {"loss": "loss", "dice": "pseudo Dice"}


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"
