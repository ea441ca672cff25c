"""The errors that a person may see. Each carries one sentence and the exit code of the command line.

Floor 0: every room may raise these. Anything else that reaches a person is a defect of ours.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

_HALF = re.compile("[\ud800-\udfff]")
_BYTE = re.compile("[\udc80-\udcff]")


def readable(text: str, mark: str = "\\") -> str:
    """A text in which bytes that are no UTF-8, in names of files mostly, stand as ``\\xfc``.

    Python holds such a byte as half a character (0xDC80 to 0xDCFF), which can be neither stored nor sent nor printed.
    ``mark`` begins what stands for it; two of them within JSON.
    """
    return _BYTE.sub(lambda found: f"{mark}x{ord(found[0]) - 0xDC00:02x}", text)


def written_in_utf8(name: object) -> bool:
    """Whether the name of a file or folder can be stored, sent and given to every library."""
    return _HALF.search(str(name)) is None


class LMIALError(Exception):
    """The work itself failed: one `readable` sentence that names what failed, and optionally what the reader can do.

    Args:
        sentence: what was found and what was expected, naming the file or field.
        hint: what the user can do about it, or an empty string.
    """

    exit_code = 4

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(readable(sentence))
        self.sentence = readable(sentence)
        self.hint = readable(hint)

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class BadInput(LMIALError):
    """A file, folder or value that came from outside cannot be used; nothing was written."""

    exit_code = 3


class NeedsConfirmation(BadInput):
    """The input can be used but is probably a mistake; a face asks, the command line takes ``--force``."""


class NeedsAlignment(BadInput):
    """Baseline and follow-up lie apart as their headers say; a face asks whether to lay their centres on each other,
    the command line takes ``--align centres``, a request ``align="centres"``."""


class WrongUse(LMIALError):
    """The command or call itself was wrong: an unknown name, options that exclude each other."""

    exit_code = 2


def disk_problem(error: OSError, doing: str = "the work") -> LMIALError:
    """One sentence for what the file system refused; ``doing`` says what failed ("saving x")."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return BadInput(f"the disk is full: {doing} failed and nothing was saved.", "Make room and try again.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return BadInput(f"{doing} failed: {error.strerror}{where}.", "Choose a place you may write to.")
    return BadInput(f"{doing} failed: {error.strerror or error}{where}.")


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn a full disk or a place that may not be written to into BadInput; ``doing`` says what failed ("saving x")."""
    try:
        yield
    except OSError as error:
        full = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
        known = (*full, errno.EROFS, errno.EACCES, errno.EPERM)
        if error.errno not in known:
            raise
        raise disk_problem(error, doing) from error
