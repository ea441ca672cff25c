"""Ctrl-C: whenever it comes, a command ends with exit code 130 and without a traceback.

This comes before everything else, so it imports only what every Python has loaded when it starts. (``_signal`` is what
``signal`` stands on; that one brings enumerations along, which take as long to import as Ctrl-C takes to arrive.)
"""

from __future__ import annotations

import _signal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

EXIT_CODE = 130
"""What shells give to a program that Ctrl-C ended: 128 and the number of the signal."""

_LATER = 0.02
"""Seconds after which an interrupt is tried again that could not be raised where it came."""
_heard: list[int] = []


def end_at_once() -> bool:
    """Let Ctrl-C end this process there and then, while it is being imported and has done nothing yet.

    Returns whether it does: not where another program imports the command line and has a handler of its own, or does
    it from a thread.
    """
    if _signal.getsignal(_signal.SIGINT) is not _signal.default_int_handler:
        return False
    try:
        _signal.signal(_signal.SIGINT, _end)
    except ValueError:  # not the main thread
        return False
    return True


def leave_to_others() -> None:
    """Take ``end_at_once`` back, unless this process is the program ``lmial``, which goes on with ``run`` at once."""
    program = os.path.basename(sys.argv[0] if sys.argv else "").removesuffix(".exe").removesuffix("-script.py")
    if program not in ("lmial", "__main__.py"):
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def run(program: Callable[[], Any]) -> None:
    """Run a whole program, the last thing that its process does; Ctrl-C is a KeyboardInterrupt in it and exit code 130.

    What the program makes of the interrupt is its own affair; whatever that is, the exit code says that it came.
    Where the shell has Ctrl-C ignored, as for a program in the background, it stays ignored.
    """
    if _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN:
        program()
        return
    sys.unraisablehook = _unraisable
    try:
        try:
            _signal.signal(_signal.SIGINT, _interrupt)
            program()
        finally:
            _signal.signal(_signal.SIGINT, _end)  # what follows is Python's own, and would end in a traceback
    except KeyboardInterrupt:
        pass
    finally:
        if _heard:
            sys.exit(EXIT_CODE)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_CODE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not within an import: some modules would print a traceback, or say that they lack
    something."""
    _heard.append(number)
    if _importing(frame):
        _again()
        return
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _again() -> None:
    import _thread
    import threading

    later = threading.Timer(_LATER, _thread.interrupt_main)
    later.daemon = True
    later.start()


def _unraisable(raised: Any) -> None:
    """An interrupt that hit a place from which nothing can be raised, such as a ``__del__``, comes again."""
    if issubclass(raised.exc_type, KeyboardInterrupt):
        _again()
    else:
        sys.__unraisablehook__(raised)
