"""The errors that a person may see. Each carries one sentence and the exit code of the command line.

Floor 0: every room may raise these. Anything else that reaches a person is a defect of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class LMIALError(Exception):
    """The work itself failed: one sentence that names what failed, and optionally what the reader can do.

    Args:
        sentence: what was found and what was expected, naming the file or field.
        hint: what the user can do about it, or an empty string.
    """

    exit_code = 4

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class BadInput(LMIALError):
    """A file, folder or value that came from outside cannot be used; nothing was written."""

    exit_code = 3


class NeedsConfirmation(BadInput):
    """The input can be used but is probably a mistake; a face asks, the command line takes ``--force``."""


class WrongUse(LMIALError):
    """The command or call itself was wrong: an unknown name, options that exclude each other."""

    exit_code = 2


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn a full disk or a place that may not be written to into BadInput; ``doing`` says what failed ("saving x")."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise BadInput(
                f"the disk is full: {doing} failed and nothing was saved.", "Make room and try again."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            where = f" ({error.filename})" if error.filename else ""
            raise BadInput(f"{doing} failed: {error.strerror}{where}.", "Choose a place you may write to.") from error
        raise
