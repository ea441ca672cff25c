"""The application ``lmial``: help, completion, and the commands of all groups."""

from __future__ import annotations

import sys

import typer

from LMIALLib.cli import (
    annotate,
    cases,
    cohorts,
    core_set,
    importing,
    interrupts,
    lesions,
    making,
    models,
    nnunet,
    pipeline,
    pseudo_labels,
    reading,
    regions,
    simulating,
    strategies,
    studies,
)
from LMIALLib.version import __version__

app = typer.Typer(
    name="lmial",
    help="Label a longitudinal study by reading only the slices that matter. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lmial {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Label a longitudinal study by reading only the slices that matter. Research use only."""


cases.register(app)
studies.register(app)
importing.register(app)
annotate.register(app)
reading.register(app)
regions.register(app)
models.register(app)
lesions.register(app)
strategies.register(app)
making.register(app)
cohorts.register(app)
simulating.register(app)
pseudo_labels.register(app)
core_set.register(app)
nnunet.register(app)
pipeline.register(app)


def main() -> None:
    """Entry point of the program ``lmial``."""
    interrupts.run(_program)


def _program() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
