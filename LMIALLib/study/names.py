"""What may be a name in a study: names become file names on three operating systems and cells of tables."""

from __future__ import annotations

import hashlib
import re

from LMIALLib.errors import BadInput

LONGEST_NAME = 40
LONGEST_MODEL_ID = 20
_PORTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
_PERSON = re.compile(r"\w[^\x00-\x1f\x7f]*")


def checked_file_name(name: str, what: str, *, longest: int = LONGEST_NAME) -> str:
    """``name`` if it can be a file or folder name anywhere and stays inside the study folder, else BadInput.

    Letters, digits, dot, dash and underscore; starts with a letter or digit; ends without a dot; at most ``longest``
    characters; not a device name of Windows.
    """
    problem = ""
    if not isinstance(name, str) or not name:
        problem = "is empty"
    elif not _PORTABLE.fullmatch(name):
        problem = "has other characters than letters, digits, dot, dash, underscore, or starts with a mark"
    elif len(name) > longest:
        problem = f"has {len(name)} characters, more than {longest}"
    elif name.endswith("."):
        problem = "ends with a dot"
    elif name.split(".")[0].lower() in _RESERVED:
        problem = "is the name of a device under Windows"
    if problem:
        raise BadInput(f"the {what} {name!r} {problem}.", "Choose a short name such as case-01.")
    return name


def portable_name(name: str, kind: str) -> str:
    """``name`` where it can be a case's name, else a pseudonym that is the same for the same name: ``kind-1a2b3c4d5e``.

    ``kind`` is a short word that itself can be a name, as "case" or "subject".
    """
    try:
        return checked_file_name(name, kind)
    except BadInput:
        return f"{kind}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:10]}"


def checked_person(name: str, what: str) -> str:
    """A reader's name or a subject's pseudonym: starts with a letter or digit, one line, at most 60 characters."""
    if not isinstance(name, str) or not _PERSON.fullmatch(name.strip()) or len(name.strip()) > 60:
        raise BadInput(
            f"the {what} {name!r} is not usable; expected one line of up to 60 characters, first a letter or digit."
        )
    return name.strip()
