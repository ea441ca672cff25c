"""The errors that a person may see. Each carries one sentence and the exit code of the command line.

Floor 0: every room may raise these. Anything else that reaches a person is a defect of ours.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

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


def as_sentence(text: str) -> str:
    """A text for people with a capital letter first, as it stands alone on a screen; errors begin with a small one."""
    return text[:1].upper() + text[1:]


def first_line(error: BaseException, most: int = 300) -> str:
    """Kind and first line of another library's error, to stand within a sentence; at most ``most`` characters. Of ours
    the sentence."""
    if isinstance(error, LMIALError):
        return error.sentence
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:most] if lines else type(error).__name__


class Do(StrEnum):
    """What a person can do next. The command line has a command or an option for each (``cli.commands``), a face its
    own button."""

    NEW = "new"
    ADD = "add"
    IMPORT = "import"
    ADD_WITH_MASK = "add with mask"
    MAKE_COHORT = "make cohort"
    ANNOTATE = "annotate"
    LABEL = "label"
    RANK = "rank"
    FINETUNE = "finetune"
    STATUS = "status"
    CHECK = "check"
    REPLAY = "replay"
    LESIONS = "lesions"
    STRATEGIES = "strategies"
    DOCTOR = "doctor"
    PSEUDO_LABEL_AGAIN = "pseudo-label again"
    PIPELINE_RESUME = "pipeline resume"
    PIPELINE_STAGE = "pipeline stage"
    SIMULATE_RESUME = "simulate resume"
    PRETRAIN_WITHOUT = "pretrain without"
    CHOOSE_SERIES = "choose series"
    ALIGN_CENTRES = "align centres"
    NOTHING_HERE = "nothing here"
    GO_ON = "go on"
    MAKE_ANEW = "make anew"
    USE_CPU = "use cpu"


@dataclass(frozen=True)
class Step:
    """One thing that a person can do next, and what it is done to.

    Args:
        do: which action.
        study: folder of the study, or an empty string where the place that knows of the step does not know it.
        stage: of the pipeline, for PIPELINE_STAGE.
        subject: a patient, for PRETRAIN_WITHOUT.
    """

    do: Do
    study: str = ""
    stage: str = ""
    subject: str = ""

    def to_dict(self) -> dict[str, str]:
        """The step as it crosses a pipe; ``from_dict`` reads it."""
        return {name: str(value) for name, value in asdict(self).items() if value}

    @classmethod
    def from_dict(cls, sent: Mapping[str, Any]) -> Self:
        """The step that ``to_dict`` wrote. Raises ValueError for an action that is not in `Do`."""
        return cls(Do(str(sent.get("do"))), *(str(sent.get(name, "")) for name in ("study", "stage", "subject")))


class LMIALError(Exception):
    """The work itself failed: one `readable` sentence that names what failed, and optionally what the reader can do.

    Args:
        sentence: what was found and what was expected, naming the file or field.
        hint: what the user can do about it in words for every face, or an empty string.
        steps: the same as actions, which the command line prints as commands after the hint.

    Example:
        >>> str(LMIALError("The weights file is truncated.", "Restore it."))
        'The weights file is truncated. Restore it.'
    """

    exit_code = 4

    def __init__(self, sentence: str, hint: str = "", *steps: Step) -> None:
        super().__init__(readable(sentence))
        self.sentence = readable(sentence)
        self.hint = readable(hint)
        self.steps = steps

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class BadInput(LMIALError):
    """A file, folder or value that came from outside cannot be used; nothing was written.

    Example:
        >>> try:
        ...     prepare("baseline.nii.gz", "missing.nii.gz")
        ... except BadInput as error:
        ...     print(error.exit_code)
        3
    """

    exit_code = 3


class NeedsConfirmation(BadInput):
    """The input can be used but is probably a mistake; a face asks, the command line has an option."""


class NeedsAlignment(BadInput):
    """Baseline and follow-up lie apart as their headers say; a face asks whether to lay their centres on each other, a
    request takes ``align="centres"``."""


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
