"""What the command line prints, and how it ends: documents on stdout, everything else on stderr.

Exit codes: 0 done, 2 wrong use, 3 bad input, 4 the work itself failed, 130 ended with Ctrl-C.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.text import Text

from LMIALLib.cli.commands import OPTIONS, command_for
from LMIALLib.cli.interrupts import EXIT_CODE
from LMIALLib.errors import BadInput, LMIALError, NeedsConfirmation, Step, disk_problem, readable
from LMIALLib.progress import Progress

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from LMIALLib.queries.query import Query
    from LMIALLib.worker.client import Job

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)


def plain(text: str) -> str:
    """A text with every character escaped that a terminal would obey instead of showing, line feed and tab excepted.

    Names, reports and events of a study may come from a stranger; escape codes in them could hide or fake lines.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], readable(text))


class PlainConsole(Console):
    """A console whose texts, also those in tables, are `plain`."""

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        """See rich."""
        return super().render_str(plain(text), **options)


OUT = PlainConsole(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
ERR = PlainConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)

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
            _print_error(error, kwargs.get("study"))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            ERR.print("Interrupted; what was saved is kept.")
            raise typer.Exit(EXIT_CODE) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has seen enough
            raise typer.Exit(0) from None
        except OSError as error:
            problem = disk_problem(error)
            _print_error(problem)
            raise typer.Exit(problem.exit_code) from None
        except UnicodeEncodeError as error:  # a library was given the name of a file
            name = error.object if len(error.object) < 500 else error.object[max(0, error.start - 40) : error.end + 40]
            problem = BadInput(f"{name}: this name is not written in UTF-8.", "Rename the file or folder.")
            _print_error(problem)
            raise typer.Exit(problem.exit_code) from None
        except typer.Exit:
            raise
        except Exception as error:
            _print_error(LMIALError(f"This should not have happened: {type(error).__name__}: {error}."))
            ERR.print("Set LMIAL_DEBUG=1 and run it again to see where; nothing that was saved is lost.", style="dim")
            raise typer.Exit(4) from None

    return run  # type: ignore[return-value]  # the wrapper keeps the signature


def _print_error(error: LMIALError, study: Path | None = None) -> None:
    """Print an error and what can be done about it; ``study`` as the person typed it."""
    if os.environ.get("LMIAL_DEBUG"):
        ERR.print_exception()
    ERR.print("lmial:", style="bold red", end=" ")
    ERR.print(error.sentence)
    if error.hint:
        ERR.print(error.hint)
    if isinstance(error, NeedsConfirmation):
        ERR.print("Use --force if it is meant.")
    print_steps(error.steps, study)


def print_steps(steps: Iterable[Step], study: Path | None = None, *, on: Console = ERR) -> None:
    """Print a command for each thing that can be done next, a line of its own that can be copied."""
    for step in steps:
        line = command_for(step, study)
        on.print(f"  the same command with {line}" if step.do in OPTIONS else f"  {line}", markup=False)


def document(value: Any) -> None:
    """Print one JSON document on stdout."""
    # A byte that is no UTF-8 stands as "\\xfc" in what was written, not as half a character, which few programs read.
    text = readable(json.dumps(value, ensure_ascii=False, indent=1, default=str), "\\\\")
    sys.stdout.write(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_queue(queue: list[Query], counts: dict[str, int]) -> None:
    """Print queries as a table; ``counts`` are the slices of each case."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, justify in (("rank", "right"), ("case", "left"), ("slice", "right"), ("score", "right"), ("why", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # both words are justify methods
    for query in queue:
        place = f"{query.slice} of 0-{counts[query.case] - 1}"
        table.add_row(str(query.rank), query.case, place, f"{query.score:.4g}", query.reason)
    OUT.print(table)


def _note() -> ProgressColumn:
    from rich.progress import TextColumn

    return TextColumn("{task.fields[note]}", markup=False)  # what stands there is no markup of ours


@contextmanager
def progress_of(title: str) -> Iterator[Callable[[Job[Any]], None]]:
    """A progress bar on stderr that follows a job; nothing is drawn where stderr is not a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), _note(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, note="")

        def follow(job: Job[Any]) -> None:
            event = job.progress
            if event is None:
                return
            figures = [f"{name} {value:.2f}" for name, value in event.figures.items()]
            share = 1.0 if job.state == "done" else event.share
            bar.update(task, completed=share, note=plain(" ".join([event.stage, *figures])))

        yield follow


@contextmanager
def sentences(title: str) -> Iterator[Progress]:
    """A progress bar on stderr with a sentence beside it; nothing is drawn where stderr is not a terminal."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), _note(), TimeRemainingColumn()
    with Bar(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, note="")

        def follow(stage: str, done: int, total: int, **figures: Any) -> None:
            bar.update(task, completed=done, total=max(total, 1), note=plain(stage))

        yield follow
