"""Starting and ending the browser face: address, token, quiet logs, and the study given back at the end."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from LMIALLib.browser.connections import Connections, room_for_connections
from LMIALLib.browser.guard import Guard, is_loopback
from LMIALLib.browser.machine import choose_graphics, missing_graphics, missing_python
from LMIALLib.errors import LMIALError, WrongUse
from LMIALLib.interrupts import held
from LMIALLib.loop.session import Session
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.study.store import Study

if TYPE_CHECKING:
    from LMIALLib.browser.page import Page

SHORTEST_TOKEN = 16
"""Characters of a token: other machines, and other users of this one, may try."""


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    token: str,
    no_token: bool,
    reader: str,
    say: Callable[[str], None],
    show: bool,
) -> None:
    """Serve a study until interrupted.

    Args:
        folder: of the study.
        host, port: where to listen; port 0 takes a free one.
        token, no_token: see ``chosen_token``.
        reader: who annotates, or an empty string: the page asks.
        say: takes the address and one line more for the person who started it.
        show: open a browser window.

    Raises LMIALError where this machine lacks what the face needs or the port is taken, BadInput for what is no study,
    WrongUse for a token that is no use.
    """
    _check_machine()
    token = chosen_token(token, no_token, host)

    def opening(take_over: bool) -> Session:
        study = Study.open(folder, reader=reader, take_over=take_over)
        return Session(study, reader=reader, settings=LoopSettings())

    opening(False).study.close()  # a wrong folder is refused before anything heavy is loaded
    _set_up_libraries()
    choose_graphics()
    from LMIALLib.browser.page import Page

    connections = Connections(room_for_connections())
    guard = Guard(host, token, connections.admit)
    with ExitStack() as ending:
        with held():  # Ctrl-C within one of VTK's callbacks would end the process there and then, with exit code 1
            page = Page(opening, guard=guard, connections=connections)
            ending.callback(_close, page)

        def announce(**_: object) -> None:
            address = _address(host, page.server.port)
            say(address + (f"?token={token}" if token else ""))
            if show:
                webbrowser.open(address + (f"?once={guard.one_time_key()}" if token else ""))

        page.server.controller.on_server_ready.add(announce)
        arguments, sys.argv = sys.argv, sys.argv[:1]  # trame would read them as its own
        try:
            page.server.start(
                host=host, port=port, open_browser=False, show_connection_info=False, disable_logging=True, timeout=0
            )
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        finally:
            sys.argv = arguments


def _check_machine() -> None:
    """Raise LMIALError where this machine lacks what the face needs."""
    for lacking, words in ((missing_python(), "Python packages"), (missing_graphics(), "OpenGL")):
        if lacking:
            raise LMIALError(f"The browser face needs {words} that are not here.", f"Install: {lacking}")


def _address(host: str, port: int) -> str:
    """The address of the page as a browser on this machine, or on another where those may come, writes it."""
    named = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{named}]:{port}/" if ":" in named else f"http://{named}:{port}/"


def _close(page: Page) -> None:
    with held():
        page.close()


def chosen_token(token: str, no_token: bool, host: str) -> str:
    """The token that every request must bring: ``token``, a new one where it is empty, none (empty) if so wished.

    WrongUse for one that cannot stand in an address or can be guessed, and for none where other machines may come.
    """
    if no_token and token:
        raise WrongUse("--token and --no-token exclude each other.")
    if no_token and not is_loopback(host):
        raise WrongUse(
            f"Without a token every machine that reaches {host} could read the images and save.",
            "Leave --no-token out, or leave --host out.",
        )
    if no_token:
        return ""
    if token and not re.fullmatch(r"[A-Za-z0-9._~-]+", token):
        raise WrongUse("A token is made of letters, digits and . _ ~ - only, because it is part of an address.")
    if token and len(token) < SHORTEST_TOKEN:
        raise WrongUse(
            f"A token of {len(token)} characters can be guessed.",
            f"Give {SHORTEST_TOKEN} or more, or leave --token out: one is made.",
        )
    return token or secrets.token_urlsafe(24)


def _cannot_listen(host: str, port: int, error: OSError) -> LMIALError:
    """One sentence for an address or port that cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return LMIALError(f"Port {port} is in use by another program.", "Without --port a free one is taken.")
    return LMIALError(f"{host}, port {port}, cannot be listened on: {error.strerror or error}.", "See --host, --port.")


def _set_up_libraries() -> None:
    """Settings of the libraries below: no line of theirs reaches the terminal, unless LMIAL_DEBUG is set."""
    from LMIALLib.browser.messages import LARGEST

    os.environ["WSLINK_READY_MSG"] = ""
    os.environ["WSLINK_WS_COMPRESS"] = "0"  # JPEG does not shrink any further
    os.environ["TRAME_WS_MAX_MSG_SIZE"] = str(LARGEST)
    if os.environ.get("LMIAL_DEBUG"):
        return
    for name in ("wslink", "aiohttp", "asyncio", "trame", "trame_server", "trame_rca", "trame_client", "trame_slicer"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    choose_graphics()
    import vtk

    vtk.vtkObject.GlobalWarningDisplayOff()
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
