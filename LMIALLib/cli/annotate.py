"""The command annotate: the loop in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LMIALLib.cli.console import OUT, guarded
from LMIALLib.cli.options import StudyFolder


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(guarded(annotate))


def annotate(
    study: StudyFolder,
    reader: Annotated[str, typer.Option("--reader", metavar="WHO", help="Who reads; the page asks if not given.")] = "",
    port: Annotated[int, typer.Option("--port", metavar="P", min=0, max=65535, help="0 takes a free one.")] = 0,
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Address to listen on; by default only this machine is served."),
    ] = "127.0.0.1",
    token: Annotated[
        str,
        typer.Option(
            "--token",
            metavar="WORD",
            envvar="LMIAL_TOKEN",
            help="What the address must hold; made if not given. Other users of this machine can read a command line, "
            "so it is better set as a variable.",
        ),
    ] = "",
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Ask for no token: any program on this machine may read the study and save."),
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address.")] = False,
) -> None:
    """Annotate in the browser: the queue, both visits, a brush, and a network that learns meanwhile."""
    annotate_here(study, reader=reader.strip(), port=port, host=host, token=token, no_token=no_token, no_open=no_open)


def annotate_here(
    study: Path,
    *,
    reader: str = "",
    port: int = 0,
    host: str = "127.0.0.1",
    token: str = "",
    no_token: bool = False,
    no_open: bool = False,
) -> None:
    """Serve the face, print its address, and open a window where there is a display."""
    from LMIALLib.browser.machine import missing_display
    from LMIALLib.browser.serving import serve

    def say(address: str) -> None:
        OUT.print(address, markup=False)
        if not no_open:
            OUT.print("Ctrl+C ends it; everything that was saved is kept.")

    show = not no_open and not missing_display()
    serve(
        Path(study).absolute(),
        host=host,
        port=port,
        token=token,
        no_token=no_token,
        reader=reader,
        say=say,
        show=show,
    )
