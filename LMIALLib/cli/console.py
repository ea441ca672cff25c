"""What the command line prints, and how it ends: documents on stdout, everything else on stderr.

Exit codes: 0 done, 2 wrong use, 3 bad input, 4 the work itself failed.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from LMIALLib.errors import BadInput, LMIALError, NeedsConfirmation

if TYPE_CHECKING:
    from LMIALLib.worker.client import Job

OUT = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)

Command = TypeVar("Command", bound=Callable[..., Any])


def guarded(command: Command) -> Command:
    """Turn every error of a command into one sentence on stderr and its exit code; no traceback reaches a person.

    With LMIAL_DEBUG set the traceback is shown as well.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        import typer

        try:
            return command(*args, **kwargs)
        except LMIALError as error:
            _tell(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            ERR.print("Interrupted; what was saved is kept.")
            raise typer.Exit(4) from None
        except OSError as error:
            problem = sentence_of(error)
            _tell(problem)
            raise typer.Exit(problem.exit_code) from None
        except typer.Exit:
            raise
        except Exception as error:
            _tell(LMIALError(f"This should not have happened: {type(error).__name__}: {error}."))
            ERR.print("Set LMIAL_DEBUG=1 and run it again to see where; nothing that was saved is lost.", style="dim")
            raise typer.Exit(4) from None

    return run  # type: ignore[return-value]  # the wrapper keeps the signature


def sentence_of(error: OSError) -> LMIALError:
    """One sentence for an error of the file system."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BadInput(f"{where}the disk is full; nothing was written.", "Make room and run the command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BadInput(f"{where}this place cannot be written to or read.", "Check its permissions.")
    return BadInput(f"{where}{error.strerror or error}.")


def _tell(error: LMIALError) -> None:
    if os.environ.get("LMIAL_DEBUG"):
        ERR.print_exception()
    ERR.print(f"[bold red]lmial:[/] {_plain(error.sentence)}")
    hint = error.hint or ("Use --force if it is meant." if isinstance(error, NeedsConfirmation) else "")
    if hint:
        ERR.print(_plain(hint))


def _plain(text: str) -> str:
    """Text in which square brackets (of a path, say) are not taken for markup."""
    return text.replace("[", r"\[")


def document(value: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[Job], None]]:
    """A progress bar on stderr that follows a job; nothing is drawn where stderr is not a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn()
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, note="")

        def follow(job: Job) -> None:
            event = job.progress
            share = 1.0 if job.state == "done" else event.get("done", 0) / max(event.get("total", 1), 1)
            figures = [f"{key} {event[key]:.2f}" for key in ("loss", "dice") if isinstance(event.get(key), float)]
            bar.update(task, completed=min(share, 1.0), note=" ".join([str(event.get("stage", "")), *figures]))

        yield follow
