"""The process that runs nnU-Net: ``python -m LMIALLib.pipeline.nnunet.process STUDY``.

It reads one request, a line of JSON on standard input, and writes to standard output how far it is and how it ended, as
the worker does. Its environment names nnU-Net's folders. When standard input closes it ends at once, with every
process that it started; what nnU-Net wrote until then lies whole on the disk.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from LMIALLib.errors import BadInput, LMIALError, disk_problem
from LMIALLib.pipeline.nnunet.entering import check_work
from LMIALLib.pipeline.nnunet.places import WorkFolder
from LMIALLib.pipeline.nnunet.running import NOT_INSTALLED
from LMIALLib.pipeline.nnunet.steps import NnunetRequest, Plan, Train, read_steps
from LMIALLib.worker.messages import decode, encode, finite
from LMIALLib.worker.process_group import end_group


def run_steps(study_folder: Path, request: NnunetRequest, progress: Callable[..., None]) -> list[dict[str, Any]]:
    """Do the steps of a request one after another; gives what each found.

    Raises BadInput before nnU-Net is imported where the work folder is a stranger's, see `entering`.
    """
    check_work(study_folder)
    try:
        import nnunetv2  # noqa: F401
    except ImportError as error:
        raise BadInput(*NOT_INSTALLED) from error
    import torch

    from LMIALLib.network.device import chosen_device
    from LMIALLib.pipeline.nnunet.ensemble import best_kept, mixed, predict, trained_folds
    from LMIALLib.pipeline.nnunet.ensemble_file import store
    from LMIALLib.pipeline.nnunet.planning import plan
    from LMIALLib.pipeline.nnunet.training import train
    from LMIALLib.study.store import Study

    device, results = torch.device(chosen_device(request.device)), []
    at_once = min(request.workers, os.cpu_count() or 1)
    feeding = at_once if device.type != "cpu" else 0  # on a CPU they would take the cores that train
    for step in request.steps:
        work = _work(study_folder, step.data)
        if isinstance(step, Plan):
            plans_of = _work(study_folder, step.plans_of) if step.plans_of else None
            planned = plan(work, step.config, size=step.size, plans_of=plans_of, workers=at_once, progress=progress)
            results.append(planned)
        elif isinstance(step, Train):
            done = train(
                work,
                step.config,
                step.fold,
                step.of_training,
                weights=Path(step.weights) if step.weights else None,
                device=device,
                workers=feeding,
                progress=progress,
            )
            results.append(done)
        else:
            trained, start = trained_folds(work, step.config, step.folds, Path(step.weights))
            with Study.open(study_folder, read_only=True) as study:
                kept = best_kept(study, work, trained, start, device=device, progress=progress)
            digest = store(work, mixed(trained, start, kept))
            model = f"{step.prefix}{digest[:8]}"
            judged = predict(study_folder, work, model, teacher=step.teacher, device=device, progress=progress)
            results.append({"model": model, "kept": kept, **judged})
    return results


def _work(study_folder: Path, data: str) -> WorkFolder:
    return {"pre": WorkFolder.pretraining, "fine": WorkFolder.finetuning}[data](study_folder)


def main(arguments: list[str]) -> int:
    """Entry point: one argument, the study folder."""
    sys.stdout.flush()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no event
    message = decode(sys.stdin.buffer.readline())
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the worker; read when torch is imported
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(5)

    def say(event: str, **fields: Any) -> None:
        output.write(encode({"event": event, **finite(fields)}))
        output.flush()

    try:
        results = run_steps(
            Path(arguments[0]),
            read_steps(message),
            lambda stage, done, total, **figures: say("progress", stage=stage, done=done, total=total, **figures),
        )
        say("done", results=results)
        return 0
    except BrokenPipeError:
        return 0
    except LMIALError as error:
        kind = "BadInput" if isinstance(error, BadInput) else "LMIALError"
        steps = [step.to_dict() for step in error.steps]
        say("failed", sentence=error.sentence, hint=error.hint, kind=kind, steps=steps)
    except OSError as error:
        problem = disk_problem(error)
        say("failed", sentence=problem.sentence, hint=problem.hint, kind="BadInput")
    except Exception as error:
        logging.getLogger(__name__).error("".join(traceback.format_exception(error)))
        sentence, hint = _explained(error)
        say("failed", sentence=sentence, hint=hint, kind="LMIALError")
    return 1


def _explained(error: Exception) -> tuple[str, str]:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return NO_MEMORY
    return f"nnU-Net stopped on an unexpected error: {type(error).__name__}: {error}", ""


NO_MEMORY = (
    "nnU-Net had not enough memory.",
    "Close other programs, or take the configuration 2d; started again it goes on from its last checkpoint.",
)


def _end_with(requests: IO[bytes]) -> None:
    """End when the other side closes, or says anything more."""
    requests.readline()
    for child in multiprocessing.active_children():
        child.kill()
    if os.name == "nt" or os.getpgid(0) == os.getpid():  # its group is its own: see worker.process_group
        end_group(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
